// The tip: hovering a card shows the line of source that made it and the op's own rule.

class Tip {
  constructor(app, folding) {
    Object.assign(this, { app, folding, timer: null });
    this.element = dom("div", { class: "tip", role: "tooltip", hidden: true });
  }

  /** Show the tip of a card after a moment of rest on it; hide it when the pointer has left. */
  later(card) {
    if (card === this.card) return;
    this.hide();
    this.card = card;
    if (card) this.timer = setTimeout(() => this.show(card), 450);
  }

  hide() {
    clearTimeout(this.timer);
    this.card = null;
    this.element.hidden = true;
  }

  show(card) {
    const item = card.item ?? card.face;
    const { forward, value } = item;
    const lines = [dom("strong", {}, forward ? forward.formula : `${value.name}: ${value.kind}`)];
    if (forward?.code) {
      lines.push(
        dom("div", { class: "place" }, `${forward.file}:${forward.line}`),
        dom("code", { class: "reader-line" }, forward.code),
      );
    }
    const source = forward && this.app.page.sources?.[forward.op];
    if (source) lines.push(dom("pre", {}, shortSource(withoutExamples(source), 10)));
    this.element.replaceChildren(...lines);
    this.element.hidden = false;
    this.place(card.frame.getBoundingClientRect());
  }

  place(card) {
    const around = this.element.parentElement.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = Math.max(6, Math.min(around.width - width - 6, card.left - around.left));
    const below = card.bottom - around.top + 8;
    const top = below + height < around.height ? below : Math.max(6, card.top - around.top - height - 8);
    Object.assign(this.element.style, { left: `${left}px`, top: `${top}px` });
  }
}

function shortSource(source, most) {
  const lines = source.trimEnd().split("\n");
  return lines.length > most ? [...lines.slice(0, most - 1), "…"].join("\n") : lines.join("\n");
}
