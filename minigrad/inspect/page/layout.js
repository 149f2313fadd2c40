// Layout: dagre places nodes left to right; here its input is made, and boxes and curves from its output.

const BOX_PAD = { side: 14, top: 30, bottom: 14 };

/**
 * @param picture  of visibleGraph
 * @param {(node) => {width: number, height: number}} sizeOfNode
 * @param {(edge) => {width: number, height: number}|null} sizeOfLabel  room that an edge's numbers need
 * @returns {{nodes: Map<string, Rect>, boxes: Map<string, Rect>, edges: Map<string, {path, x, y}>, bounds: Rect}}
 *   Rect: {x, y, width, height}, x and y the upper left corner
 */
function layoutOf(picture, sizeOfNode, sizeOfLabel) {
  const graph = new dagre.graphlib.Graph({ multigraph: true, compound: picture.boxes.length > 0 });
  graph.setGraph({ rankdir: "LR", nodesep: 20, ranksep: 26, edgesep: 12 });
  for (const box of picture.boxes) graph.setNode(box.key, {});
  for (const node of picture.nodes) graph.setNode(node.key, sizeOfNode(node));
  for (const { key, box } of [...picture.boxes, ...picture.nodes]) if (box) graph.setParent(key, box);
  for (const edge of picture.edges.filter((e) => !e.loose)) {
    const label = sizeOfLabel(edge) ?? { width: 0, height: 0 };
    graph.setEdge(edge.from, edge.to, { ...label, labelpos: "c", weight: edge.parts.length > 1 ? 2 : 1 }, edge.key);
  }
  dagre.layout(graph);
  const nodes = new Map(picture.nodes.map(({ key }) => [key, cornerOf(graph.node(key))]));
  const boxes = boxesAround(picture, nodes);
  return {
    nodes,
    boxes,
    edges: curvesOf(picture, graph, nodes),
    bounds: boundsOf([...nodes.values(), ...boxes.values()]),
  };
}

function cornerOf({ x, y, width, height }) {
  return { x: x - width / 2, y: y - height / 2, width, height };
}

/** The rectangle around others. */
function boundsOf(rects) {
  if (!rects.length) return { x: 0, y: 0, width: 1, height: 1 };
  const x = Math.min(...rects.map((r) => r.x));
  const y = Math.min(...rects.map((r) => r.y));
  const right = Math.max(...rects.map((r) => r.x + r.width));
  const bottom = Math.max(...rects.map((r) => r.y + r.height));
  return { x, y, width: right - x, height: bottom - y };
}

/** A box around what lies in each unfolded group, inner groups first. */
function boxesAround(picture, nodes) {
  const boxes = new Map();
  for (const { key } of [...picture.boxes].reverse()) {
    const inside = picture.nodes.filter((n) => n.box === key).map((n) => nodes.get(n.key));
    inside.push(...picture.boxes.filter((b) => b.box === key && boxes.has(b.key)).map((b) => boxes.get(b.key)));
    if (!inside.length) continue;
    const { x, y, width, height } = boundsOf(inside);
    boxes.set(key, {
      x: x - BOX_PAD.side,
      y: y - BOX_PAD.top,
      width: width + 2 * BOX_PAD.side,
      height: height + BOX_PAD.top + BOX_PAD.bottom,
    });
  }
  return boxes;
}

/** Each edge as a path from the right side of one node to the left side of another, and the place of its label. */
function curvesOf(picture, graph, nodes) {
  const found = picture.edges.map((edge) =>
    edge.loose ? looseLine(edge, nodes) : { edge, ...graph.edge(edge.from, edge.to, edge.key) },
  );
  const tied = found.filter(({ edge }) => !edge.loose);
  spreadEnds(tied, "from", nodes);
  spreadEnds(tied, "to", nodes);
  return new Map(
    found.map(({ edge, points, start, end, x, y }) => {
      if (edge.loose) return [edge.key, { path: arcPath(...points), x, y }];
      const forwards = end.x > start.x;
      const way = forwards ? [start, ...points.slice(1, -1), end] : points;
      return [edge.key, { path: smoothPath(way), ...labelPlace(way, x, y) }];
    }),
  );
}

/** The way of an edge that the layout knows nothing of: an arc over what lies between, its label before its end. */
function looseLine(edge, nodes) {
  const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)];
  const start = { x: from.x + from.width, y: from.y + 12 };
  const end = { x: to.x - 7, y: to.y + 12 };
  return { edge, points: [start, end], x: end.x - 22, y: end.y - 12 };
}

/** A point as paths write it. */
function pathPoint(x, y) {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

/** A curve that rises over the cards on its way, the higher the farther it goes. */
function arcPath(start, end) {
  const apart = end.x - start.x;
  const rise = Math.min(180, 20 + 0.12 * Math.abs(apart));
  const top = Math.min(start.y, end.y) - rise;
  const bend = [pathPoint(start.x + apart * 0.2, top), pathPoint(end.x - 40, top)];
  return `M${pathPoint(start.x, start.y)}C${bend.join(" ")} ${pathPoint(end.x, end.y)}`;
}

/** Where dagre made room for a label; on a long way near the op instead, where its rule is at work. */
function labelPlace(way, x, y) {
  if (way.length > 6) return way[way.length - 2];
  return x === undefined ? way[Math.floor(way.length / 2)] : { x, y };
}

/** Edges that share a node's side leave it, or arrive, at places of their own, in the order in which they come. */
function spreadEnds(found, side, nodes) {
  const bySide = new Map();
  for (const item of found) pushTo(bySide, item.edge[side], item);
  for (const [key, items] of bySide) {
    const rect = nodes.get(key);
    const near = (item) => item.points[side === "from" ? 1 : item.points.length - 2] ?? item.points[0];
    items.sort((a, b) => near(a).y - near(b).y);
    items.forEach((item, i) => {
      const y = rect.y + (rect.height * (i + 1)) / (items.length + 1);
      if (side === "from") item.start = { x: rect.x + rect.width, y };
      else item.end = { x: rect.x - 7, y };
    });
  }
}

/** A smooth curve through points, level at both ends, that does not overshoot in between. */
function smoothPath(points) {
  const slopes = points.map((_, i) => slopeAt(points, i));
  let path = `M${pathPoint(points[0].x, points[0].y)}`;
  for (let i = 1; i < points.length; i += 1) {
    const [a, b] = [points[i - 1], points[i]];
    const third = (b.x - a.x) / (points.length === 2 ? 2 : 3);
    const bend = [pathPoint(a.x + third, a.y + slopes[i - 1] * third), pathPoint(b.x - third, b.y - slopes[i] * third)];
    path += `C${bend.join(" ")} ${pathPoint(b.x, b.y)}`;
  }
  return path;
}

/** The harmonic mean of the slopes on both sides; level at the ends and at turning points. */
function slopeAt(points, i) {
  if (i === 0 || i === points.length - 1) return 0;
  const slope = (a, b) => (b.y - a.y) / (b.x - a.x || 1);
  const [before, after] = [slope(points[i - 1], points[i]), slope(points[i], points[i + 1])];
  return before * after > 0 ? (2 * before * after) / (before + after) : 0;
}
