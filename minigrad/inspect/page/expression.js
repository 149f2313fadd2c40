// Answers as expressions: numbers, nested lists and a little arithmetic in the graph's own names. No eval:
// the text is read into tokens, and the tokens are worked out by the grammar below, arrays broadcasting.
//
//   sum    = product {("+" | "-") product}          product = sign {("*" | "/" | "@") sign}
//   sign   = ["-" | "+"] sign | power               power   = part ["**" sign]
//   part   = atom {".T" | "." reduction "(" ... ")" | "[" numbers "]"}
//   atom   = number | name | function "(" ... ")" | "(" sum ")" | "[" sum, ... "]"

const MATH_FUNCTIONS = {
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  abs: Math.abs,
  sign: Math.sign,
  relu: (x) => Math.max(x, 0),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};
const PAIR_FUNCTIONS = { max: Math.max, maximum: Math.max, min: Math.min, minimum: Math.min };
const REDUCTIONS = {
  sum: (lines) => lines.reduce((a, b) => a + b, 0),
  mean: (lines) => lines.reduce((a, b) => a + b, 0) / lines.length,
  max: (lines) => Math.max(...lines),
  min: (lines) => Math.min(...lines),
};
const PAIR_OPERATORS = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "**": (a, b) => a ** b,
};

/**
 * The value of a typed answer.
 * @param {string} text
 * @param {Map<string, array>} names what the reader may use
 * @returns {{shape: number[], data: Float64Array, digits: number|null}} digits: the most that a number was
 *   typed with, null where the answer was computed or is whole
 * @throws {Error} with a message for the reader
 */
function readAnswer(text, names) {
  const tokens = answerTokens(text, names);
  if (!tokens.length) throw new Error("nothing typed yet");
  const reader = { tokens, at: 0, names };
  const value = readSum(reader);
  if (reader.at < tokens.length) throw new Error(`did not expect "${tokens[reader.at].text}" there`);
  return { shape: value.shape, data: value.data, digits: typedDigits(tokens) };
}

/** Digits of the most exact number typed, where the answer is only numbers, signs and lists. */
function typedDigits(tokens) {
  if (tokens.some((t) => t.kind === "name" || (t.kind === "sign" && !"-+[],".includes(t.text)))) return null;
  const exact = (t) => !/[.e]/i.test(t.text);
  const inexact = tokens.filter((t) => t.kind === "number" && !exact(t));
  const count = (t) => t.text.replace(/e.*$/i, "").replace(".", "").replace(/^0+/, "").length;
  return inexact.length ? Math.max(...inexact.map(count)) : null;
}

/** Names first, the longest that fits, for they may hold dots and @: fc1.weight, h@3. */
function answerTokens(text, names) {
  const plain = text
    .replace(/[−–]/g, "-")
    .replace(/[·×]/g, "*")
    .replace(/\bnp\./g, "")
    .replace(/,?\s*dtype\s*=\s*[\w.]+/g, "");
  const known = [...names.keys()].sort((a, b) => b.length - a.length);
  const tokens = [];
  let rest = plain;
  while ((rest = rest.trimStart())) {
    const token = nextToken(rest, known);
    tokens.push(token);
    rest = rest.slice(token.text.length);
  }
  return tokens;
}

