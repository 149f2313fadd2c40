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
  if (!forward) return [dom("p", { class: "note" }, "An input or a parameter: no op made it, and its gradient ends here.")];
  const source = app.page.sources?.[forward.op];
  return [
    forward.code ? dom("h4", {}, "your line ", dom("small", {}, `${forward.file}:${forward.line}`)) : null,
    forward.code ? pythonCode(forward.code) : null,
    forward.replay ? dom("p", { class: "note" }, "Behind a checkpoint: this ran again, during the backward pass.") : null,
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

/** Python in colours; the line with the rule of the argument `arg` is marked. */
function pythonCode(text, arg = null) {
  const rule = arg === null ? null : new RegExp(`(^|[(,]\\s*|^\\s*)${arg.replace(/\W.*$/, "")}=lambda`);
  const lines = colouredLines(text.replace(/\s+$/, ""));
  return dom("pre", { class: "python", tabindex: 0 }, lines.map(({ parts, plain }) =>
    dom("span", { class: rule?.test(plain) ? "code-line marked" : "code-line" }, parts, "\n")));
}

/** The text as lines of coloured spans; a token may run over several lines. */
function colouredLines(text) {
  const lines = [{ parts: [], plain: "" }];
  const put = (piece, kind) => {
    piece.split("\n").forEach((part, i) => {
      if (i) lines.push({ parts: [], plain: "" });
      const line = lines[lines.length - 1];
      line.plain += part;
      if (part) line.parts.push(kind ? dom("span", { class: `py-${kind}` }, part) : part);
    });
  };
  let at = 0;
  for (const match of text.matchAll(PYTHON_TOKENS)) {
    put(text.slice(at, match.index), null);
    put(match[0], Object.entries(match.groups).find(([, found]) => found !== undefined)[0]);
    at = match.index + match[0].length;
  }
  put(text.slice(at), null);
  return lines;
}
