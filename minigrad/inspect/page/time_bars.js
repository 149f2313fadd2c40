// What each time step adds to the gradient of a weight that all steps share: bars that sum to the gradient,
// and a cut that the reader drags, as truncated backpropagation through time makes it.

const BARS = { height: 150, left: 62, right: 92 };

/** The bars' part of the time panel, or null where no value is shared. */
function makeTimeBars(scope) {
  const shared = sharedValues(scope);
  if (!shared.length) return null;
  const bars = { scope, id: shared[0].id, measure: "along", cut: 0, root: dom("section", { class: "time-bars" }) };
  const names = shared.map((value) => dom("option", { value: value.id }, value.name));
  bars.weight = dom("select", { onchange: () => chooseWeight(bars, Number(bars.weight.value)) }, names);
  bars.kind = dom("span", { class: "bars-measure" });
  bars.chart = dom("div", { class: "scroll-x" });
  bars.told = dom("p", { class: "bars-told", "aria-live": "polite" });
  bars.arrays = dom("div", { class: "bars-arrays" });
  const choice = dom("div", { class: "panel-choices" }, dom("label", {}, "weight ", bars.weight), bars.kind);
  bars.root.append(dom("h3", {}, "What each step adds to a shared weight"), choice, bars.chart, bars.told, bars.arrays);
  bars.update = () => drawTimeBars(bars);
  bars.weight.value = String(bars.id);
  offerMeasures(bars);
  return bars;
}

function chooseWeight(bars, id) {
  Object.assign(bars, { id, measure: "along", cut: 0 });
  offerMeasures(bars);
  drawTimeBars(bars);
}

/** One number needs no choice; of an array either one element or its length along the whole gradient. */
function offerMeasures(bars) {
  const { shape } = bars.scope.graph.values[bars.id];
  if (sizeOf(shape) === 1) {
    bars.measure = 0;
    bars.kind.replaceChildren();
    return;
  }
  const name = bars.scope.graph.values[bars.id].name;
  const element = dom("input", {
    type: "number",
    min: 0,
    max: sizeOf(shape) - 1,
    value: 0,
    "aria-label": "element, counted row by row",
    oninput: () => chooseMeasure(bars, Number(element.value)),
  });
  const select = dom(
    "select",
    { onchange: () => chooseMeasure(bars, select.value === "along" ? "along" : Number(element.value)) },
    dom("option", { value: "along" }, "along the whole gradient"),
    dom("option", { value: "element" }, "one element"),
  );
  bars.elementField = element;
  bars.kind.replaceChildren(dom("label", {}, `measure of ∂L/∂${name} `, select), element);
  element.hidden = true;
}

function chooseMeasure(bars, measure) {
  bars.measure =
    measure === "along"
      ? measure
      : Math.max(0, Math.min(measure | 0, sizeOf(bars.scope.graph.values[bars.id].shape) - 1));
  bars.elementField.hidden = measure === "along";
  drawTimeBars(bars);
}

function drawTimeBars(bars) {
  const { scope, id } = bars;
  if (!bars.root.clientWidth) return;
  const secret = ({ backward, edge }) => scope.isSecretEdge(backward.id, edge);
  if (scope.isSecret(id) || arrivalsOf(scope, id).some(secret)) return tellOnly(bars, "Hidden while you predict it.");
  const found = contributionBars(scope, id, bars.measure);
  if (!found) return tellOnly(bars, "These gradients were too large to send with the page.");
  const steps = contributionsByTime(scope, id);
  bars.cut = Math.min(bars.cut, steps.length - 1);
  const sums = afterTheCut(found, bars.cut);
  const hadFocus = bars.chart.contains(document.activeElement);
  bars.chart.replaceChildren(barsPicture(bars, steps, found, sums));
  if (hadFocus) bars.chart.querySelector("[role=slider]").focus({ preventScroll: true });
  bars.told.replaceChildren(...barsText(bars, steps, sums), outsideText(scope, id, found.whole));
  showBothGradients(bars, found, sums);
}

