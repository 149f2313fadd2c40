// The graph: cards, edges and boxes in an SVG, laid out again when something folds, updated with each moment.

class GraphView {
  constructor(app, folding) {
    Object.assign(this, { app, folding, cards: new Map(), edges: new Map() });
    this.layers = Object.fromEntries(
      ["boxes", "edges", "cards", "labels"].map((name) => [name, svgNode("g", { class: name })]),
    );
    this.world = svgNode("g", { class: "world" }, ...Object.values(this.layers));
    this.svg = svgNode(
      "svg",
      { class: "graph-picture", role: "group", "aria-label": "The graph" },
      arrowHeads(),
      this.world,
    );
    this.tip = new Tip(app, folding);
    this.element = dom("section", { class: "graph", "aria-label": "Graph" }, this.svg, this.tip.element);
    this.camera = new Camera(this.svg, this.world);
    this.listen();
    app.on("fold", () => this.refold());
    app.on("theme", () => {
      forgetThumbs();
      this.update("theme");
    });
    for (const event of ["moment", "select", "live", "hidden"]) app.on(event, () => this.update(event));
  }

  // ---- drawing

  /** Lay out and draw what the folding shows. */
  draw() {
    this.picture = visibleGraph(this.folding);
    this.layout = layoutOf(this.picture, (node) => cardSize(this.app, node), labelSize);
    this.camera.bounds = this.layout.bounds;
    for (const layer of Object.values(this.layers)) layer.replaceChildren();
    this.layers.boxes.append(...this.picture.boxes.filter((b) => this.layout.boxes.has(b.key)).map((b) => this.box(b)));
    this.cards = this.fill(
      this.picture.nodes,
      (node) => makeCard(this.app, node, this.layout.nodes.get(node.key)),
      "cards",
    );
    this.edges = this.fill(
      this.picture.edges,
      (edge) => new EdgeLine(this.app, edge, this.layout.edges.get(edge.key)),
      "edges",
    );
    this.layers.labels.append(...[...this.edges.values()].map((edge) => edge.label));
    this.update("fold");
  }

  fill(list, make, layer) {
    const made = new Map(list.map((item) => [item.key, make(item)]));
    this.layers[layer].append(...[...made.values()].map((part) => part.element));
    return made;
  }

  /** The box of an unfolded group, with its title as the button that folds it. */
  box({ key, group }) {
    const { x, y, width, height } = this.layout.boxes.get(key);
    const title = [group.title, group.className].filter(Boolean).join("  ");
    const shown = fittingText(title, width - 40, 12, 600);
    const button = svgNode(
      "g",
      {
        class: "box-title",
        tabindex: 0,
        role: "button",
        "data-key": key,
        "aria-expanded": "true",
        "aria-label": `${title}, unfolded. Enter folds it.`,
      },
      svgNode("rect", { class: "box-tab", x: 6, y: 5, width: textWidth(shown, 12, 600) + 34, height: 20, rx: 6 }),
      svgNode("path", { class: "fold", d: "M13,15h7" }),
      svgNode("text", { x: 26, y: 19.5 }, shown),
    );
    return svgNode(
      "g",
      { class: `box ${group.kind}`, transform: `translate(${x},${y})` },
      svgNode("rect", { class: "box-frame", width, height, rx: 12 }),
      button,
    );
  }

  /** After folding: keep what the reader acted on under the eyes. */
  refold() {
    const focused = document.activeElement?.dataset?.key;
    this.draw();
    const again = focused && this.svg.querySelector(`[data-key="${CSS.escape(focused)}"]`);
    if (again) again.focus({ preventScroll: true });
    this.camera.begin();
    this.follow();
  }

  update(event = "moment") {
    const current = currentOf(this.app);
    for (const card of this.cards.values()) card.update(current);
    for (const edge of this.edges.values()) edge.update(current);
    this.svg.dataset.phase = current.phase;
    if (event === "moment") this.follow(current);
  }

