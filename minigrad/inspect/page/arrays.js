// Arrays: from the page's base64 to {shape, data: Float64Array, dtype}; float64 whatever they were.

/** What reads the raw bytes of each type tag of the page; all become float64. */
const ARRAY_TYPES = {
  f8: ["float64", Float64Array],
  f4: ["float32", Float32Array],
  i8: ["int64", BigInt64Array],
  i4: ["int32", Int32Array],
  u1: ["uint8", Uint8Array],
  b1: ["bool", Uint8Array],
};

/**
 * One array of the page. Its numbers are read when they are first asked for: a large page opens at once.
 * `data` is null where only a summary and a small picture were kept.
 */
class PageArray {
  constructor(entry) {
    this.shape = entry.s;
    this.dtype = ARRAY_TYPES[entry.t][0];
    this.entry = entry;
    if (entry.summary) Object.assign(this, { summary: entry.summary, picture: entry.picture });
  }

  get data() {
    if (this.numbers === undefined) this.numbers = this.entry.summary ? null : readNumbers(this.entry);
    return this.numbers;
  }
}

/** @returns {Float64Array} */
function readNumbers({ t, b }) {
  const Type = ARRAY_TYPES[t][1];
  const text = atob(b);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  const raw = new Type(bytes.buffer);
  return Type === Float64Array ? raw : Float64Array.from(raw, Number);
}

/** All arrays of a page; the picture of a large one becomes the array itself. */
function decodeArrays(entries) {
  const arrays = entries.map((entry) => new PageArray(entry));
  for (const array of arrays) {
    if (array.summary) array.picture = array.picture === null ? null : arrays[array.picture];
  }
  return arrays;
}

/** True for one number, whatever its shape. */
function isScalar(array) {
  return array.data !== null && array.data.length === 1;
}

/** One line about an array: its number, or its shape and norm. */
function arrayInWords(array) {
  if (!array) return "unknown";
  if (isScalar(array)) return shortNumber(array.data[0]);
  return `an array ${shapeText(array.shape)} of norm ${shortNumber(normOf(array), 3)}`;
}
