// The rule of the current moment: a sentence, the mathematics, the same with numbers plugged in, and what
// the gradient that was gathered becomes.

const PHASE_TITLES = { forward: "Forward", seed: "Seed", backward: "Backward", leaf: "Complete" };

class RulePanel {
  constructor(app) {
    this.app = app;
    this.phase = dom("span", { class: "phase" });
    this.where = dom("span", { class: "where" });
    this.sentence = dom("p", { class: "sentence", "aria-live": "polite", "aria-atomic": "true" });
    this.body = dom("div", { class: "rule-body" });
    this.element = dom(
      "section",
      { class: "rule", "aria-label": "Rule" },
      dom("header", {}, this.phase, this.where),
      this.sentence,
      this.body,
    );
    for (const event of ["moment", "live", "hidden", "theme"]) app.on(event, () => this.update());
  }

  update() {
    const { app } = this;
    const { phase } = app.moment;
    this.element.dataset.phase = phase;
    this.phase.textContent = PHASE_TITLES[phase];
    this.where.textContent = `${whereText(app)}${app.live ? " · live numbers" : ""}`;
    const sentence = sentenceOf(app);
    if (this.sentence.textContent !== sentence) this.sentence.textContent = sentence;
    const parts = { forward: forwardRule, seed: seedRule, backward: edgeRule, leaf: leafRule }[phase](app);
    this.body.replaceChildren(...parts.filter(Boolean));
    fitFormulas(this.body);
  }
}

/** "mul · step 3 of 9", in a module where there is one. */
function whereText(app) {
  const { phase, forward, backward } = app.moment;
  const step = forward === null ? null : app.index.forward.get(forward);
  const module = step?.module ? `${step.module} · ` : "";
  if (phase === "forward") return `${module}${step.op} · op ${forward + 1} of ${app.graph.forward.length}`;
  if (phase === "seed") return "where backward begins";
  const place = `step ${backward + 1} of ${app.graph.backward.length}`;
  return step ? `${module}${step.op} · ${place}` : place;
}

function forwardRule(app) {
  const step = app.index.forward.get(app.moment.forward);
  const rows = step.inputs.map((id, i) =>
    id === null ? null : arrayRow(app.value(id).name, app.valueOf(id), { arg: step.args[i] }),
  );
  const plain = [...step.inputs, step.output].every((id) => id === null || isScalar(app.valueOf(id)));
  return [
    formulaBlock(app, step.formula),
    step.numbers && !app.live ? formulaBlock(app, step.numbers, "numbers") : null,
    plain && step.numbers && !app.live ? null : dom("div", { class: "arrays" }, rows),
    plain && step.numbers && !app.live
      ? null
      : arrayRow(app.value(step.output).name, app.valueOf(step.output), { kind: "result" }),
  ];
}

function seedRule(app) {
  const { output } = app.graph;
  const name = app.value(output).name;
  return [
    formulaBlock(
      app,
      `∂L/∂${name} = ${isScalar(app.gradOf(output)) ? shortNumber(app.gradOf(output).data[0]) : "seed"}`,
    ),
    dom(
      "p",
      { class: "note" },
      `L is ${name}, the result. Every gradient asks: if this value moved a little, how much would L move?`,
    ),
  ];
}

function leafRule(app) {
  const { value } = app.index.backward.get(app.moment.backward);
  return [
    sumBlock(app, value),
    arrayRow(`∂L/∂${app.value(value).name}`, app.gradOf(value), { kind: "gradient", hidden: app.isSecretValue(value) }),
  ];
}

function edgeRule(app) {
  const { backward, edge: at } = app.moment;
  const step = app.index.backward.get(backward);
  const edge = step.edges[at];
  const hidden = app.isSecretEdge(backward, at);
  const [g, local, sent] = [app.gradOf(step.value), app.localOf(backward, at), app.sentOf(backward, at)];
  return [
    formulaBlock(app, edge.formula),
    pluggedIn(app, edge, g, local, sent, hidden),
    ruleInWords(app, step),
    localBlock(app, step, edge, local),
    isScalar(g)
      ? null
      : arrayRow(`∂L/∂${app.value(step.value).name}`, g, {
          kind: "gradient",
          hidden: app.isSecretValue(step.value),
          told: "arriving",
        }),
    isScalar(sent) ? null : arrayRow("sent", sent, { kind: "gradient", hidden }),
    sumBlock(app, edge.input, edge.order),
  ];
}

/** One sentence on what the op's backward does, from the library, where the sentence on top has no words of its own. */
function ruleInWords(app, step) {
  const op = app.index.forward.get(step.forward)?.op;
  const words = op in RULE_WORDS ? "" : app.page.words?.[op];
  return words ? dom("p", { class: "note rule-words" }, `${op}: ${words}.`) : null;
}

