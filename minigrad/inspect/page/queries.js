// Questions that several panels ask about the graph and the walk, beyond what the app's index answers.

const TIMES = new WeakMap(); // a graph does not change, so its answers are kept

/** The time step that a value belongs to: its own, or that of the first thing made from it; null outside of time. */
function timeOf(graph, id) {
  if (!TIMES.has(graph)) TIMES.set(graph, spreadTimes(graph));
  return TIMES.get(graph).get(id) ?? null;
}

function spreadTimes(graph) {
  const own = graph.values.filter((v) => v.time !== null && v.time !== undefined);
  const times = new Map(own.map((v) => [v.id, v.time]));
  const fixed = new Set(times.keys());
  const results = new Set(graph.forward.map((step) => step.output));
  for (const step of [...graph.forward].reverse()) {
    const time = times.get(step.output);
    if (time === undefined) continue;
    for (const id of step.inputs) {
      if (id !== null && results.has(id) && !fixed.has(id)) times.set(id, Math.min(time, times.get(id) ?? Infinity));
    }
  }
  return times;
}

/** Values that no op made: what a reader may change. */
function leavesOf(app) {
  return app.graph.values.filter((value) => !app.index.maker.has(value.id));
}

/** The edges that end at a value, in the order in which they arrive: [{moment, backward, edge}]. */
function arrivalsOf(app, id) {
  return app.index.arrivals.get(id) ?? [];
}

/** The moment in which a value's gradient is complete ("gradient"), or in which it is made ("value"); or -1. */
function momentOfValue(app, id, wanted = "gradient") {
  if (wanted === "value") return app.index.forwardMoment.get(id) ?? -1;
  if (id === app.graph.output) return app.index.seedAt;
  const arrivals = arrivalsOf(app, id);
  return arrivals.length ? arrivals[arrivals.length - 1].moment : -1;
}

/** The value that the current moment is about: what it makes, or where its edge ends. */
function valueOfMoment(app) {
  const { phase, forward, backward, edge } = app.moments[app.at];
  if (phase === "forward") return app.index.forward.get(forward).output;
  if (phase === "seed") return app.graph.output;
  const step = app.index.backward.get(backward);
  return edge === null ? step.value : step.edges[edge].input;
}

/** The time step of the current moment: that of what it makes, or of what its gradient comes from; or null. */
function timeOfMoment(app) {
  const { phase, forward, backward } = app.moments[app.at];
  if (phase === "forward") return timeOf(app.graph, app.index.forward.get(forward).output);
  return phase === "seed" ? null : timeOf(app.graph, app.index.backward.get(backward).value);
}
