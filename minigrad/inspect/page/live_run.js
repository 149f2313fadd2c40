// Running the graph again with other numbers. An override is a Map from a leaf's id to the array in its place.

const LIVE_PARTS = new WeakMap(); // app -> what of its graph can run; neither changes

/**
 * The part of the graph that can run in the page. What lies upstream of an op that cannot keeps its recorded
 * numbers: there the results are constants, and no gradient goes further back.
 * @returns {{blocked: Map<number, string>, forward: object, backward: object}} blocked: value id -> what is in the
 *   way; forward and backward: graphs for runGraph and backGraph, whose ids are those of the whole graph
 */
function livePart(app) {
  if (!LIVE_PARTS.has(app)) LIVE_PARTS.set(app, cutGraph(app));
  return LIVE_PARTS.get(app);
}

function cutGraph(app) {
  const { graph } = app;
  const dead = deadSteps(app);
  if (!dead.size) return { blocked: new Map(), forward: graph, backward: graph };
  const blocked = blockedValues(graph, dead);
  const kept = (step) => !dead.has(step.id) && !blocked.has(step.output);
  const values = graph.values.map((v) =>
    app.index.maker.has(v.id) && !kept(app.index.maker.get(v.id)) ? { ...v, kind: "constant" } : v,
  );
  const backward = graph.backward.map((b) =>
    b.forward === null || kept(app.index.forward.get(b.forward)) ? b : { ...b, edges: [] },
  );
  return {
    blocked,
    forward: { ...graph, values, forward: graph.forward.filter(kept) },
    backward: { ...graph, backward },
  };
}

/** The steps that cannot run, with the reason: forward id -> text. */
function deadSteps(app) {
  const { graph, arrays } = app;
  const suspects = new Set(notLive(graph, arrays));
  const dead = new Map();
  for (const step of suspects.size ? graph.forward : []) {
    const alone = {
      ...graph,
      forward: [step],
      values: step.inputs.filter((id) => id !== null).map((id) => app.value(id)),
    };
    if (!notLive(alone, arrays).length) continue;
    const large = alone.values.some((v) => v.kind !== "result" && !app.array(v.data)?.data);
    dead.set(step.id, large ? `${step.op}, whose numbers were too large to send` : step.op);
  }
  return dead;
}

/** Everything upstream of a dead step: value id -> the first thing in its way. */
function blockedValues(graph, dead) {
  const blocked = new Map();
  for (const step of [...graph.forward].reverse()) {
    const why = dead.get(step.id) ?? blocked.get(step.output);
    if (why === undefined) continue;
    for (const id of step.inputs) if (id !== null) blocked.set(id, why);
  }
  return blocked;
}

/** Forward and backward with the overrides: what app.setLive takes. */
function rerun(app, overrides) {
  const part = livePart(app);
  const run = runGraph(part.forward, overrides, app.arrays);
  const back = backGraph(part.backward, run, undefined, app.arrays);
  return { values: run.values, grads: back.grads, sent: back.sent, run, back }; // these two: also inside fused ops
}

/** The loss of a run, or of the recorded numbers where run is null: the sum of seed times output. */
function lossOf(app, run) {
  const output = run ? run.values.get(app.graph.output) : app.valueOf(app.graph.output);
  return dotProduct(output, app.array(app.graph.seed));
}

/** The loss with the overrides; the forward pass alone. */
function lossWith(app, overrides) {
  return lossOf(app, runGraph(livePart(app).forward, overrides, app.arrays));
}

/** A copy of the array with one element changed. */
function withElement(array, flat, x) {
  const data = Float64Array.from(array.data);
  data[flat] = x;
  return { shape: array.shape, data, dtype: array.dtype };
}

/** The overrides, and element `flat` of value `id` set to x. */
function withOverride(app, overrides, id, flat, x) {
  const from = overrides.get(id) ?? app.array(app.value(id).data);
  return new Map(overrides).set(id, withElement(from, flat, x));
}

/** What can be dragged: leaves of floats, not too large to have been sent, with nothing in the way. */
function draggableLeaves(app) {
  const { blocked } = livePart(app);
  return leavesOf(app).filter((value) => {
    const array = app.array(value.data);
    return array && !array.summary && sizeOf(array.shape) && value.dtype.startsWith("float") && !blocked.has(value.id);
  });
}

/**
 * The point from which a drag is measured: loss and gradient there, by the interpreter.
 * @returns {{overrides: Map, loss: number, x: number, slope: number}}
 */
function startingPoint(app, overrides, id, flat) {
  const run = rerun(app, overrides);
  const grad = run.grads.get(id);
  return {
    overrides,
    loss: lossOf(app, run),
    x: run.values.get(id).data[flat],
    slope: grad ? grad.data[flat] : 0,
  };
}

/**
 * The loss at points around the start, along one element.
 * As many points as fit in `budget` milliseconds, but 5 at least.
 * @returns {[number, number][]} pairs of x and loss
 */
function lossAround(app, start, id, flat, reach, budget = 60) {
  const at = (x) => lossWith(app, withOverride(app, start.overrides, id, flat, x));
  const began = performance.now();
  at(start.x);
  const each = Math.max(0.05, performance.now() - began);
  const half = Math.max(2, Math.min(24, Math.floor(budget / each / 2)));
  const points = [];
  for (let i = -half; i <= half; i += 1) {
    const x = start.x + (reach * i) / half;
    points.push([x, at(x)]);
  }
  return points;
}

/** w - rate * gradient for the chosen leaves: the overrides after one step of gradient descent. */
function descend(app, overrides, ids, rate) {
  const run = rerun(app, overrides);
  const next = new Map(overrides);
  for (const id of ids) {
    const [w, g] = [run.values.get(id), run.grads.get(id)];
    if (!g) continue;
    next.set(id, { shape: w.shape, dtype: w.dtype, data: w.data.map((x, i) => x - rate * g.data[i]) });
  }
  return next;
}
