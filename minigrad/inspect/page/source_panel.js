// The source panel: the reader's line that made the current step, and the op's own definition with its rules.

const PYTHON_TOKENS = new RegExp(
  [
    "(?<string>\"\"\"[^]*?\"\"\"|'''[^]*?'''|\"(?:\\\\.|[^\"\\\\\\n])*\"|'(?:\\\\.|[^'\\\\\\n])*')",
    "(?<comment>#[^\\n]*)",
    "(?<keyword>\\b(?:def|return|lambda|if|else|elif|for|in|not|and|or|is|None|True|False|import|from|class|with|as|raise|while)\\b)",
    "(?<decorator>^[ \\t]*@[\\w.]+)",
    "(?<number>\\b\\d+(?:\\.\\d+)?(?:e[-+]?\\d+)?\\b)",
  ].join("|"),
  "gm",
);

PANELS.push({
  id: "source",
  title: "Source",
  make(app) {
    this.element = dom("div", { class: "source" });
    this.shown = null;
    return this.element;
  },
  update(app) {
    const forward = forwardOfMoment(app);
    const arg = app.moment.phase === "backward" ? argOfMoment(app) : null;
    const key = `${forward?.id}:${arg}`;
    if (key === this.shown) return;
    this.shown = key;
    this.element.replaceChildren(...sourceParts(app, forward, arg));
  },
});

/** The op that the panels are about: the selected value's, else the current step's. */
function forwardOfMoment(app) {
  if (app.selected !== null) return app.index.maker.get(app.selected) ?? null;
  const { forward } = app.moment;
  if (forward !== null) return app.index.forward.get(forward);
  return app.index.maker.get(app.shownValue()) ?? null;
}

function argOfMoment(app) {
  const { backward, edge } = app.moment;
  return app.index.backward.get(backward).edges[edge].arg;
}

function sourceParts(app, forward, arg) {
  if (!forward)
    return [dom("p", { class: "note" }, "An input or a parameter: no op made it, and its gradient ends here.")];
  const source = app.page.sources?.[forward.op];
  return [
    forward.code ? dom("h4", {}, "your line ", dom("small", {}, `${forward.file}:${forward.line}`)) : null,
    forward.code ? pythonCode(forward.code) : null,
    forward.replay
      ? dom("p", { class: "note" }, "Behind a checkpoint: this ran again, during the backward pass.")
      : null,
    source ? dom("h4", {}, "the op ", dom("small", {}, `${forward.op}, its result and its rules`)) : null,
    source ? pythonCode(source, arg) : null,
    dom("h4", {}, "saved for backward"),
    dom("p", { class: "note" }, savedText(forward)),
  ].filter(Boolean);
}

function savedText({ saved, bytes }) {
  if (!saved.length) return "nothing";
  return `${saved.map(({ what, bytes: n }) => `${what} (${bytesText(n)})`).join(", ")}: ${bytesText(bytes)}`;
}

/** Python in colours; the rule of the argument `arg` is marked. */
function pythonCode(text, arg = null) {
  const code = withoutExamples(text.replace(/\s+$/, ""));
  const [from, to] = arg === null ? [0, 0] : rangeOfRule(code, arg.replace(/\W.*$/, ""));
  const marked = to > from ? dom("mark", {}, colouredParts(code.slice(from, to))) : null;
  return dom(
    "pre",
    { class: "python", tabindex: 0 },
    colouredParts(code.slice(0, from)),
    marked,
    colouredParts(code.slice(to)),
  );
}

/** The source with long docstrings cut to their first line: here the code is what matters. */
function withoutExamples(text) {
  return text.replace(/("""[^\n"]*)\n[^]*?"""/g, '$1"""');
}

/** Where "a=lambda g, b: g * b" begins and ends: at the comma or bracket that closes it. */
function rangeOfRule(code, arg) {
  const start = code.match(new RegExp(`(?<![\\w.])${arg}=lambda`))?.index;
  if (start === undefined) return [0, 0];
  let depth = 0;
  for (let i = code.indexOf(":", start); i < code.length; i += 1) {
    if ("([{".includes(code[i])) depth += 1;
    else if (")]}".includes(code[i])) depth -= 1;
    if (depth < 0 || (depth === 0 && code[i] === ",")) return [start, i];
  }
  return [0, 0];
}

/** The text as plain pieces and coloured spans. */
function colouredParts(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(PYTHON_TOKENS)) {
    const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    parts.push(text.slice(at, match.index), dom("span", { class: `py-${kind}` }, match[0]));
    at = match.index + match[0].length;
  }
  return [...parts, text.slice(at)];
}
