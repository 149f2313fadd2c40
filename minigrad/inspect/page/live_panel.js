// Live: drag a number, and everything is computed again; beside it what the gradient predicted.

PANELS.push({
  id: "live",
  title: "Live",
  make(app) {
    const panel = {
      app,
      overrides: new Map(),
      applied: false,
      id: null,
      flat: 0,
      reach: 1,
      leaves: draggableLeaves(app),
    };
    this.panel = panel;
    panel.root = dom("div", { class: "live-panel" });
    panel.body = dom("div", { class: "live-body" });
    panel.note = dom("p", { class: "quiet-text" }, blockedNote(app));
    if (!panel.leaves.length) {
      panel.root.append(dom("p", {}, "Nothing here can be dragged."), panel.note);
      return panel.root;
    }
    panel.apply = oncePerFrame(() => applyOverrides(panel));
    panel.root.append(leafChooser(panel), panel.body, panel.note);
    panel.steps = makeSteps(panel);
    panel.root.append(panel.steps.root);
    return panel.root;
  },
  update(app) {
    const { panel } = this;
    if (!panel.leaves.length) return;
    if (!app.live && panel.applied) forgetDrags(panel);
    if (!panel.root.offsetParent) return; // not looked at: nothing is run
    panel.root.classList.toggle("locked", app.hidden.size > 0);
    const chosen = panel.leaves.find((value) => value.id === app.selected);
    if (chosen && chosen.id !== panel.last) chooseLeaf(panel, chosen.id, 0);
    else if (panel.id === null) chooseLeaf(panel, panel.last ?? firstLeaf(panel).id, panel.flat);
    else drawLive(panel);
    panel.steps.update();
  },
});

/** The first that the reader will want to drag: a parameter, else an input, else a constant. */
function firstLeaf({ leaves }) {
  const rank = { parameter: 0, input: 1, constant: 2 };
  return [...leaves].sort((a, b) => rank[a.kind] - rank[b.kind])[0];
}

/** Which ops cannot run in the page, and what that keeps from being dragged. */
function blockedNote(app) {
  const { blocked } = livePart(app);
  const ops = [...new Set(blocked.values())];
  if (!ops.length) return "";
  const leaves = leavesOf(app)
    .filter((value) => blocked.has(value.id))
    .map((value) => value.name);
  const names =
    leaves.length > 6 ? `${leaves.slice(0, 6).join(", ")} and ${leaves.length - 6} more` : leaves.join(", ");
  const cannot = `Not run again in this page: ${ops.join("; ")}`;
  return names ? `${cannot}. What lies upstream keeps its recorded numbers: ${names}.` : `${cannot}.`;
}

function leafChooser(panel) {
  const options = panel.leaves.map((value) => dom("option", { value: value.id }, `${value.name} (${value.kind})`));
  panel.chooser = dom("select", { onchange: () => chooseAndSelect(panel, Number(panel.chooser.value)) }, options);
  const reset = dom("button", { type: "button", class: "live-reset", onclick: () => resetDrags(panel) }, "Reset all");
  return dom("div", { class: "panel-choices" }, dom("label", {}, "drag ", panel.chooser), reset);
}

function chooseAndSelect(panel, id) {
  chooseLeaf(panel, id, 0);
  panel.app.select(id);
}

/** From here on the drag is measured: at the numbers of this moment. */
function chooseLeaf(panel, id, flat) {
  const { app } = panel;
  Object.assign(panel, { id, last: id, flat, start: startingPoint(app, new Map(panel.overrides), id, flat) });
  panel.x = panel.start.x;
  panel.reach = Math.max(0.5, 2 ** Math.ceil(Math.log2(1.5 * Math.abs(panel.x) || 1)));
  panel.chooser.value = String(id);
  panel.around = null;
  buildLive(panel);
  drawLive(panel);
}

/** The fields of the chosen element: picker, slider, number, zoom, table and plot. */
function buildLive(panel) {
  const value = panel.app.value(panel.id);
  const name = elementName(value.name, panel.flat, value.shape);
  panel.picker = dom("div", { class: "live-picker" });
  panel.slider = dom("input", {
    type: "range",
    step: "any",
    "aria-label": `drag ${name}`,
    oninput: () => moveTo(panel, Number(panel.slider.value)),
  });
  panel.field = dom("input", {
    type: "number",
    step: "any",
    "aria-label": `value of ${name}`,
    onchange: () => typeValue(panel),
  });
  panel.slider.addEventListener("keydown", (event) => stepSlider(panel, event));
  const zoom = (factor) => () => ((panel.reach *= factor), (panel.around = null), drawLive(panel));
  const again = dom(
    "button",
    { type: "button", class: "quiet", onclick: () => chooseLeaf(panel, panel.id, panel.flat) },
    "measure from here",
  );
  const row = dom(
    "div",
    { class: "live-drag" },
    dom("b", {}, name),
    panel.slider,
    panel.field,
    dom(
      "button",
      { type: "button", class: "quiet", onclick: zoom(0.1), title: "a tenth of the range: the curve grows straight" },
      "zoom in",
    ),
    dom("button", { type: "button", class: "quiet", onclick: zoom(10) }, "zoom out"),
    again,
  );
  panel.table = dom("table", { class: "live-table", "aria-live": "polite" });
  panel.plot = dom("div", { class: "live-plot" });
  panel.body.replaceChildren(panel.picker, row, dom("div", { class: "live-felt" }, panel.table, panel.plot));
}