  /** Keep the current step in view: the op and its inputs, or the two ends of the edge. */
  follow(current = currentOf(this.app)) {
    const rectOf = (key) => this.layout.nodes.get(this.picture.shownAs.get(key));
    const core = rectOf(current.from ?? current.to);
    const inputs = current.phase === "forward" ? this.app.index.forward.get(current.forward).inputs : [];
    const others = [current.to, ...inputs.filter((id) => id !== null).map((id) => `v${id}`)].map(rectOf);
    if (core) this.camera.show(boundsOf([core, ...others.filter(Boolean)]), core);
  }

  // ---- pointer and keys on cards

  listen() {
    const keyOf = (event) => event.target.closest?.("[data-key]:not(.edge)")?.dataset.key;
    this.svg.addEventListener("click", (event) => {
      if (this.camera.dragged) return;
      const key = keyOf(event);
      if (key === undefined) this.app.select(null);
      else this.act(key, event.target.closest(".unfold"));
    });
    this.svg.addEventListener("dblclick", (event) => this.jump(keyOf(event)));
    this.svg.addEventListener("keydown", (event) => {
      const key = keyOf(event);
      if (event.key === "Enter" && key !== undefined) this.act(key);
    });
    this.svg.addEventListener("pointerover", (event) => this.tip.later(this.cards.get(keyOf(event))));
    this.svg.addEventListener("pointerleave", () => this.tip.hide());
    this.svg.addEventListener("focusin", (event) => this.bringIn(keyOf(event)));
  }

  /** Click or Enter: a value is selected, a group unfolds or folds. */
  act(key, unfold = false) {
    this.tip.hide();
    if (this.folding.groups.has(key)) return void this.folding.toggle(key);
    const item = this.folding.items.get(key);
    if (unfold && item.inside) return void this.folding.toggle(item.inside.key);
    const outer = outermost(item).value.id;
    this.app.select(this.app.selected === outer ? null : outer);
  }

  /** Fold what holds the focused or selected card, or unfold it. */
  toggleHere() {
    const key = document.activeElement?.dataset?.key ?? `v${this.app.shownValue()}`;
    if (this.folding.groups.has(key)) return void this.folding.toggle(key);
    const shown = this.picture.shownAs.get(key);
    const item = this.folding.items.get(key);
    if (shown !== key) this.folding.toggle(shown);
    else if (item.inside) this.folding.toggle(item.inside.key);
    else this.folding.toggle(item.parent.key);
  }

  /** To the moment that makes a value; from there, or from anywhere later, to the one where its gradient leaves. */
  jump(key = document.activeElement?.dataset?.key) {
    const item = key === undefined ? null : this.folding.items.get(key);
    const id = item ? outermost(item).value.id : this.app.shownValue();
    const { forwardMoment, backwardMoment } = this.app.index;
    const [made, left] = [forwardMoment.get(id), backwardMoment.get(id)];
    const target = this.app.at === made || made === undefined ? (left ?? made) : made;
    if (target !== undefined) this.app.go(target);
  }

  /** Select a value by id, unfolding what hides it. */
  find(id) {
    const item = this.folding.items.get(`v${id}`);
    this.folding.reveal(item);
    this.app.select(id);
    this.camera.show(this.layout.nodes.get(item.key));
  }

  bringIn(key) {
    const rect = this.layout.nodes.get(key) ?? this.layout.boxes.get(key);
    if (rect && this.svg.querySelector(":focus-visible")) this.camera.show(rect);
  }
}

/** The item in the page's own graph that an item lies inside. */
function outermost(item) {
  return item.scope.opened ? outermost(item.scope.opened) : item;
}

/** Arrow heads in the colours of the phases. */
function arrowHeads() {
  const head = (id) =>
    svgNode(
      "marker",
      {
        id,
        class: id,
        viewBox: "0 0 8 8",
        refX: 1,
        refY: 4,
        markerWidth: 7,
        markerHeight: 7,
        markerUnits: "userSpaceOnUse",
        orient: "auto",
      },
      svgNode("path", { d: "M0,0.5L8,4L0,7.5z" }),
    );
  return svgNode("defs", {}, head("arrow"), head("arrow-forward"), head("arrow-backward"));
}
