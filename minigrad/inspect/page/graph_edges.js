// Edges: curves with what flows along them, the local derivative and the gradient that was sent.

const EDGE_THUMB = 24;

/** Room for an edge's numbers; null where nothing flows back along it, or too much to show. */
function labelSize(edge) {
  if (edge.parts.length > 1 || !carrierOf(edge.parts[0])) return null;
  const { scope, forward } = edge.parts[0];
  const scalar =
    scope.index.values.get(forward.output).shape.length === 0 &&
    scope.index.values.get(edge.parts[0].input).shape.length === 0;
  return scalar ? { width: 48, height: 34 } : { width: 40, height: EDGE_THUMB + 16 };
}

/** An edge of the picture: {element, label, update(current)}. */
class EdgeLine {
  constructor(app, edge, curve) {
    Object.assign(this, { app, edge, curve });
    this.line = svgNode("path", { class: "edge-line", d: curve.path, "marker-end": "url(#arrow)" });
    this.flow = svgNode("path", { class: "edge-flow", d: curve.path });
    const hit = svgNode("path", { class: "edge-hit", d: curve.path, onclick: (event) => this.visit(event) });
    this.element = svgNode("g", { class: "edge", "data-key": edge.key }, this.line, this.flow, hit);
    this.label = svgNode("g", { class: "edge-label", transform: `translate(${curve.x},${curve.y})` });
    this.single = labelSize(edge) ? edge.parts[0] : null;
    if (this.single) this.fillLabel();
    this.uses = new Set(
      edge.parts.flatMap((part) => {
        const use = outerUse(part);
        return [`${use[0]}`, use.join(":")];
      }),
    ); // edges of folded groups stand for many
    this.first = Math.min(...edge.parts.map((part) => momentOfPart(app, part)));
  }

  /** A click on an edge goes to the moment when gradient runs along it, or else to the op's. */
  visit(event) {
    event.stopPropagation();
    const made = this.app.index.forwardMoment.get(this.edge.parts[0].forward.output);
    if (Number.isFinite(this.first)) this.app.go(this.first);
    else if (made !== undefined && !this.edge.parts[0].scope.opened) this.app.go(made);
  }

  fillLabel() {
    this.back = svgNode("rect", { class: "label-back", rx: 5 });
    this.local = svgNode("text", { class: "local", y: -5 });
    this.sent = svgNode("text", { class: "sent", y: 11 });
    this.thumb = new Thumb(-EDGE_THUMB / 2, -EDGE_THUMB / 2 - 7, EDGE_THUMB, "gradient sent");
    this.label.append(this.back, this.thumb.element, this.local, this.sent);
  }

  update(current) {
    const key =
      current.position === null ? `${current.forward}` : `${current.forward}:${current.position}:${current.input}`;
    const now = current.forward !== null && this.uses.has(key);
    const classes = {
      passed: this.first <= this.app.at,
      loose: this.edge.loose,
      replay: this.edge.parts[0].replay,
      current: now,
      backward: now && current.phase === "backward",
      forward: now && current.phase === "forward",
    };
    for (const part of [this.element, this.label]) {
      for (const [name, on] of Object.entries(classes)) part.classList.toggle(name, Boolean(on));
    }
    this.line.setAttribute("marker-end", `url(#arrow${now ? `-${current.phase}` : ""})`);
    if (this.single) this.show(readEdge(this.app, this.single));
  }

  show({ local, sent, secret }) {
    const number = local && isScalar(local) ? `× ${bracketed(shortNumber(local.data[0], 3))}` : "";
    const flat = !sent || isScalar(sent);
    this.local.textContent = secret || !flat ? "" : number;
    this.thumb.show(sent && !flat && !secret ? sent : null);
    this.sent.textContent = secret ? "?" : sent ? shortNumber(flat ? sent.data[0] : normOf(sent), 3) : "";
    this.sent.setAttribute("y", flat ? 11 : EDGE_THUMB / 2 + 5);
    this.placeBack();
  }

  /** The paper behind the numbers is as wide as they are. */
  placeBack() {
    const [local, sent] = [this.local.textContent, this.sent.textContent];
    const map = !this.thumb.element.classList.contains("empty");
    const width = Math.max(map ? EDGE_THUMB : 0, textWidth(local, 11), textWidth(sent, 12, 600)) + 8;
    const top = map ? -EDGE_THUMB / 2 - 10 : local ? -18 : -2;
    const bottom = map ? EDGE_THUMB / 2 + 9 : sent ? 16 : 0;
    const box = { x: -width / 2, y: top, width, height: Math.max(0, bottom - top) };
    for (const [name, value] of Object.entries(box)) this.back.setAttribute(name, value);
    this.label.classList.toggle("blank", !local && !sent && !map);
  }
}

function bracketed(text) {
  return text.startsWith("-") ? `(${text})` : text;
}

/** [op, position, value] in the page's own graph that an edge belongs to; inside a fused op its inputs'. */
function outerUse({ scope, forward, position, input }) {
  if (!scope.opened) return [forward.id, position, input];
  const { opened } = scope;
  const outer = scope.graph.inputs.indexOf(input);
  return outerUse({
    scope: opened.scope,
    forward: opened.forward,
    position: outer,
    input: opened.forward.inputs[outer],
  });
}

/** When gradient first runs along an edge; never where none does. */
function momentOfPart(app, part) {
  const found = carrierOf(part);
  if (!found) return Infinity;
  return part.scope.opened ? momentsOfScope(app, part.scope)[1] : found.moment;
}
