// Where time runs: the program itself, and the inside of every fused op that walks over time (nn.LSTM is one
// op, so its steps are nowhere else). The time panel asks all its questions of such a scope.

/** The program's own graph: its moments are those of the walk. */
class ProgramTime {
  constructor(app) {
    Object.assign(this, { app, graph: app.graph, index: app.index, label: "in the program", moments: new Map() });
  }

  get times() {
    return this.app.page.times;
  }

  valueOf(id) {
    return this.app.valueOf(id);
  }

  gradOf(id) {
    return this.app.gradOf(id);
  }

  sentOf(backwardId, edge) {
    return this.app.sentOf(backwardId, edge);
  }

  isSecret(id) {
    return this.app.isSecretValue(id);
  }

  isSecretEdge(backwardId, edge) {
    return this.app.isSecretEdge(backwardId, edge);
  }

  kindOf(id) {
    return this.index.values.get(id).kind;
  }

  /** What the walk is at. */
  current() {
    return { id: valueOfMoment(this.app), time: timeOfMoment(this.app) };
  }

  /** When a value's number is complete; kept, as it searches the whole walk. */
  momentOf(id, wanted) {
    const key = `${wanted}${id}`;
    if (!this.moments.has(key)) this.moments.set(key, momentOfValue(this.app, id, wanted));
    return this.moments.get(key);
  }

  /** Go where this number is complete. */
  visit(id, wanted) {
    const moment = this.momentOf(id, wanted);
    this.app.select(id);
    if (moment >= 0) this.app.go(moment);
  }

  visitEdge({ moment }) {
    this.app.go(moment);
  }
}

/** What a fused op was opened into: all of it happens in the two moments of that op. */
class InsideTime {
  /** @param outer the scope that the op lies in */
  constructor(outer, step) {
    const { name } = outer.index.values.get(step.output);
    const label = `inside ${name}${name.includes(step.op) ? "" : ` (${step.op})`}`;
    Object.assign(this, { app: outer.app, outer, step, graph: step.inside, label, chosen: null });
  }

  get times() {
    return this.step.inside.times ?? [];
  }

  get index() {
    this.kept ??= indexGraph(this.graph, momentsOf(this.graph));
    return this.kept;
  }

  /** The op of the program that all this lies in. */
  get outermost() {
    return this.outer.outermost ?? this.step;
  }

  /** The live run of this graph, forward or "backward"; null while the recorded numbers are shown. */
  live(way) {
    const run = this.outer.live ? this.outer.live(way) : this.app.live?.[way];
    return run?.inside?.get(this.step.id) ?? null;
  }

  valueOf(id) {
    return this.live("run")?.values.get(id) ?? this.app.array(this.index.values.get(id).data);
  }

  gradOf(id) {
    const recorded = this.index.values.get(id).grad ?? this.index.completed.get(id)?.g;
    return this.live("back")?.grads.get(id) ?? this.app.array(recorded);
  }

  sentOf(backwardId, edge) {
    const recorded = this.index.backward.get(backwardId).edges[edge].sent;
    return this.live("back")?.sent[backwardId]?.[edge] ?? this.app.array(recorded);
  }

  /** What the fused op itself sends to the input that stands for this value, or null. */
  sentOutside(id) {
    const back = this.outer.index.completed.get(this.step.output);
    const edge = back ? back.edges.findIndex(({ position }) => position === this.graph.inputs.indexOf(id)) : -1;
    return edge < 0 ? null : this.outer.sentOf(back.id, edge);
  }

  outsideOf(id) {
    const position = this.graph.inputs.indexOf(id);
    return position < 0 ? null : this.step.inputs[position];
  }

  /** While an exercise asks for anything that the op sends or gets, all gradients in here would tell. */
  isSecret() {
    const { outer, step } = this;
    const back = outer.index.completed.get(step.output);
    const sends = (back?.edges ?? []).some(({ input }, k) => outer.isSecretEdge(back.id, k) || outer.isSecret(input));
    return sends || outer.isSecret(step.output);
  }

  isSecretEdge() {
    return this.isSecret();
  }

  kindOf(id) {
    const outside = this.outsideOf(id);
    return outside === null ? this.index.values.get(id).kind : this.outer.kindOf(outside);
  }

  current() {
    return { id: this.chosen, time: null };
  }

  momentOf(id, wanted) {
    const { index } = this.app;
    const { output } = this.outermost;
    return (wanted === "value" ? index.forwardMoment : index.backwardMoment).get(output) ?? -1;
  }

  /** Show the op, and open its box where that is no maze. The walk stays where it is, for it has no moments in here. */
  visit(id) {
    this.chosen = id;
    const { app, outermost } = this;
    const item = app.folding?.items.get(`v${outermost.output}`);
    if (item) app.folding.reveal(item);
    const small = outermost.inside.values.length <= MOST_UNFOLDED;
    if (item?.inside.folded && small) app.folding.toggle(item.inside.key);
    app.select(outermost.output);
    const { layout, camera } = window.minigrad?.view ?? {};
    const rect = layout?.nodes.get(`v${outermost.output}/${id}`) ?? layout?.nodes.get(`v${outermost.output}`);
    if (rect) camera.show(rect);
  }

  visitEdge({ backward }) {
    this.visit(backward.value);
  }
}

const TIME_SCOPES = new WeakMap(); // app -> its scopes, which do not change

/** All scopes with something in time, the program first. */
function timeScopes(app) {
  if (!TIME_SCOPES.has(app)) {
    const program = new ProgramTime(app);
    const walks = scopesInside(program).filter((scope) => timeRows(scope).some((row) => row.named));
    TIME_SCOPES.set(app, program.times.length ? [program, ...walks] : walks);
  }
  return TIME_SCOPES.get(app);
}

function scopesInside(outer) {
  const found = outer.graph.forward.filter((step) => step.inside).map((step) => new InsideTime(outer, step));
  return found.flatMap((scope) => [scope, ...scopesInside(scope)]);
}

/** The one to begin with: where time runs longest. */
function longestScope(scopes) {
  const steps = (scope) => Math.max(...timeRows(scope).map((row) => row.ids.length));
  return scopes.reduce((best, scope) => (steps(scope) > steps(best) ? scope : best));
}

/** A choice among the scopes; where there is one alone, its name if it is not the program. */
function scopeChoice(panel, choose) {
  const { scopes, scope } = panel;
  if (scopes.length === 1) return scope.step ? dom("span", {}, "time ", scope.label) : null;
  const options = scopes.map((one, i) => dom("option", { value: i }, scopeText(one)));
  const select = dom("select", { class: "time-scope", onchange: () => choose(scopes[Number(select.value)]) }, options);
  select.value = String(scopes.indexOf(scope));
  return dom("label", {}, "time ", select);
}

/** "inside lstm.lstm_sequence@2 (l0_reverse)": a layer of several is known by its weights. */
function scopeText(scope) {
  const inputs = (scope.step?.inputs ?? []).filter((id) => id !== null);
  const weight = inputs.find((id) => scope.outer.kindOf(id) === "parameter");
  if (weight === undefined) return scope.label;
  const name = scope.outer.index.values.get(weight).name.split(".").at(-1);
  return `${scope.label} (${name.replace(/^weight_ih_/, "")})`;
}
