// Each moment as a sentence: what the reader sees under the rule, and what a screen reader says.

/** What becomes of a gradient on its way through the common ops to the input x; `other` names the other inputs. */
const RULE_WORDS = {
  add: ({ x }) => `goes on to ${x} as it is`,
  sub: ({ x, arg }) => (arg === "a" ? `goes on to ${x} as it is` : `goes on to ${x} with its sign changed`),
  neg: ({ x }) => `goes on to ${x} with its sign changed`,
  mul: ({ x, other }) => `is multiplied by the other factor${other} and sent to ${x}`,
  matmul: ({ x, other }) => `is multiplied by the other matrix,${other}, transposed, and sent to ${x}`,
  exp: ({ x }) => `is multiplied by the result itself and sent to ${x}`,
  log: ({ x }) => `is divided by the input and sent to ${x}`,
  square: ({ x }) => `is multiplied by twice the input and sent to ${x}`,
  sum: ({ x }) => `goes to every element of ${x}`,
  mean: ({ x }) => `goes to every element of ${x}, divided by their number`,
  relu: ({ x }) => `goes on to ${x} where ${x} is positive, and stops elsewhere`,
};

/** The sentence of a moment. */
function sentenceOf(app, at = app.at) {
  return momentInWords(app, app.moments[at]).replaceAll("e-", "e-\u2060"); // no line break inside 1.2e-6
}

function momentInWords(app, moment) {
  if (moment.phase === "forward") return forwardSentence(app, moment);
  if (moment.phase === "seed") return seedSentence(app);
  return moment.phase === "leaf" ? leafSentence(app, moment) : edgeSentence(app, moment);
}

function forwardSentence(app, moment) {
  const step = app.index.forward.get(moment.forward);
  const result = arrayInWords(app.valueOf(step.output));
  const again = step.replay ? "Behind a checkpoint the forward pass runs again: " : "";
  const one = isScalar(app.valueOf(step.output));
  if (!step.numbers || app.live) return `${again}${step.formula}${one ? " =" : ","} ${result}.`;
  const [, plugged] = step.numbers.split(/ = (.*)/s);
  return `${again}${step.formula} = ${plugged} = ${result}.`;
}

function seedSentence(app) {
  const name = app.value(app.graph.output).name;
  const seed = app.gradOf(app.graph.output);
  if (!isScalar(seed)) return `The backward pass begins with the gradient given for ${name}, ${arrayInWords(seed)}.`;
  if (seed.data[0] !== 1) return `The backward pass begins at ${name} with the gradient given, ${arrayInWords(seed)}.`;
  return `The backward pass begins: ${name} changes with itself one to one, so its gradient is 1.`;
}

function leafSentence(app, moment) {
  const { value } = app.index.backward.get(moment.backward);
  const parts = app.index.arrivals.get(value)?.length ?? 0;
  const from = parts > 1 ? `, the sum of ${parts} contributions` : "";
  return `The gradient of ${app.value(value).name} is complete: ${secretOr(app, value, app.gradOf(value))}${from}.`;
}

function edgeSentence(app, moment) {
  const step = app.index.backward.get(moment.backward);
  const edge = step.edges[moment.edge];
  const [y, x] = [app.value(step.value).name, app.value(edge.input).name];
  const forward = app.index.forward.get(step.forward);
  const arriving = secretOr(app, step.value, app.gradOf(step.value));
  const rule = forward ? wordsOfRule(app, forward, edge, x) : `goes through to ${x}`;
  return `The gradient arriving at ${y}, ${arriving}, ${rule}. ${arrivalSentence(app, moment, edge)}`;
}

/** What happens to the gradient on its way: the op's own words, else the local derivative, else the formula. */
function wordsOfRule(app, forward, edge, x) {
  const known = RULE_WORDS[forward.op];
  if (known) return known({ x, arg: edge.arg, other: otherInputs(app, forward, edge) });
  const local = edge.local.kind === "none" ? null : app.array(edge.local.data);
  const number = local && isScalar(local) ? ` = ${shortNumber(local.data[0])}` : "";
  if (number) return `is multiplied by the local derivative ${edge.local.formula}${number} and sent to ${x}`;
  return `is sent to ${x} as ${edge.formula.split(/ = (.*)/s)[1] ?? edge.formula}`;
}

/** " b = 2": the inputs of an op apart from the one that an edge leads to. */
function otherInputs(app, forward, edge) {
  const others = forward.inputs.filter((id, position) => id !== null && position !== edge.position);
  const told = others.map((id) => {
    const array = app.valueOf(id);
    const value = app.value(id);
    return isScalar(array) && value.kind !== "constant" ? `${value.name} = ${shortNumber(array.data[0])}` : value.name;
  });
  return told.length ? ` ${told.join(" and ")}` : "";
}

/** What the contribution does to the gradient that is gathered there. */
function arrivalSentence(app, moment, edge) {
  const x = app.value(edge.input).name;
  if (app.isSecretEdge(moment.backward, moment.edge)) return "How much arrives is yours to predict.";
  const sent = app.sentOf(moment.backward, moment.edge);
  const all = app.index.arrivals.get(edge.input).length;
  if (edge.order === 0) {
    const more = all > 1 ? `, the first of ${all}` : "";
    return `${capital(arrayInWords(sent))} arrives${more}.`;
  }
  if (app.isSecretValue(edge.input)) return `${capital(arrayInWords(sent))} is added to what was there.`;
  const total = totalAfter(app, edge);
  return `${capital(arrayInWords(sent))} is added to what was there: now ${x} has ${arrayInWords(total)}.`;
}

/** What has gathered at an edge's input once the edge has sent its share. */
function totalAfter(app, edge) {
  if (!app.live && edge.total !== null) return app.array(edge.total);
  const came = app.index.arrivals.get(edge.input).slice(0, edge.order + 1);
  const sent = came.map((a) => app.sentOf(a.backward.id, a.edge));
  return sent.every((array) => array?.data) ? sumOfArrays(sent) : null;
}

function secretOr(app, id, array) {
  return app.isSecretValue(id) ? "which you are to predict" : arrayInWords(array);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
