// Readings: what there is to show of an item or an edge at the current moment.

/**
 * @returns {{computed: boolean, current: boolean, value: object|null, grad: object|null, complete: boolean,
 *            secret: boolean, parts: object[], expected: number}}
 *   parts: the contributions that have arrived, in order; expected: how many there will be
 */
function readItem(app, item) {
  return item.scope.opened ? readInside(app, item) : readOutside(app, item);
}

function readOutside(app, item) {
  const { id } = item.value;
  const came = app.arrivedAt(id);
  return {
    computed: item.forward === null || app.isComputed(id),
    value: app.valueOf(id),
    grad: app.gradNow(id),
    complete: app.isComplete(id),
    secret: app.isSecretValue(id) || came.some((a) => app.isSecretEdge(a.backward.id, a.edge)),
    parts: came.length > 1 ? came.map((a) => app.sentOf(a.backward.id, a.edge)) : [],
    expected: app.index.arrivals.get(id)?.length ?? 0,
  };
}

/** Inside a fused op all happens in the moments of the op itself. */
function readInside(app, item) {
  const { value, scope } = item;
  const [made, left] = momentsOfScope(app, scope);
  const grad = liveInScope(app, scope, "back")?.grads.get(value.id);
  const recorded = value.grad ?? scope.index.completed.get(value.id)?.g;
  return {
    computed: app.at >= made,
    value: liveInScope(app, scope, "run")?.values.get(value.id) ?? app.array(value.data),
    grad: app.at >= left ? (grad ?? app.array(recorded)) : null,
    complete: app.at >= left,
    secret: false,
    parts: [],
    expected: 0,
  };
}

/** What a drag has made of the graph inside a fused op: its live "run" or "back"; null for recorded numbers. */
function liveInScope(app, scope, way) {
  if (!scope.opened) return app.live?.[way] ?? null;
  return liveInScope(app, scope.opened.scope, way)?.inside?.get(scope.opened.forward.id) ?? null;
}

/** When the fused op that a scope lies in runs forward, and when backward. */
function momentsOfScope(app, scope) {
  let { opened } = scope;
  while (opened.scope.opened) opened = opened.scope.opened;
  const { id } = opened.value;
  return [app.index.forwardMoment.get(id), app.index.backwardMoment.get(id) ?? Infinity];
}

/**
 * What an edge carries: the local derivative once its op has run, and what was sent along it.
 * @returns {{local: object|null, sent: object|null, secret: boolean, passed: boolean, carries: boolean}}
 */
function readEdge(app, part) {
  const found = carrierOf(part);
  if (!found) return { local: null, sent: null, secret: false, passed: false, carries: false };
  const { backward, edge } = found;
  if (part.scope.opened) return readEdgeInside(app, part, backward.edges[edge]);
  const passed = found.moment <= app.at;
  return {
    local: app.isComputed(part.forward.output) ? app.localOf(backward.id, edge) : null,
    sent: passed ? app.sentOf(backward.id, edge) : null,
    secret: app.isSecretEdge(backward.id, edge),
    passed,
    carries: true,
  };
}

function readEdgeInside(app, part, edge) {
  const [made, left] = momentsOfScope(app, part.scope);
  const recorded = app.live === null;
  return {
    local: recorded && app.at >= made ? app.array(edge.local.data) : null,
    sent: recorded && app.at >= left ? app.array(edge.sent) : null,
    secret: false,
    passed: app.at >= left,
    carries: true,
  };
}

/** What the current moment is about: keys of items, and the op, its input and the value there of its edge. */
function currentOf(app) {
  const { phase, forward, backward, edge } = app.moment;
  if (phase === "forward") {
    const step = app.index.forward.get(forward);
    return { phase, from: null, to: `v${step.output}`, forward, position: null, input: null };
  }
  if (phase === "seed")
    return { phase, from: null, to: `v${app.graph.output}`, forward: null, position: null, input: null };
  const step = app.index.backward.get(backward);
  if (phase === "leaf") return { phase, from: null, to: `v${step.value}`, forward: null, position: null, input: null };
  const { input, position } = step.edges[edge];
  return { phase, from: `v${step.value}`, to: `v${input}`, forward, position, input };
}