/** "0.9639 = 1.088 × 0.8859", where all are numbers. */
function pluggedIn(app, edge, g, local, sent, hidden) {
  if (![g, local, sent].every((a) => a && isScalar(a))) return null;
  const [a, b, c] = [sent, g, local].map((array) => shortNumber(array.data[0]).replace("-", "−"));
  const factor = c.startsWith("−") ? `(${c})` : c;
  return formulaBlock(app, `${hidden ? "?" : a} = ${b} · ${factor}`, "numbers");
}

/** ∂y/∂a = b = 2, the one factor that this op brings. */
function localBlock(app, step, edge, local) {
  const [y, x] = [app.value(step.value).name, app.value(edge.input).name];
  const text = edge.local.formula.includes("=") ? edge.local.formula : `∂${y}/∂${x} = ${edge.local.formula}`;
  const number = local && isScalar(local) ? shortNumber(local.data[0]).replace("-", "−") : null;
  const ends = number !== null && edge.local.formula !== number ? ` = ${number}` : "";
  const title =
    edge.local.kind === "jacobian" && local && !isScalar(local)
      ? `local derivative, a row for each element of ${y}`
      : "local derivative";
  return dom(
    "div",
    { class: "local-rule" },
    dom("h4", {}, title),
    formulaBlock(app, text + ends, "small"),
    local && !isScalar(local) ? showArray(local, { name: `∂${y}/∂${x}`, tools: false }) : null,
  );
}

/** The gathering, as code would do it: "=" the first time, "+=" after. */
function sumBlock(app, id, order = Infinity) {
  const all = app.index.arrivals.get(id) ?? [];
  const name = `${app.value(id).name}.grad`;
  const lines = all.slice(0, order + 1).map((a, i) => gatherLine(app, name, a, i, i === order));
  const total = app.gradNow(id);
  const secret = app.isSecretValue(id) || all.slice(0, order + 1).some((a) => app.isSecretEdge(a.backward.id, a.edge));
  const more = all.length - lines.length;
  return dom(
    "div",
    { class: "gather" },
    dom("h4", {}, "gathered"),
    dom("ol", { class: lines.length > 6 ? "long" : "" }, lines.slice(-6)),
    lines.length > 1
      ? dom("p", { class: "total" }, dom("span", {}, `${name} is now `), secret ? "?" : briefArray(total))
      : null,
    more > 0 ? dom("p", { class: "note" }, `${more} more to come.`) : null,
  );
}

function gatherLine(app, name, { backward, edge, moment }, i, current) {
  const sent = app.isSecretEdge(backward.id, edge) ? "?" : briefArray(app.sentOf(backward.id, edge));
  return dom(
    "li",
    { class: current ? "current" : "" },
    dom(
      "button",
      { type: "button", title: "Go to this moment", onclick: () => app.go(moment) },
      dom("code", {}, name, dom("b", {}, i ? " += " : " = "), sent),
      dom("small", {}, `from ${app.value(backward.value).name}`),
    ),
  );
}

/** A number, or a tiny map with its norm. */
function briefArray(array) {
  if (!array) return "not known";
  if (isScalar(array)) return shortNumber(array.data[0]);
  const thumb = thumbOf(array);
  const picture = thumb && dom("img", { src: thumb.url, class: "brief", alt: "" });
  return dom("span", { class: "brief-array" }, picture, ` norm ${shortNumber(normOf(array), 3)}`);
}

/** A formula; words at its end, or a formula all in words, stand as text. */
function formulaBlock(app, text, kind = "") {
  const words = text.match(/(?:(?<![\p{L}\p{N}_.])\p{L}{2,}[ ,]+){3,}.*$/u);
  const [formula, prose] = words ? [text.slice(0, words.index), words[0]] : [text, ""];
  return dom(
    "div",
    { class: `formula ${kind}` },
    formula.trim() ? mathOf(formula) : null,
    prose ? dom("p", { class: "prose" }, prose) : null,
  );
}

const SMALLEST_FORMULA = 0.62; // of its size; what is still too long can be scrolled

/** Formulas that are too wide for their place are set smaller. */
function fitFormulas(element) {
  const formulas = [...element.querySelectorAll(".formula")];
  const shares = formulas.map((block) => block.clientWidth / block.scrollWidth); // all are measured before any changes
  formulas.forEach((block, i) => {
    if (!(shares[i] < 1)) return;
    const size = parseFloat(getComputedStyle(block).fontSize) * Math.max(SMALLEST_FORMULA, shares[i] * 0.98);
    block.style.fontSize = `${size.toFixed(1)}px`;
    if (shares[i] < SMALLEST_FORMULA) block.tabIndex = 0;
  });
}

/** A named array: name and shape, then its picture. */
function arrayRow(name, array, { kind = "value", arg = null, hidden = false, told = null } = {}) {
  if (!array) return null;
  const shape = isScalar(array) ? null : dom("small", {}, shapeText(array.shape));
  return dom(
    "div",
    { class: `array-row ${kind}` },
    dom(
      "h4",
      {},
      dom("span", {}, name),
      arg && arg !== name ? dom("small", {}, arg) : null,
      told ? dom("small", {}, told) : null,
      shape,
    ),
    showArray(array, { name, hidden, tools: false }),
  );
}
