// Predict, then reveal: the next gradient is hidden, the reader types it, and a wrong answer is told what it is.

const ASKING = [
  ["edge", "what each edge sends"],
  ["value", "each complete gradient"],
  ["meet", "only where paths meet"],
];

PANELS.push({
  id: "exercise",
  title: "Predict",
  make(app) {
    const panel = { app, mode: "edge", question: null, root: dom("div", { class: "exercise-panel" }) };
    this.panel = panel;
    panel.body = dom("div", { class: "exercise-body" });
    panel.root.append(exerciseChoices(panel), panel.body);
    showWelcome(panel);
    return panel.root;
  },
  update(app) {
    const { panel } = this;
    if (panel.question && !app.hidden.size) stopExercise(panel); // someone else ended it
    if (panel.question && panel.live !== app.live) askAgain(panel); // the numbers have changed
  },
});

function exerciseChoices(panel) {
  const select = dom(
    "select",
    { onchange: () => (panel.mode = select.value) },
    ASKING.map(([value, text]) => dom("option", { value }, text)),
  );
  panel.start = dom(
    "button",
    {
      type: "button",
      class: "exercise-start",
      onclick: () => (panel.question ? stopExercise(panel) : startExercise(panel)),
    },
    "Start",
  );
  panel.select = select;
  panel.told = dom("span", { class: "exercise-score", "aria-live": "polite" });
  return dom("div", { class: "panel-choices" }, dom("label", {}, "ask me ", select), panel.start, panel.told);
}

function showWelcome(panel) {
  panel.body.replaceChildren(
    dom(
      "p",
      { class: "quiet-text" },
      "From this step on gradients are hidden. Work each one out: the page checks it, and names the mistake.",
    ),
  );
}

function startExercise(panel) {
  const { app } = panel;
  const first = nextQuestion(app, app.at, panel.mode) ?? nextQuestion(app, 0, panel.mode);
  if (!first) return panel.body.replaceChildren(dom("p", {}, "There is nothing of this kind to ask here."));
  panel.score = { first: 0, later: 0, shown: 0, asked: 0, all: countQuestions(app, first.moment, panel.mode) };
  panel.select.disabled = true;
  panel.start.textContent = "Stop";
  return ask(panel, first);
}

function stopExercise(panel) {
  const { score } = panel;
  panel.question = null;
  panel.select.disabled = false;
  panel.start.textContent = "Start";
  if (panel.app.hidden.size) panel.app.setHidden(new Set());
  panel.told.textContent = "";
  const done = score.first + score.later;
  panel.body.replaceChildren(
    dom(
      "p",
      { class: "exercise-end" },
      `${done} of ${score.asked} answered, ${score.first} of them at once; ${score.shown} shown.`,
    ),
  );
}

/** Go to the question's step, hide what it asks and all that follows. */
function ask(panel, question) {
  const { app } = panel;
  Object.assign(panel, { question, live: app.live, tries: 0, hints: hintsFor(app, question), hinted: 0, done: false });
  panel.score.asked += 1;
  buildQuestion(panel);
  app.setHidden(secretsOf(app, question));
  app.select(null);
  app.go(question.moment);
  panel.field.focus({ preventScroll: true });
}

/** The same question with the numbers after a drag. */
function askAgain(panel) {
  const { app, question } = panel;
  const again = questionOf(app, question.moment, panel.mode);
  panel.live = app.live;
  if (again) Object.assign(panel, { question: { ...again, flat: question.flat }, hints: hintsFor(app, again) });
  if (again && !panel.done) buildQuestion(panel);
}

function buildQuestion(panel) {
  const { app, question, score } = panel;
  panel.field = dom("input", {
    type: "text",
    class: "exercise-answer",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: answerExample(question),
    "aria-label": "your answer",
    onkeydown: (event) => answerKey(panel, event),
  });
  panel.verdict = dom("p", { class: "exercise-verdict", "aria-live": "polite" });
  const button = (label, onclick) => dom("button", { type: "button", onclick }, label);
  panel.check = button("Check", () => checkAnswer(panel));
  panel.buttons = dom(
    "span",
    {},
    panel.check,
    button("Hint", () => giveHint(panel)),
    button("Show me", () => reveal(panel, false)),
  );
  panel.body.replaceChildren(
    dom("p", { class: "exercise-question" }, ...questionText(app, question)),
    givenNumbers(app, question),
    dom("div", { class: "exercise-row" }, panel.field, panel.buttons),
    panel.verdict,
  );
  const { asked: place, all, first, later, shown } = score;
  panel.told.textContent = `question ${place} of ${all}: ${first} right at once, ${later} later, ${shown} shown`;
}

