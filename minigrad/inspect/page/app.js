// The app: what the page knows and where the reader is. Views listen; only the app changes it.

/** Each panel's file pushes {id, title, make(app) -> HTMLElement, update(app)}. */
const PANELS = [];

/**
 * The state of the page. Events: "moment", "select", "live", "hidden", "theme", "fold"; after each of them
 * every listener runs, then every panel's update.
 */
class App {
  constructor(page) {
    this.page = page;
    this.graph = page.graph;
    this.arrays = decodeArrays(page.arrays);
    this.moments = momentsOf(page.graph);
    this.index = indexGraph(page.graph, this.moments);
    this.at = 0;
    this.selected = null;
    this.live = null;
    this.hidden = new Set();
    this.listeners = new Map();
  }

  get moment() {
    return this.moments[this.at];
  }

  // ---- events

  on(event, listener) {
    pushTo(this.listeners, event, listener);
  }

  emit(event) {
    for (const listener of this.listeners.get(event) ?? []) listener(this);
    for (const listener of this.listeners.get("any") ?? []) listener(this, event);
  }

  /** Move to a moment; out of range is clamped. */
  go(at) {
    this.at = Math.max(0, Math.min(this.moments.length - 1, Math.round(at)));
    this.emit("moment");
  }

  /** Look at a value; null looks at the current step's again. */
  select(id) {
    this.selected = id;
    this.emit("select");
  }

  /** Numbers recomputed after a drag, {values, grads, sent}, or null for the recorded ones. */
  setLive(live) {
    this.live = live;
    this.emit("live");
  }

  /** What an exercise keeps secret: "backwardId:edgeIndex" and "v<valueId>". */
  setHidden(hidden) {
    this.hidden = hidden;
    this.emit("hidden");
  }

  // ---- numbers, recorded or live

  value(id) {
    return this.index.values.get(id);
  }

  array(index) {
    return index === null || index === undefined ? null : this.arrays[index];
  }

  valueOf(id) {
    return this.live?.values.get(id) ?? this.array(this.value(id).data);
  }

  /** The complete gradient of a value, or null where it has none. */
  gradOf(id) {
    return this.live?.grads.get(id) ?? this.array(this.value(id).grad ?? this.index.completed.get(id)?.g);
  }

  /** What a backward step sends along one of its edges. */
  sentOf(backwardId, edgeIndex) {
    return (
      this.live?.sent[backwardId]?.[edgeIndex] ?? this.array(this.index.backward.get(backwardId).edges[edgeIndex].sent)
    );
  }

  /** The local derivative of an edge as numbers, or null; when live only where it is one number. */
  localOf(backwardId, edgeIndex) {
    const step = this.index.backward.get(backwardId);
    const recorded = this.array(step.edges[edgeIndex].local.data);
    if (!this.live || !recorded) return recorded;
    const g = this.live.grads.get(step.value);
    const sent = this.live.sent[backwardId]?.[edgeIndex];
    if (!g?.data || !sent?.data || g.data.length !== 1 || sent.data.length !== 1 || g.data[0] === 0) return null;
    return { shape: recorded.shape, dtype: recorded.dtype, data: Float64Array.of(sent.data[0] / g.data[0]) };
  }

  // ---- numbers as of the current moment

  /** What has arrived at a value so far: [{moment, backward, edge}], oldest first. */
  arrivedAt(id) {
    return (this.index.arrivals.get(id) ?? []).filter((a) => a.moment <= this.at);
  }

  /** The gradient gathered at a value up to now; null before anything came. */
  gradNow(id) {
    if (id === this.graph.output && this.at >= this.index.seedAt) return this.gradOf(id);
    const came = this.arrivedAt(id);
    if (!came.length) return null;
    const last = came[came.length - 1];
    const total = last.backward.edges[last.edge].total;
    if (!this.live && total !== null) return this.array(total); // large ones are not written out: added up here
    const sent = came.map((a) => this.sentOf(a.backward.id, a.edge));
    return sent.every((array) => array?.data) ? sumOfArrays(sent) : null;
  }

  /** True once the forward pass has come to this value. */
  isComputed(id) {
    return (this.index.forwardMoment.get(id) ?? -1) <= this.at;
  }

  /** True once all users have sent their share: the gradient will not change any more. */
  isComplete(id) {
    const all = this.index.arrivals.get(id) ?? [];
    if (id === this.graph.output) return this.at >= this.index.seedAt;
    return all.length > 0 && all[all.length - 1].moment <= this.at;
  }

  /** Exercise mode: is this gradient, or this edge's share, a secret? */
  isSecretValue(id) {
    return this.hidden.has(`v${id}`);
  }

  isSecretEdge(backwardId, edgeIndex) {
    return this.hidden.has(`${backwardId}:${edgeIndex}`);
  }

  /** The value that the panels are about: the selected one, else the current step's. */
  shownValue() {
    if (this.selected !== null) return this.selected;
    const { phase, forward, backward, edge } = this.moment;
    if (phase === "forward") return this.index.forward.get(forward).output;
    if (phase === "seed") return this.graph.output;
    const step = this.index.backward.get(backward);
    return edge === null ? step.value : step.edges[edge].input;
  }
}
