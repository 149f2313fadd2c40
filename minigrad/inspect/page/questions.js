// What exercise mode asks, in the order of the walk, and what it keeps secret meanwhile.
//
// A question: {kind: "edge"|"value", moment, value, backward, edge, truth, flat}. An "edge" asks what one step
// sends to one input, a "value" for a complete gradient; flat is the element asked for in an array too large to
// type, else null.

const TYPED_AT_MOST = 12;
const NAMES_AT_MOST = 400;

/**
 * The next question at or after a moment; null at the end of the walk.
 * @param {"edge"|"value"|"meet"} mode  meet: only gradients to which several paths contribute
 */
function nextQuestion(app, from, mode) {
  for (let at = Math.max(from, app.index.seedAt + 1); at < app.moments.length; at += 1) {
    const question = questionOf(app, at, mode);
    if (question) return question;
  }
  return null;
}

function questionOf(app, at, mode) {
  const { phase, backward, edge } = app.moments[at];
  if (phase !== "backward") return null;
  const step = app.index.backward.get(backward);
  const value = step.edges[edge].input;
  const arrivals = arrivalsOf(app, value);
  if (mode !== "edge" && arrivals[arrivals.length - 1].moment !== at) return null;
  if (mode === "meet" && arrivals.length < 2) return null;
  const truth = mode === "edge" ? app.sentOf(backward, edge) : app.gradOf(value);
  if (!truth || !truth.data || !truth.data.length) return null;
  const kind = mode === "edge" ? "edge" : "value";
  return { kind, moment: at, value, backward: step, edge, truth, flat: askedElement(truth, at) };
}

/** Of a large array one element is asked for, not one of the smallest: there rounding would be most of it. */
function askedElement(truth, at) {
  if (truth.data.length <= TYPED_AT_MOST) return null;
  const size = truth.data.length;
  const enough = 0.2 * truth.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (let i = 0; i < size; i += 1) {
    const flat = (at * 7919 + i * 31) % size;
    if (Math.abs(truth.data[flat]) >= enough) return flat;
  }
  return 0;
}

/** How many questions a walk from here has. */
function countQuestions(app, from, mode) {
  let count = 0;
  for (let question = nextQuestion(app, from, mode); question; question = nextQuestion(app, question.moment + 1, mode))
    count += 1;
  return count;
}

/** What is secret while a question stands: all that comes after it, and what it asks for. */
function secretsOf(app, question) {
  const secret = new Set();
  app.moments.forEach(({ phase, backward, edge }, at) => {
    if (phase !== "backward" || at < question.moment) return;
    secret.add(`${backward}:${edge}`);
    secret.add(`v${app.index.backward.get(backward).edges[edge].input}`);
  });
  if (question.kind === "value") {
    for (const { backward, edge } of arrivalsOf(app, question.value)) secret.add(`${backward.id}:${edge}`);
  }
  return secret;
}

/** The names that an answer may use: values of the graph, g that arrives, y that was made, and the op's own names. */
function namesFor(app, question) {
  const names = new Map();
  const add = (name, array) => {
    const typed = /^[\p{L}_]/u.test(name ?? ""); // a constant may be called 1
    if (typed && array && !array.summary && !names.has(name)) names.set(name, array);
  };
  if (question.kind === "edge" || arrivalsOf(app, question.value).length === 1) {
    const { backward } = question;
    const forward = app.index.forward.get(backward.forward);
    forward.inputs.forEach((id) => id !== null && add(app.value(id).name, app.valueOf(id)));
    add(app.value(backward.value).name, app.valueOf(backward.value));
    add("g", app.gradOf(backward.value));
    add("y", app.valueOf(backward.value));
    forward.inputs.forEach((id, i) => id !== null && add(forward.args[i], app.valueOf(id)));
  }
  for (const value of app.graph.values) if (names.size < NAMES_AT_MOST) add(value.name, app.valueOf(value.id));
  return names;
}

/** Hints from vague to plain; the last but leaves the multiplication to do. */
function hintsFor(app, question) {
  const arrivals = question.kind === "edge" ? [question] : arrivalsOf(app, question.value);
  const rules = arrivals.slice(0, 4).map((a) => a.backward.edges[a.edge].formula);
  const hints = [`The rule: ${rules.join(" and ")}${arrivals.length > 4 ? " …" : ""}.`];
  if (question.kind === "value" && arrivals.length > 1) {
    hints.unshift(`${arrivals.length} paths meet here: each sends its share, and the shares are added.`);
  }
  const numbers = arrivals
    .slice(0, 4)
    .map((a) => factorsText(app, a))
    .filter(Boolean);
  if (numbers.length === arrivals.length) hints.push(`In numbers: ${numbers.join(" + ")}.`);
  return hints;
}

/** "0.5 · 1.4", incoming gradient times local derivative, where both are single numbers. */
function factorsText(app, { backward, edge }) {
  const [g, local] = [app.gradOf(backward.value), app.localOf(backward.id, edge)];
  if (!g?.data || !local?.data || g.data.length !== 1 || local.data.length !== 1) return null;
  return `${shortNumber(g.data[0], 6)} · ${shortNumber(local.data[0], 6)}`;
}