function nextToken(rest, known) {
  const name = known.find((n) => rest.startsWith(n) && !/^\w/.test(rest.slice(n.length)));
  if (name) return { kind: "name", text: name };
  const number = /^(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i.exec(rest);
  if (number) return { kind: "number", text: number[0] };
  const word = /^[A-Za-z_]\w*/.exec(rest);
  if (word) return { kind: "name", text: word[0] };
  const sign = /^(\*\*|[-+*/@()[\],.=])/.exec(rest);
  if (sign) return { kind: "sign", text: sign[0] };
  throw new Error(rest[0] === "^" ? "powers are written **" : `cannot read "${rest[0]}"`);
}

// ---- the grammar

function takeSign(reader, ...signs) {
  const token = reader.tokens[reader.at];
  if (!token || token.kind !== "sign" || !signs.includes(token.text)) return null;
  reader.at += 1;
  return token.text;
}

function needSign(reader, sign) {
  if (takeSign(reader, sign)) return;
  const found = reader.tokens[reader.at];
  throw new Error(`expected "${sign}" ${found ? `before "${found.text}"` : "at the end"}`);
}

function readSum(reader) {
  let value = readProduct(reader);
  for (let sign; (sign = takeSign(reader, "+", "-"));)
    value = pairwise(PAIR_OPERATORS[sign], value, readProduct(reader));
  return value;
}

function readProduct(reader) {
  let value = readSigned(reader);
  for (let sign; (sign = takeSign(reader, "*", "/", "@"));) {
    const right = readSigned(reader);
    value = sign === "@" ? matrixProduct(value, right) : pairwise(PAIR_OPERATORS[sign], value, right);
  }
  return value;
}

function readSigned(reader) {
  const sign = takeSign(reader, "-", "+");
  if (!sign) return readPower(reader);
  const value = readSigned(reader);
  return sign === "-" ? mapped(value, (x) => -x) : value;
}

function readPower(reader) {
  const base = readPart(reader);
  return takeSign(reader, "**") ? pairwise(PAIR_OPERATORS["**"], base, readSigned(reader)) : base;
}

function readPart(reader) {
  let value = readAtom(reader);
  for (;;) {
    if (takeSign(reader, ".")) value = readAttribute(reader, value);
    else if (reader.tokens[reader.at]?.text === "[") value = readIndexed(reader, value);
    else return value;
  }
}

function readAtom(reader) {
  const token = reader.tokens[reader.at];
  if (!token) throw new Error("something is missing at the end");
  if (takeSign(reader, "(")) {
    const value = readSum(reader);
    needSign(reader, ")");
    return value;
  }
  if (takeSign(reader, "[")) return stacked(readList(reader, "]"));
  if (token.kind === "sign") throw new Error(`did not expect "${token.text}" there`);
  reader.at += 1;
  if (token.kind === "number") return single(Number(token.text));
  if (reader.names.has(token.text)) return reader.names.get(token.text);
  if (takeSign(reader, "(")) return callFunction(token.text, readList(reader, ")"));
  throw new Error(`does not know "${token.text}"; known: ${[...reader.names.keys()].slice(0, 12).join(", ")}`);
}

/** Comma-separated sums up to the closing sign; axis=0 is read as its number. */
function readList(reader, end) {
  const parts = [];
  while (!takeSign(reader, end)) {
    if (parts.length) needSign(reader, ",");
    if (takeSign(reader, end)) break;
    if (reader.tokens[reader.at]?.text === "axis" && reader.tokens[reader.at + 1]?.text === "=") reader.at += 2;
    parts.push(readSum(reader));
  }
  return parts;
}

function readAttribute(reader, value) {
  const word = reader.tokens[reader.at]?.text;
  reader.at += 1;
  if (word === "T") return transposed(value);
  if (!Object.hasOwn(REDUCTIONS, word)) throw new Error(`does not know ".${word}"; .T, .sum() and .mean() are known`);
  needSign(reader, "(");
  return reduced(word, value, ...readList(reader, ")"));
}

function readIndexed(reader, value) {
  needSign(reader, "[");
  const place = readList(reader, "]").map((index, axis) => (index.data[0] + value.shape[axis]) % value.shape[axis]);
  if (!place.length || place.length > value.shape.length || place.some((i) => !Number.isInteger(i))) {
    throw new Error("an index is one whole number for each axis");
  }
  const rest = value.shape.slice(place.length);
  const size = sizeOf(rest);
  const start = flatOf(place, value.shape.slice(0, place.length)) * size;
  return arrayOf(rest, value.data.slice(start, start + size));
}

// ---- arithmetic

function single(x) {
  return arrayOf([], Float64Array.of(x));
}

function stacked(parts) {
  if (!parts.length) throw new Error("an empty list");
  if (parts.some((part) => !sameShape(part.shape, parts[0].shape)))
    throw new Error("the rows of a list differ in length");
  return arrayOf([parts.length, ...parts[0].shape], Float64Array.from(parts.flatMap((part) => [...part.data])));
}

function pairwise(f, a, b) {
  const shape = broadcastShape(a.shape, b.shape);
  const fits = (x) => x.shape.every((n, i) => n === 1 || n === shape[shape.length - x.shape.length + i]);
  if (!fits(a) || !fits(b))
    throw new Error(`shapes ${shapeText(a.shape)} and ${shapeText(b.shape)} do not go together`);
  const [left, right] = [spreadTo(a, shape), spreadTo(b, shape)];
  return mapped(left, (x, i) => f(x, right.data[i]));
}

/** a @ b for vectors and matrices. */
function matrixProduct(a, b) {
  if (!a.shape.length || !b.shape.length || a.shape.length > 2 || b.shape.length > 2)
    throw new Error("@ takes vectors and matrices");
  const [rows, inner] = a.shape.length === 2 ? a.shape : [1, a.shape[0]];
  const [length, columns] = b.shape.length === 2 ? b.shape : [b.shape[0], 1];
  if (inner !== length)
    throw new Error(`${shapeText(a.shape)} @ ${shapeText(b.shape)} does not fit: ${inner} against ${length}`);
  const y = arrayOf([...a.shape.slice(0, -1), ...b.shape.slice(1)]);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      for (let k = 0; k < inner; k += 1) y.data[i * columns + j] += a.data[i * inner + k] * b.data[k * columns + j];
    }
  }
  return y;
}

/** All axes turned round, as NumPy's .T. */
function transposed(x) {
  const y = arrayOf([...x.shape].reverse());
  for (let i = 0; i < x.data.length; i += 1) y.data[flatOf(placeOf(i, x.shape).reverse(), y.shape)] = x.data[i];
  return y;
}

/** x.sum(), x.sum(axis). */
function reduced(name, x, axis = null) {
  if (axis === null) return single(REDUCTIONS[name]([...x.data]));
  const at = (axis.data[0] + x.shape.length) % x.shape.length;
  if (!(at in x.shape)) throw new Error(`there is no axis ${axis.data[0]} in ${shapeText(x.shape)}`);
  const lines = new Map();
  const shape = x.shape.filter((_, i) => i !== at);
  x.data.forEach((number, i) =>
    pushTo(
      lines,
      flatOf(
        placeOf(i, x.shape).filter((_, k) => k !== at),
        shape,
      ),
      number,
    ),
  );
  return arrayOf(
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => REDUCTIONS[name](lines.get(i))),
  );
}

function callFunction(name, parts) {
  if (!parts.length) throw new Error(`${name}() needs something in its brackets`);
  if (name === "array") return parts[0];
  if (Object.hasOwn(PAIR_FUNCTIONS, name) && parts.length === 2) return pairwise(PAIR_FUNCTIONS[name], ...parts);
  if (Object.hasOwn(MATH_FUNCTIONS, name)) return mapped(parts[0], MATH_FUNCTIONS[name]);
  if (Object.hasOwn(REDUCTIONS, name)) return reduced(name, ...parts);
  const known = [...Object.keys(MATH_FUNCTIONS), ...Object.keys(PAIR_FUNCTIONS), "sum", "mean"].join(", ");
  throw new Error(`does not know the function "${name}"; known: ${known}`);
}
