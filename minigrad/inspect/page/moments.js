// Moments: the recording as one line of time. Every forward step, then the seed, then every edge of
// every backward step; a leaf's backward step, where its gradient is complete, is a moment of its own.

/**
 * @typedef {{phase: "forward"|"seed"|"backward"|"leaf", forward: number|null, backward: number|null,
 *            edge: number|null}} Moment  ids of the steps; edge is an index into the backward step's edges
 * @returns {Moment[]}
 */
function momentsOf(graph) {
  const moments = graph.forward.map((f) => ({ phase: "forward", forward: f.id, backward: null, edge: null }));
  moments.push({ phase: "seed", forward: null, backward: null, edge: null });
  for (const b of graph.backward) {
    if (!b.edges.length) moments.push({ phase: "leaf", forward: b.forward, backward: b.id, edge: null });
    b.edges.forEach((_, k) => moments.push({ phase: "backward", forward: b.forward, backward: b.id, edge: k }));
  }
  return moments;
}

/**
 * Where things happen: lookups by id, made once.
 * @returns values, forward, backward: Map id -> object; maker: value id -> Forward; user: value id -> [Forward];
 *   completed: value id -> Backward; arrivals: value id -> [{moment, backward, edge}]; edgeOf: "forwardId:position" ->
 *   {backward, edge, moment}; forwardMoment, backwardMoment: value id -> index of a moment; seedAt: index of the seed.
 */
function indexGraph(graph, moments) {
  const byId = (list) => new Map(list.map((item) => [item.id, item]));
  const index = {
    values: byId(graph.values),
    forward: byId(graph.forward),
    backward: byId(graph.backward),
    maker: new Map(),
    users: new Map(),
    completed: new Map(),
    arrivals: new Map(),
    edgeOf: new Map(),
    forwardMoment: new Map(),
    backwardMoment: new Map(),
    seedAt: moments.findIndex((m) => m.phase === "seed"),
  };
  for (const f of graph.forward) {
    index.maker.set(f.output, f);
    for (const id of f.inputs) if (id !== null) pushTo(index.users, id, f);
  }
  moments.forEach((moment, at) => indexMoment(index, moment, at));
  return index;
}

function indexMoment(index, moment, at) {
  if (moment.phase === "forward") index.forwardMoment.set(index.forward.get(moment.forward).output, at);
  if (moment.backward === null) return;
  const step = index.backward.get(moment.backward);
  if (!index.backwardMoment.has(step.value)) index.backwardMoment.set(step.value, at);
  index.completed.set(step.value, step);
  if (moment.edge === null) return;
  const edge = step.edges[moment.edge];
  pushTo(index.arrivals, edge.input, { moment: at, backward: step, edge: moment.edge });
  if (step.forward !== null)
    index.edgeOf.set(`${step.forward}:${edge.position}`, { backward: step, edge: moment.edge, moment: at });
}

/** Append to the list that a map keeps for a key. */
function pushTo(map, key, item) {
  if (!map.has(key)) map.set(key, []);
  map.get(key).push(item);
}
