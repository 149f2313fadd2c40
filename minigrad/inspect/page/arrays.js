// Arrays: from the page's base64 to {shape, data: Float64Array, dtype}.

/** What reads the raw bytes of each type tag of the page; all become float64. */
const ARRAY_TYPES = {
  f8: ["float64", Float64Array], f4: ["float32", Float32Array], i8: ["int64", BigInt64Array],
  i4: ["int32", Int32Array], u1: ["uint8", Uint8Array], b1: ["bool", Uint8Array],
};

/** @returns {{shape: number[], data: Float64Array|null, dtype: string}} data is null where only a summary was kept */
function decodeArray(entry) {
  const [dtype, Type] = ARRAY_TYPES[entry.t];
  if (entry.summary) return { shape: entry.s, data: null, dtype, summary: entry.summary, picture: entry.picture };
  const text = atob(entry.b);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const raw = new Type(bytes.buffer);
  const data = Type === Float64Array ? raw : Float64Array.from(raw, Number);
  return { shape: entry.s, data, dtype };
}

/** All arrays of a page; the picture of a large one becomes the array itself. */
function decodeArrays(entries) {
  const arrays = entries.map(decodeArray);
  for (const array of arrays) {
    if (array.picture !== undefined) array.picture = array.picture === null ? null : arrays[array.picture];
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
