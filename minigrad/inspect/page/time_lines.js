// The norms of the grid's rows as lines over time.

/** The norms as lines over time, on a scale of powers of ten. */
function timeLines(view, top) {
  const { low, high } = view.scale;
  const x = (t) => GRID.label + (t - view.first + 0.5) * view.cell;
  const y = (norm) => top + GRID.plot * (1 - alongScale(norm, view.scale));
  const parts = [];
  const every = Math.ceil((high - low) / 5);
  for (let power = low; power <= high; power += every) {
    const at = y(10 ** power);
    parts.push(
      svgNode("line", { x1: GRID.label, x2: x(view.first + view.steps - 0.5), y1: at, y2: at, class: "rule" }),
    );
    parts.push(
      svgNode("text", { x: GRID.label - 6, y: at + 4, "text-anchor": "end", class: "tick" }, powerText(power)),
    );
  }
  view.rows.forEach((row, r) => parts.push(...timeLine(view, row, r, x, y)));
  return [...parts, ...lineNames(view, x, y)];
}

/** The names at the lines' ends, moved apart where they would lie on one another. */
function lineNames(view, x, y) {
  const ends = view.rows
    .map((row) => ({ row, t: row.norms.findLastIndex((norm) => norm > 0) }))
    .filter(({ t }) => t >= 0);
  const names = ends.map(({ row, t }) => ({
    text: cutText(row.name.split(".").at(-1), 8),
    left: x(t) + 8,
    at: y(row.norms[t]) + 4,
  }));
  names.sort((a, b) => a.at - b.at);
  names.forEach((name, i) => (name.at = Math.max(name.at, i ? names[i - 1].at + 11 : 0)));
  return names.map(({ text, left, at }) => svgNode("text", { x: left, y: at, class: "line-name" }, text));
}

/** One line; rows are told apart by their dashes. */
function timeLine(view, row, r, x, y) {
  const points = row.norms.map((norm, t) => (norm > 0 ? [x(t), y(norm), row.ids[t]] : null)).filter(Boolean);
  if (!points.length) return [];
  const line = svgNode("polyline", {
    points: points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" "),
    class: "time-line",
    "stroke-dasharray": ["", "6 3", "2 3", "8 3 2 3"][r % 4],
  });
  line.style.stroke = view.colour;
  const dots = points.map(([cx, cy, id]) =>
    view.cell > 9 ? svgNode("circle", { cx, cy, r: id === view.now ? 5 : 2.4, style: `fill: ${view.colour}` }) : null,
  );
  return [line, ...dots.filter(Boolean)];
}