function answerExample({ truth, flat }) {
  if (flat !== null || truth.data.length === 1) return "a number, or an expression such as g * a";
  return `${shapeText(truth.shape)}: nested lists, or an expression such as a.T @ g`;
}

/** The question in words. */
function questionText(app, { kind, value, backward, flat, truth, edge }) {
  const output = app.value(app.graph.output).name;
  const x = app.value(value);
  const what = dom("b", {}, `∂${output}/∂${flat === null ? x.name : elementName(x.name, flat, truth.shape)}`);
  const shape = truth.shape.length && flat === null ? ` of shape ${shapeText(truth.shape)}` : "";
  if (kind === "value") return ["What is ", what, shape, ", once all paths have sent their share?"];
  const y = app.value(backward.value).name;
  const others = arrivalsOf(app, value).length;
  const share = others > 1 ? `the share of ` : "";
  const which =
    backward.edges.filter((e) => e.input === value).length > 1 ? ` by way of ${backward.edges[edge].arg}` : "";
  return [`What does `, dom("b", {}, y), ` send to `, dom("b", {}, x.name), `${which}: ${share}`, what, shape, "?"];
}

/** What the answer is made of: the op, the gradient that arrives, the values at hand. */
function givenNumbers(app, question) {
  const arrivals = question.kind === "edge" ? [question] : arrivalsOf(app, question.value);
  const list = dom("div", { class: "exercise-given" });
  for (const { backward } of arrivals.slice(0, 4)) {
    const forward = app.index.forward.get(backward.forward);
    const given = (name, array) => dom("div", {}, dom("small", {}, `${name} =`), showArray(array, { tools: false }));
    const inputs = forward.inputs.map((id, i) =>
      id === null ? null : given(nameWithArg(app, id, forward.args[i]), app.valueOf(id)),
    );
    list.append(
      dom("code", {}, forward.formula),
      dom(
        "div",
        { class: "exercise-numbers" },
        given(
          `g = ∂${app.value(app.graph.output).name}/∂${app.value(backward.value).name}`,
          app.gradOf(backward.value),
        ),
        inputs,
        given(`y = ${app.value(backward.value).name}`, app.valueOf(backward.value)),
      ),
    );
  }
  if (arrivals.length > 4) list.append(dom("small", {}, `and ${arrivals.length - 4} more paths`));
  return list;
}

function nameWithArg(app, id, arg) {
  const { name } = app.value(id);
  return name === arg ? name : `${arg} = ${name}`;
}

function answerKey(panel, event) {
  event.stopPropagation(); // letters and arrows belong to the field
  if (event.key !== "Enter") return;
  event.preventDefault();
  if (panel.done) goOn(panel);
  else checkAnswer(panel);
}

function checkAnswer(panel) {
  const { app, question } = panel;
  let answer;
  try {
    answer = readAnswer(panel.field.value, namesFor(app, question));
  } catch (problem) {
    return say(panel, `I cannot work that out: ${problem.message}.`, "unread");
  }
  panel.tries += 1;
  const verdict = diagnose(answer, question, mistakesOf(app, question));
  if (verdict.right) return reveal(panel, true);
  return say(panel, verdict.told, "wrong", verdict.name);
}

function say(panel, text, kind, name = null) {
  panel.verdict.className = `exercise-verdict ${kind}`;
  panel.verdict.dataset.mistake = name ?? "";
  panel.verdict.replaceChildren(...(name && kind === "wrong" ? [dom("b", {}, `${name}: `)] : []), text);
}

function giveHint(panel) {
  if (panel.done) return;
  const hint = panel.hints[Math.min(panel.hinted, panel.hints.length - 1)];
  panel.hinted += 1;
  say(panel, hint, "hint");
}

/** Show the number; what was asked is secret no more. */
function reveal(panel, right) {
  const { app, question, score } = panel;
  if (panel.done) return;
  panel.done = true;
  if (!right) score.shown += 1;
  else if (panel.tries === 1 && !panel.hinted) score.first += 1;
  else score.later += 1;
  const next = nextQuestion(app, question.moment + 1, panel.mode);
  app.setHidden(next ? secretsOf(app, next) : new Set(["done"]));
  panel.next = next;
  say(panel, right ? "Right. " : "This is it. ", right ? "right" : "shown");
  const truth = asked(question.truth, question.flat);
  panel.verdict.append(showArray(truth, { tools: false }));
  const on = dom("button", { type: "button", onclick: () => goOn(panel) }, next ? "Next question" : "Finish");
  panel.buttons.replaceChildren(on);
  on.focus({ preventScroll: true });
}

function goOn(panel) {
  if (panel.next) ask(panel, panel.next);
  else stopExercise(panel);
}