function tellOnly(bars, text) {
  bars.chart.replaceChildren();
  bars.arrays.replaceChildren();
  bars.told.textContent = text;
}

/** The sums in words: whole, kept, and the share. */
function barsText(bars, steps, { total, kept, cosine }) {
  const { name, shape } = bars.scope.graph.values[bars.id];
  const what = bars.measure === "along" ? `‖∂L/∂${name}‖` : `∂L/∂${elementName(name, bars.measure, shape)}`;
  const when = steps[0].timed ? `t = ${steps[bars.cut].time}` : `use ${bars.cut + 1}`;
  const whole = [dom("b", {}, what), ` = ${shortNumber(total, 6)}, the sum of ${steps.length} contributions. `];
  if (bars.cut === 0) return [...whole, "Drag the cut to leave the earliest ones out."];
  const share = total ? ` (${shortNumber((100 * kept) / total, 3)} % of it)` : "";
  const angle =
    cosine === null || sizeOf(shape) === 1
      ? ""
      : ` It points the same way up to a cosine of ${shortNumber(cosine, 4)}.`;
  return [...whole, "Without what lies before ", dom("b", {}, when), `: ${shortNumber(kept, 6)}${share}.${angle}`];
}

/** Inside a fused op: that the sum is what the op sends, but for the rounding of two ways to add it up. */
function outsideText(scope, id, whole) {
  const difference = differenceFromOutside(scope, id, whole);
  if (difference === null) return "";
  const { op } = scope.step;
  const off = difference ? `up to rounding: they differ by ${shortNumber(difference, 2)} of its largest number` : "exactly";
  return dom("small", { class: "bars-outside" }, ` The sum is what ${op} itself sends here, ${off}.`);
}

/** The whole gradient and the truncated one as pictures, where they are arrays. */
function showBothGradients(bars, { whole }, { array }) {
  if (sizeOf(whole.shape) === 1) return bars.arrays.replaceChildren();
  const pick = (flat) => {
    bars.kind.querySelector("select").value = "element";
    bars.elementField.value = flat;
    chooseMeasure(bars, flat);
  };
  const picked = bars.measure === "along" ? undefined : bars.measure;
  const name = bars.scope.graph.values[bars.id].name;
  const shown = (label, data) =>
    dom("div", {}, dom("small", {}, label), showArray(data, { name: "gradient", pick, picked }));
  const parts = [shown(`∂L/∂${name}, whole`, whole)];
  if (bars.cut) parts.push(shown("after the cut", array));
  return bars.arrays.replaceChildren(...parts);
}

function barsPicture(bars, steps, { bars: numbers }, sums) {
  const room = bars.root.clientWidth - BARS.left - BARS.right - 8;
  const step = Math.max(1.2, Math.min(40, room / numbers.length));
  const right = BARS.left + step * numbers.length;
  const extreme = [...numbers, sums.total, sums.kept];
  const [low, high] = [Math.min(0, ...extreme), Math.max(0, ...extreme)];
  const y = (x) => 18 + (high === low ? 0.5 : (high - x) / (high - low)) * BARS.height;
  const picture = svgNode("svg", { class: "bars-picture", width: right + BARS.right, height: BARS.height + 46 });
  const zero = svgNode("line", { x1: BARS.left, x2: right + BARS.right, y1: y(0), y2: y(0), class: "zero" });
  picture.append(...barsScale(low, high, y), zero);
  numbers.forEach((x, i) => picture.append(...oneBar(bars, steps, x, i, step, y)));
  picture.append(...sumBar("whole", sums.total, right + 14, y, false));
  if (bars.cut) picture.append(...sumBar("kept", sums.kept, right + 54, y, true));
  picture.append(cutHandle(bars, steps, step, picture));
  return picture;
}

