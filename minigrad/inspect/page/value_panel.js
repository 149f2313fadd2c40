// The value panel: the selected value, or the current step's: its numbers, its gradient, where both come from.

PANELS.push({
  id: "value",
  title: "Value",
  make(app) {
    this.element = dom("div", { class: "value-panel" });
    return this.element;
  },
  update(app) {
    const id = app.shownValue();
    const key = [
      id,
      app.at,
      app.live ? performance.now() : 0,
      app.hidden.size,
      document.documentElement.dataset.theme,
    ].join();
    if (key === this.shown) return;
    this.shown = key;
    this.element.replaceChildren(...valueParts(app, id).filter(Boolean));
    fitFormulas(this.element);
  },
});

function valueParts(app, id) {
  const value = app.value(id);
  const forward = app.index.maker.get(id);
  const grad = app.gradNow(id);
  const secret = app.isSecretValue(id) || app.arrivedAt(id).some((a) => app.isSecretEdge(a.backward.id, a.edge));
  const state = app.isComplete(id) ? "complete" : grad ? "so far" : "nothing has arrived yet";
  return [
    dom("h3", {}, value.name, " ", dom("small", {}, `${value.kind} ${shapeText(value.shape)} ${value.dtype}`)),
    forward ? formulaBlock(app, forward.formula, "small") : null,
    dom("h4", {}, "value"),
    app.isComputed(id) || !forward
      ? showArray(app.valueOf(id), { name: value.name })
      : dom("p", { class: "note" }, "not computed yet"),
    value.grad === null && !app.index.completed.has(id)
      ? null
      : dom("h4", { class: "gradient" }, "gradient ", dom("small", {}, state)),
    grad || secret ? showArray(grad ?? app.gradOf(id), { name: `${value.name}.grad`, hidden: secret }) : null,
    momentButtons(app, id),
  ];
}

/** Buttons to the moments of a value's life. */
function momentButtons(app, id) {
  const { forwardMoment, backwardMoment } = app.index;
  const to = (label, at) =>
    at === undefined ? null : dom("button", { type: "button", class: "quiet", onclick: () => app.go(at) }, label);
  return dom(
    "div",
    { class: "moment-buttons" },
    to("where it is made", forwardMoment.get(id)),
    to(
      app.index.maker.has(id) ? "where its gradient leaves" : "where its gradient is complete",
      backwardMoment.get(id),
    ),
  );
}
