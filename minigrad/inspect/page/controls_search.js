// Search: find a value by its name; the list below the field is walked with the arrow keys.

const MOST_FOUND = 12;

class Search {
  constructor(app, view) {
    Object.assign(this, { app, view, at: 0, found: [] });
    this.field = dom("input", {
      type: "search",
      class: "search-field",
      placeholder: "Find a value",
      "aria-label": "Find a value by name",
      title: "Find a value by name (/)",
      autocomplete: "off",
      spellcheck: "false",
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": "found",
      oninput: () => this.look(),
      onkeydown: (event) => this.key(event),
      onblur: () => setTimeout(() => this.close(), 150),
    });
    this.list = dom("ul", { class: "found", id: "found", role: "listbox", hidden: true });
    this.element = dom("div", { class: "search" }, this.field, this.list);
  }

  open() {
    this.field.focus();
    this.field.select();
  }

  close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
  }

  /** Names that begin with the text come first, then those that hold it. */
  look() {
    const text = this.field.value.trim().toLowerCase();
    const holding = text ? this.app.graph.values.filter((v) => v.name.toLowerCase().includes(text)) : [];
    const begins = (v) => (v.name.toLowerCase().startsWith(text) ? 0 : 1);
    this.found = holding.sort((a, b) => begins(a) - begins(b)).slice(0, MOST_FOUND);
    this.at = 0;
    this.show(holding.length);
  }

  show(count) {
    const rows = this.found.map((value, i) =>
      dom(
        "li",
        {
          role: "option",
          id: `found-${i}`,
          "aria-selected": String(i === this.at),
          onclick: () => this.take(value),
        },
        dom("span", {}, value.name),
        dom("small", {}, `${value.kind} ${shapeText(value.shape)}`),
      ),
    );
    if (count > rows.length) rows.push(dom("li", { class: "more" }, `and ${count - rows.length} more`));
    if (!count && this.field.value.trim()) rows.push(dom("li", { class: "more" }, "no value of this name"));
    this.list.replaceChildren(...rows);
    this.list.hidden = !rows.length;
    this.field.setAttribute("aria-expanded", String(rows.length > 0));
    this.field.setAttribute("aria-activedescendant", this.found.length ? `found-${this.at}` : "");
  }

  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (moves[event.key] && this.found.length) {
      this.at = (this.at + moves[event.key] + this.found.length) % this.found.length;
      this.show(this.found.length);
    } else if (event.key === "Enter" && this.found[this.at]) this.take(this.found[this.at]);
    else if (event.key === "Escape") this.leave();
    else return;
    event.preventDefault();
  }

  take(value) {
    this.close();
    this.field.blur();
    this.view.find(value.id);
  }

  leave() {
    this.field.value = "";
    this.close();
    this.field.blur();
  }
}