function barsScale(low, high, y) {
  const clear = (x) => x === 0 || Math.abs(y(x) - y(0)) > 11;
  return [low, 0, high]
    .filter((x, i, all) => all.indexOf(x) === i && clear(x))
    .map((x) =>
      svgNode("text", { x: BARS.left - 6, y: y(x) + 4, "text-anchor": "end", class: "tick" }, shortNumber(x, 3)),
    );
}

/** The contribution of one time step; before the cut it is pale and dashed. */
function oneBar(bars, steps, x, i, step, y) {
  const when = steps[i].timed ? `t = ${steps[i].time}` : `use ${i + 1}`;
  const bar = svgNode(
    "rect",
    {
      x: BARS.left + i * step,
      width: step > 5 ? step - 1.5 : step,
      y: Math.min(y(0), y(x)),
      height: Math.max(0.5, Math.abs(y(x) - y(0))),
      class: `bar ${signOf(x)}${i < bars.cut ? " left-out" : ""}`,
      onclick: () => bars.scope.visitEdge(steps[i].edges[0]),
    },
    svgNode("title", {}, `${when}: ${exactNumber(x)}`),
  );
  const every = [1, 2, 5, 10, 20, 50].find((n) => n * step >= 22) || 100;
  if (i % every) return [bar];
  const text = svgNode("text", {
    x: BARS.left + (i + 0.5) * step,
    y: BARS.height + 34,
    "text-anchor": "middle",
    class: "tick",
  });
  text.textContent = steps[i].timed ? String(steps[i].time) : String(i + 1);
  return [bar, text];
}

/** A sum at the right, with its number. */
function sumBar(label, x, left, y, pale) {
  const middle = left + 14;
  return [
    svgNode("rect", {
      x: left,
      width: 28,
      y: Math.min(y(0), y(x)),
      height: Math.max(0.5, Math.abs(y(x) - y(0))),
      class: `bar sum ${signOf(x)}${pale ? " kept" : ""}`,
    }),
    svgNode("text", { x: middle, y: BARS.height + 34, "text-anchor": "middle", class: "tick" }, label),
    svgNode(
      "text",
      { x: middle, y: y(x) + (x < 0 ? 12 : -5), "text-anchor": "middle", class: "tick" },
      shortNumber(x, 3),
    ),
  ];
}

/** The line that the reader drags; arrow keys move it too. */
function cutHandle(bars, steps, step, picture) {
  const x = BARS.left + bars.cut * step;
  const told = bars.cut ? `without the ${bars.cut} earliest contributions` : "nothing left out";
  const handle = svgNode(
    "g",
    {
      class: "cut",
      tabindex: 0,
      role: "slider",
      "aria-label": "cut: contributions before it are left out",
      "aria-valuemin": 0,
      "aria-valuemax": steps.length - 1,
      "aria-valuenow": bars.cut,
      "aria-valuetext": told,
    },
    svgNode("rect", { x: x - 9, y: 2, width: 18, height: BARS.height + 20, class: "cut-reach" }),
    svgNode("line", { x1: x, x2: x, y1: 8, y2: BARS.height + 20 }),
    svgNode("path", { d: `M${x - 7},2 h14 v7 l-7,7 l-7,-7 z` }),
  );
  const put = (cut) => {
    bars.cut = Math.max(0, Math.min(steps.length - 1, cut));
    drawTimeBars(bars);
  };
  handle.addEventListener("pointerdown", (event) => dragCut(event, picture, step, put));
  handle.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -5, PageDown: 5, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    put(bars.cut + moves[event.key]);
    event.preventDefault();
    event.stopPropagation();
  });
  return handle;
}

/** Follow the pointer until it is let go. The picture is drawn anew on each move, so the window listens. */
function dragCut(event, picture, step, put) {
  event.preventDefault();
  const left = picture.getBoundingClientRect().left + BARS.left;
  const move = (moved) => put(Math.round((moved.clientX - left) / step));
  const stop = () => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", stop);
    window.removeEventListener("pointercancel", stop);
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", stop);
  window.addEventListener("pointercancel", stop);
}