/** Arrow keys move the slider by a 50th of its range (a browser's own step for "any" differs). */
function stepSlider(panel, event) {
  const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
  event.stopPropagation(); // the page's own arrow keys step through the moments
  if (!(event.key in moves)) return;
  event.preventDefault();
  moveTo(panel, panel.x + (moves[event.key] * panel.reach) / 50);
}

function typeValue(panel) {
  const x = Number(panel.field.value);
  if (panel.field.value.trim() === "" || !Number.isFinite(x)) return drawLive(panel);
  if (Math.abs(x - panel.start.x) > panel.reach) {
    panel.reach = 1.5 * Math.abs(x - panel.start.x);
    panel.around = null;
  }
  return moveTo(panel, x);
}

/** The element takes the value x; the numbers follow with the next picture. */
function moveTo(panel, x) {
  panel.x = x;
  panel.overrides = withOverride(panel.app, panel.overrides, panel.id, panel.flat, x);
  panel.apply();
}

function applyOverrides(panel) {
  const run = panel.overrides.size ? rerun(panel.app, panel.overrides) : null;
  panel.applied = run !== null;
  panel.app.setLive(run);
}

function resetDrags(panel) {
  forgetDrags(panel);
  panel.app.setLive(null);
}

/** Back to the recorded numbers. */
function forgetDrags(panel) {
  Object.assign(panel, { overrides: new Map(), applied: false });
  panel.steps.forget();
  panel.id = null; // measured anew when it is next looked at
}

function drawLive(panel) {
  const { app, start, reach } = panel;
  const value = app.value(panel.id);
  const name = elementName(value.name, panel.flat, value.shape);
  if (app.hidden.size)
    return void panel.table.replaceChildren(dom("caption", {}, "Off while you predict: it would tell."));
  const now = app.valueOf(panel.id);
  panel.x = now.data[panel.flat];
  drawPicker(panel, now);
  if (Math.abs(panel.x - start.x) > reach) [panel.reach, panel.around] = [1.5 * Math.abs(panel.x - start.x), null];
  Object.assign(panel.slider, { min: start.x - panel.reach, max: start.x + panel.reach, value: panel.x });
  if (document.activeElement !== panel.field) panel.field.value = String(Number(panel.x.toPrecision(12)));
  panel.around ??= lossAround(app, start, panel.id, panel.flat, panel.reach);
  const loss = app.live ? lossOf(app, app.live) : start.loss;
  panel.table.replaceChildren(...feltRows(panel, name, loss));
  panel.plot.replaceChildren(plotAround({ points: panel.around, start, x: panel.x, loss, name }));
}

/** An array is picked from, element by element. */
function drawPicker(panel, now) {
  if (now.data.length === 1) return panel.picker.replaceChildren();
  if (panel.picker.contains(document.activeElement)) return null; // keep the reader's place
  const pick = (flat) => chooseLeaf(panel, panel.id, flat);
  const { name } = panel.app.value(panel.id);
  return panel.picker.replaceChildren(showArray(now, { name, pick, picked: panel.flat }));
}

/** Prediction and truth, side by side. */
function feltRows(panel, name, loss) {
  const { start, x, app } = panel;
  const output = app.value(app.graph.output).name;
  const step = x - start.x;
  const predicted = start.slope * step;
  const truth = loss - start.loss;
  const row = (label, number, kind = "", write = signedNumber) =>
    dom(
      "tr",
      { class: kind },
      dom("th", { scope: "row" }, label),
      dom("td", { "data-number": number }, write(number, 5)),
    );
  return [
    row(`${output} now`, loss, "felt-now", shortNumber),
    row(`gradient ∂${output}/∂${name} at the start`, start.slope, "felt-gradient"),
    row("step", step),
    row("predicted change, gradient × step", predicted, "felt-predicted"),
    row(`true change of ${output}`, truth, "felt-true"),
    row("difference", truth - predicted, "felt-difference"),
    row("true change ÷ step", truth / step, "felt-quotient", (x, digits) => (step ? shortNumber(x, digits) : "–")),
  ];
}
