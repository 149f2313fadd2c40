// A formula's text, such as "∂L/∂a = ∂L/∂y · (1 − y²)", set as mathematics (MathML). Every formula can be
// set: what is not understood stands as text.

const MATH_TOKENS = new RegExp(
  [
    "(?<space>\\s+)",
    "(?<number>\\d+(?:\\.\\d+)?(?:e[-+−]?\\d+)?)",
    "(?<raised>[⁻⁰¹²³⁴-⁹ᵀ]+)",
    "(?<lowered>[₋₊₀-₉ₐ-ₜᵢ-ᵪⱼ]+)",
    "(?<name>[\\p{L}_][\\p{L}\\p{N}_]*(?:\\.[\\p{L}\\p{N}_]+)*(?:@\\d+)?[\\u0302\\u0304]?)",
    "(?<other>[^])",
  ].join("|"),
  "uy",
);
const RAISED = Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ"].map((c, i) => [c, "0123456789−T"[i]]));
const LOWERED = Object.fromEntries([..."₀₁₂₃₄₅₆₇₈₉₋₊ᵢⱼₖₜₙₘ"].map((c, i) => [c, "0123456789−+ijktnm"[i]]));
const OPENING = { "(": ")", "[": "]", "⌊": "⌋", "⌈": "⌉" };
const ROOTS = { "√": 2, "∛": 3 };
const LETTER_TAIL = /[ᵀᵢⱼₖₜ⁻⁰¹²³⁴-⁹₀-₉₋₊]+$/u;

/**
 * A formula as a <math> element.
 * @param {string} text
 * @param {(name: string) => string|null} classOf  the class of a name's element, such as "known"
 */
function mathOf(text, classOf = () => null) {
  const node = mathNode("math", { display: "block", "aria-label": text });
  const parser = new MathParser(tokensOf(text), classOf);
  node.append(...parser.row(null));
  return node;
}

function mathNode(tag, attributes = {}, ...children) {
  return fillElement(document.createElementNS("http://www.w3.org/1998/Math/MathML", tag), attributes, children);
}

/** The text in words, numbers and signs; a transposed or indexed name is split from what hangs on it. */
function tokensOf(text) {
  const tokens = [];
  MATH_TOKENS.lastIndex = 0;
  for (let match; (match = MATH_TOKENS.exec(text));) {
    const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    let value = match[0];
    const tail = kind === "name" ? value.match(LETTER_TAIL) : null;
    if (tail && tail.index > 0) {
      value = value.slice(0, tail.index);
      MATH_TOKENS.lastIndex = match.index + value.length;
    }
    tokens.push({ kind, text: value });
  }
  return tokens;
}

/** Reads tokens left to right; fractions, powers, roots and brackets are understood, the rest stands in a row. */
class MathParser {
  constructor(tokens, classOf) {
    this.tokens = tokens;
    this.classOf = classOf;
    this.at = 0;
  }

  peek(ahead = 0) {
    return this.tokens[this.at + ahead];
  }

  /** The elements up to a closing bracket, or to the end. */
  row(closing) {
    const items = [];
    while (this.peek() && this.peek().text !== closing) {
      if (this.peek().kind === "space") this.space(items);
      else if (this.peek().text === "/" && items.length) this.fraction(items);
      else items.push(this.atom());
    }
    return items;
  }

  /** Between two atoms a space is a product or a word gap; beside an operator the browser sets its own. */
  space(items) {
    this.at += 1;
    const next = this.peek();
    const last = items[items.length - 1];
    if (!next || !last || next.text === "/" || last.localName === "mo") return;
    if (next.kind === "other" && !OPENING[next.text] && !ROOTS[next.text] && next.text !== "∂") return;
    items.push(mathNode("mspace", { width: "0.28em" }));
  }

  /** "a / b": what stands last in the row over the next atom. */
  fraction(items) {
    this.at += 1;
    if (this.peek()?.kind === "space") this.at += 1;
    const above = items.pop();
    if (!this.peek() || above.localName === "mfrac") return void items.push(above, mathNode("mo", {}, "/"));
    const bare = (node) => (node.bare ? mathNode("mrow", {}, ...node.bare) : node);
    items.push(mathNode("mfrac", {}, bare(above), bare(this.atom())));
  }

  /** One thing with what hangs on it: powers, indices. */
  atom() {
    let node = this.plain();
    for (;;) {
      const next = this.peek();
      if (next?.kind === "raised") node = mathNode("msup", {}, node, this.small(RAISED));
      else if (next?.kind === "lowered") node = mathNode("msub", {}, node, this.small(LOWERED));
      else if (next?.text === "^") node = this.power(node);
      else return node;
    }
  }

  small(letters) {
    const text = [...this.tokens[this.at++].text].map((c) => letters[c] ?? c).join("");
    return mathNode(/^\d+$/.test(text) ? "mn" : "mi", {}, text);
  }

  power(node) {
    this.at += 1;
    if (!this.peek()) return node;
    const exponent = this.plain();
    return mathNode("msup", {}, node, exponent.bare ? mathNode("mrow", {}, ...exponent.bare) : exponent);
  }

  plain() {
    const { kind, text } = this.tokens[this.at++];
    if (kind === "number") return mathNode("mn", {}, text);
    if (kind === "name") return this.name(text);
    if (OPENING[text]) return this.brackets(text);
    if (ROOTS[text] && this.peek()) return this.root(ROOTS[text]);
    if (text === "∂" && this.peek()?.kind === "name") return this.differential();
    return mathNode("mo", text === "|" ? { stretchy: "false" } : {}, text);
  }

  brackets(open) {
    const inside = this.row(OPENING[open]);
    const close = this.peek() ? this.tokens[this.at++].text : "";
    const node = mathNode(
      "mrow",
      {},
      mathNode("mo", { stretchy: "false" }, open),
      ...inside,
      mathNode("mo", { stretchy: "false" }, close),
    );
    if (open === "(") node.bare = inside.map((child) => child.cloneNode(true));
    return node;
  }

  root(degree) {
    const under = this.atom();
    const inside = under.bare ? mathNode("mrow", {}, ...under.bare) : under;
    return degree === 2 ? mathNode("msqrt", {}, inside) : mathNode("mroot", {}, inside, mathNode("mn", {}, degree));
  }

  /** ∂L as one thing, so that ∂L/∂a becomes one fraction. */
  differential() {
    const next = this.atom();
    return mathNode("mrow", { class: "gradient" }, mathNode("mo", { lspace: "0", rspace: "0" }, "∂"), next);
  }

  /** h@3 has its time as an index, mul_4 its number, and fc1.weight stands upright. */
  name(text) {
    const [, base, index] = text.match(/^(.+?)(?:@|_(?=\d+$))(\d+)$/) ?? [null, text, null];
    const attributes = { class: this.classOf(text) };
    const letters = mathNode("mi", base.length > 1 ? { mathvariant: "normal" } : {}, base);
    if (index === null) return fillElement(letters, attributes, []);
    return mathNode("msub", attributes, letters, mathNode("mn", {}, index));
  }
}
