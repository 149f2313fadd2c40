// What every panel needs: making elements, writing numbers, and sums over arrays ({shape, data, dtype}).

/**
 * An HTML element: dom("button", {class: "quiet", onclick: f, disabled: true}, "text", child).
 * Attributes that are false, null or undefined are left out; a function becomes a listener.
 */
function dom(tag, attributes = {}, ...children) {
  return fillElement(document.createElement(tag), attributes, children);
}

/** The same for the elements of an SVG picture. */
function svgNode(tag, attributes = {}, ...children) {
  return fillElement(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fillElement(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") node.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value" && "value" in node) node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A number in few characters: the digits that count, powers of ten where it is very large or small. */
function shortNumber(x, digits = 4) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (Number.isInteger(x) && size < 1e6) return String(x);
  if (size >= 1e-3 && size < 10 ** Math.max(5, digits)) return String(Number(x.toPrecision(digits)));
  const [front, power] = x.toExponential(Math.max(1, digits - 2)).split("e");
  return `${Number(front)}e${Number(power)}`;
}

/** A signed number for changes: "+0.02", "-3", "0". */
function signedNumber(x, digits = 4) {
  return x > 0 ? `+${shortNumber(x, digits)}` : shortNumber(x, digits);
}

/** All digits: the shortest text that reads back as the same number, in float32 where the array is float32. */
function exactNumber(x, dtype = "float64") {
  if (!Number.isFinite(x)) return shortNumber(x);
  if (dtype === "bool") return x ? "True" : "False";
  if (dtype !== "float32") return String(x);
  for (let digits = 1; digits < 10; digits += 1) {
    const text = x.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(x)) return String(Number(text));
  }
  return String(x);
}

/** 1536 -> "1.5 KiB". */
function bytesText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let power = 0;
  let amount = bytes;
  while (amount >= 1024 && power < units.length - 1) {
    amount /= 1024;
    power += 1;
  }
  return `${power ? amount.toFixed(amount < 10 ? 2 : 1) : amount} ${units[power]}`;
}

/** (3, 4), (5,), () as Python writes shapes. */
function shapeText(shape) {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/** How many numbers an array of this shape has. */
function sizeOf(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

/** The place of element `flat` in row-major order: flat 5 of (2, 3) is [1, 2]. */
function placeOf(flat, shape) {
  const place = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    place[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return place;
}

/** The inverse of placeOf. */
function flatOf(place, shape) {
  return place.reduce((flat, index, axis) => flat * shape[axis] + index, 0);
}

/** "w" or "w[1, 2]": an element by its name. */
function elementName(name, flat, shape) {
  return shape.length ? `${name}[${placeOf(flat, shape).join(", ")}]` : name;
}

/** min, max, mean, the largest finite size and whether all is finite; a summarised array carries its own. */
function arrayStats(array) {
  if (array.summary) {
    const { min, max, mean, norm } = array.summary;
    return { min, max, mean, norm, largest: Math.max(Math.abs(min), Math.abs(max)), odd: 0 };
  }
  let [min, max, sum, squares, odd] = [Infinity, -Infinity, 0, 0, 0];
  for (const x of array.data) {
    if (!Number.isFinite(x)) {
      odd += 1;
      continue;
    }
    min = Math.min(min, x);
    max = Math.max(max, x);
    sum += x;
    squares += x * x;
  }
  const count = array.data.length - odd;
  if (!count) [min, max] = [NaN, NaN];
  const largest = count ? Math.max(Math.abs(min), Math.abs(max)) : 0;
  return { min, max, mean: count ? sum / count : NaN, norm: Math.sqrt(squares), largest, odd };
}

const NORMS = new WeakMap(); // kept, as the panels ask again after every event

/** Euclidean norm of an array, of its summary where it was too large to send; null of none. */
function normOf(array) {
  if (!array) return null;
  if (array.summary) return array.summary.norm;
  if (!NORMS.has(array)) NORMS.set(array, Math.sqrt(dotProduct(array, array)));
  return NORMS.get(array);
}

/** Sum of products of two arrays of one size. */
function dotProduct(a, b) {
  let sum = 0;
  for (let i = 0; i < a.data.length; i += 1) sum += a.data[i] * b.data[i];
  return sum;
}

/** Sum of arrays of one shape, as a new array. */
function sumOfArrays(arrays) {
  const total = new Float64Array(arrays[0].data.length);
  for (const { data } of arrays) for (let i = 0; i < total.length; i += 1) total[i] += data[i];
  return { shape: arrays[0].shape, data: total, dtype: arrays[0].dtype };
}

/** np.array(...) of all digits, ready to paste. */
function numpyText(array, name = null) {
  const write = (x) => exactNumber(x, array.dtype).replace("nan", "np.nan").replace("inf", "np.inf");
  const nested = (axis, offset, step) => {
    if (axis === array.shape.length) return write(array.data[offset]);
    const inner = step / array.shape[axis];
    const parts = Array.from({ length: array.shape[axis] }, (_, i) => nested(axis + 1, offset + i * inner, inner));
    return `[${parts.join(", ")}]`;
  };
  const text = `np.array(${nested(0, 0, array.data.length)}, dtype=np.${array.dtype || "float64"})`;
  return name && /^[A-Za-z_]\w*$/.test(name) ? `${name} = ${text}` : text;
}

/** Run f at most once per picture, with the latest arguments. */
function oncePerFrame(f) {
  let waiting = null;
  return (...args) => {
    const first = waiting === null;
    waiting = args;
    if (!first) return;
    requestAnimationFrame(() => {
      const latest = waiting;
      waiting = null;
      f(...latest);
    });
  };
}
