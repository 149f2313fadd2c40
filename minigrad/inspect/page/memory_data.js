// The order in which memory was really taken and given back. In it the replay behind a checkpoint stands where it
// ran, in the backward pass; the walk's moments have all forward steps first.

/**
 * @typedef {{kind: "forward"|"replay"|"backward", step: object, live: number, moment: number}} MemoryEvent
 *   live: bytes held for the backward pass after it
 * @returns {MemoryEvent[]}
 */
function memoryEvents(app) {
  const { graph, index } = app;
  const events = [];
  const replays = graph.forward.filter((step) => step.replay);
  let live = 0;
  const run = (step, kind) => {
    live = step.live ?? live + step.bytes;
    events.push({ kind, step, live, moment: index.forwardMoment.get(step.output) });
  };
  for (const step of graph.forward) if (!step.replay) run(step, "forward");
  for (const step of graph.backward) {
    while (replays.length && isReplayedFor(app, step, replays[0])) run(replays.shift(), "replay");
    live = step.live;
    events.push({ kind: "backward", step, live, moment: lastMomentOf(app, step) });
  }
  return events;
}

/** Does this step of the backward pass make the piece behind a checkpoint run again, with this forward step in it? */
function isReplayedFor(app, step, replay) {
  if (step.forward === null || app.index.forward.get(step.forward).op !== "checkpoint") return false;
  return step.edges.some((edge) => replay.id <= (app.index.maker.get(edge.input)?.id ?? -1));
}

function lastMomentOf(app, step) {
  const first = app.index.backwardMoment.get(step.value);
  return first === undefined ? -1 : first + Math.max(0, step.edges.length - 1);
}

/** The event that the current moment belongs to, as an index; the seed still belongs to the last forward step. */
function eventOfMoment(app, events) {
  const { phase, forward, backward } = app.moments[app.at];
  if (phase === "seed") return events.findLastIndex((event) => event.kind === "forward");
  const wanted = phase === "forward" ? forward : backward;
  const kinds = phase === "forward" ? ["forward", "replay"] : ["backward"];
  return events.findIndex((event) => kinds.includes(event.kind) && event.step.id === wanted);
}

/** What each step saved, with the events of taking and freeing: [{step, taken, freed}], freed is -1 if never. */
function savedPieces(events) {
  const backwards = new Map(
    events
      .map((event, i) => [event, i])
      .filter(([e]) => e.kind === "backward")
      .map(([e, i]) => [e.step.id, i]),
  );
  return events
    .map((event, taken) => ({
      step: event.step,
      kind: event.kind,
      taken,
      freed: backwards.get(event.step.freed) ?? -1,
    }))
    .filter(({ kind, step }) => kind !== "backward" && step.saved.length);
}
