// The loss around a point, with its tangent: where they part, the gradient's prediction fails.

const AROUND = { width: 300, height: 170, pad: 10 };

/**
 * @param {{points: [number, number][], start: object, x: number, loss: number, name: string}} view
 *   start is the point of the tangent, (x, loss) where the drag has come to
 * @returns {SVGElement}
 */
function plotAround({ points, start, x, loss, name }) {
  const tangent = (at) => start.loss + start.slope * (at - start.x);
  const finite = points.filter(([, y]) => Number.isFinite(y));
  const [left, right] = [points[0][0], points[points.length - 1][0]];
  const heights = [...finite.map(([, y]) => y), start.loss];
  let [low, high] = [Math.min(...heights), Math.max(...heights)];
  const air = 0.12 * (high - low) || Math.abs(high) * 1e-3 || 1e-3;
  [low, high] = [low - air, high + air];
  const px = (at) => AROUND.pad + ((at - left) / (right - left)) * (AROUND.width - 2 * AROUND.pad);
  const py = (y) => AROUND.pad + ((high - y) / (high - low)) * (AROUND.height - 2 * AROUND.pad);
  const inside = (y) => Math.max(-AROUND.height, Math.min(2 * AROUND.height, py(y)));
  const path = finite.map(([at, y]) => `${px(at).toFixed(1)},${inside(y).toFixed(1)}`).join(" ");
  return svgNode(
    "svg",
    {
      class: "around",
      viewBox: `0 0 ${AROUND.width} ${AROUND.height + 16}`,
      role: "img",
      "aria-label": `The loss against ${name}; the tangent at ${shortNumber(start.x)} has slope ${shortNumber(start.slope)}`,
    },
    svgNode("polyline", { points: path, class: "around-curve" }),
    svgNode("line", {
      x1: px(left),
      y1: inside(tangent(left)),
      x2: px(right),
      y2: inside(tangent(right)),
      class: "around-tangent",
    }),
    svgNode("line", { x1: px(x), x2: px(x), y1: inside(tangent(x)), y2: inside(loss), class: "around-gap" }),
    svgNode("circle", { cx: px(start.x), cy: py(start.loss), r: 3, class: "around-start" }),
    svgNode("circle", { cx: px(x), cy: inside(tangent(x)), r: 4, class: "around-predicted" }),
    svgNode("circle", { cx: px(x), cy: inside(loss), r: 4.5, class: "around-now" }),
    svgNode("text", { x: AROUND.pad, y: AROUND.height + 12 }, shortNumber(left)),
    svgNode("text", { x: AROUND.width / 2, y: AROUND.height + 12, "text-anchor": "middle" }, name),
    svgNode("text", { x: AROUND.width - AROUND.pad, y: AROUND.height + 12, "text-anchor": "end" }, shortNumber(right)),
  );
}

/** The loss over the steps made, with the step that is shown. */
function plotHistory(losses, shown) {
  const [width, height] = [300, 60];
  const finite = losses.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const px = (i) => 6 + (losses.length > 1 ? i / (losses.length - 1) : 0) * (width - 12);
  const py = (y) => 6 + (high > low ? (high - y) / (high - low) : 0.5) * (height - 12);
  const path = losses.map((y, i) => (Number.isFinite(y) ? `${px(i).toFixed(1)},${py(y).toFixed(1)}` : "")).join(" ");
  const ends = `from ${shortNumber(losses[0])} to ${shortNumber(losses[losses.length - 1])}`;
  const label = `Loss over ${losses.length - 1} steps, ${ends}`;
  return svgNode(
    "svg",
    { class: "around history", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svgNode("polyline", { points: path, class: "around-curve" }),
    Number.isFinite(losses[shown])
      ? svgNode("circle", { cx: px(shown), cy: py(losses[shown]), r: 4.5, class: "around-now" })
      : null,
  );
}
