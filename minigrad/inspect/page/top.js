// The top line: the title, search, folding, the switch between light and dark, and help.

class Top {
  constructor(app, folding, search, help) {
    Object.assign(this, { app, folding });
    this.said = dom("span", { class: "off-screen", "aria-live": "polite" });
    const button = (text, title, act, name = "") =>
      dom("button", { type: "button", class: `top-button ${name}`, title, onclick: act }, text);
    const foldable = folding.groups.size > 1;
    this.theme = button("", "Light or dark", () => this.switchTheme(), "theme");
    this.theme.append(
      svgNode(
        "svg",
        { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
        svgNode("circle", { cx: 12, cy: 12, r: 8, class: "ring" }),
        svgNode("path", { d: "M12,4a8,8 0 0 1 0,16z" }),
      ),
    );
    this.theme.setAttribute("aria-label", "Light or dark");
    this.element = dom(
      "header",
      { class: "top" },
      dom("h1", {}, app.page.title || "Step through backprop"),
      dom("span", { class: "engine" }, [app.page.engine, app.page.dtype].filter(Boolean).join(" · ")),
      search.element,
      foldable ? button("Fold all", "Fold every module and group", () => folding.foldAll()) : null,
      foldable ? button("Unfold all", "Unfold every module and group", () => this.unfoldAll()) : null,
      this.theme,
      help.button,
      this.said,
    );
  }

  unfoldAll() {
    const all = this.folding.unfoldAll();
    this.said.textContent = all
      ? "All is unfolded."
      : `Unfolded as far as the picture stays readable, ${MOST_UNFOLDED} values.`;
  }

  switchTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    this.app.emit("theme");
  }
}

/** The list of keys, in a dialog. */
class Help {
  constructor() {
    const rows = KEYS_TOLD.map(([keys, told]) =>
      dom(
        "div",
        {},
        dom(
          "dt",
          {},
          keys.split(" ").map((k) => dom("kbd", {}, k)),
        ),
        dom("dd", {}, told),
      ),
    );
    this.dialog = dom(
      "dialog",
      { class: "help", "aria-label": "Keys", onclick: (e) => e.target === this.dialog && this.dialog.close() },
      dom("h2", {}, "Keys"),
      dom("dl", {}, rows),
      dom(
        "p",
        { class: "note" },
        "Blue is forward, vermillion is the gradient on its way back. Wheel or pinch zooms, dragging moves the " +
          "graph, a double click jumps to a value's moment, a click on an edge to that edge's.",
      ),
      dom("button", { type: "button", onclick: () => this.dialog.close() }, "Close"),
    );
    this.button = dom(
      "button",
      { type: "button", class: "top-button", title: "Keys (?)", "aria-label": "Keys", onclick: () => this.toggle() },
      "?",
    );
  }

  toggle() {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }
}
