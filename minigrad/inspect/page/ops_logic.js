// Ops without gradients: comparisons, logic, bits, and where the largest elements lie.

/** 1 or 0 for a truth. */
const truth = (holds) => (holds ? 1 : 0);

/** Whole numbers of 64 bits: wider than JavaScript's own bit operators. */
function bits(f) {
  return (a, b) => Number(BigInt.asIntN(64, f(BigInt(a), BigInt(b))));
}

const COMPARISONS = {
  equal: { f: (a, b) => truth(a === b) },
  not_equal: { f: (a, b) => truth(a !== b) },
  less: { f: (a, b) => truth(a < b) },
  less_equal: { f: (a, b) => truth(a <= b) },
  greater: { f: (a, b) => truth(a > b) },
  greater_equal: { f: (a, b) => truth(a >= b) },
  logical_and: { f: (a, b) => truth(a && b) },
  logical_or: { f: (a, b) => truth(a || b) },
  logical_xor: { f: (a, b) => truth(!a !== !b) },
  bitwise_and: { f: bits((a, b) => a & b) },
  bitwise_or: { f: bits((a, b) => a | b) },
  bitwise_xor: { f: bits((a, b) => a ^ b) },
  left_shift: { f: bits((a, b) => a << b) },
  right_shift: { f: bits((a, b) => a >> b) },
  isclose: {
    f(a, b, { rtol, atol, equal_nan: nan }) {
      const near = Number.isFinite(b) && Math.abs(a - b) <= atol + rtol * Math.abs(b);
      return truth(near || a === b || (nan && Number.isNaN(a) && Number.isNaN(b)));
    },
  },
};

const QUESTIONS = {
  logical_not: { f: (x) => truth(!x) },
  isnan: { f: (x) => truth(Number.isNaN(x)) },
  isinf: { f: (x) => truth(Math.abs(x) === Infinity) },
  isfinite: { f: (x) => truth(Number.isFinite(x)) },
};

/** The number along an axis (of all elements without one) of the first that is better than all others. */
function extremePlace(better) {
  return ([x], { axis, keepdims }) => {
    const all = axis === null;
    const line = all ? { outer: 1, n: x.data.length, inner: 1 } : alongAxis(x.shape, axis);
    const y = arrayOf(reducedShape(x.shape, axesOf(axis, x.shape.length), keepdims));
    let result = 0;
    eachLine(line, (start, step) => {
      const value = (i) => x.data[start + i * step];
      let best = 0;
      for (let i = 1; i < line.n && !Number.isNaN(value(best)); i += 1) {
        if (better(value(i), value(best)) || Number.isNaN(value(i))) best = i;
      }
      y.data[result] = best;
      result += 1;
    });
    return y;
  };
}

/** The order that sorts each line; equal elements keep theirs, NaN is the largest. */
function argsort([x], { axis, descending }) {
  const [y, line] = [arrayOf(x.shape), alongAxis(x.shape, axis)];
  eachLine(line, (start, step) => {
    const value = (i) => x.data[start + i * step];
    const compare = (a, b) => truth(Number.isNaN(value(a))) - truth(Number.isNaN(value(b))) || value(a) - value(b) || 0;
    const order = [...stepsOf(line.n, 1)].sort((a, b) => (descending ? -1 : 1) * compare(a, b));
    order.forEach((from, i) => (y.data[start + i * step] = from));
  });
  return y;
}

/** Where in its plane each window's largest element lies; tables (out, k), or (N, C, out, k), per spatial axis. */
function windowArgmax([x], { tables }) {
  const planes = x.shape.slice(0, 2);
  const lengths = x.shape.slice(2);
  const [strides, size] = [stridesOf(lengths), countOf(lengths)];
  const out = tables.map((t) => t.shape.at(-2));
  const wide = tables.map((t) => t.shape.at(-1));
  const windows = stepsOf(countOf(out), 1);
  const y = arrayOf([...planes, ...out]);
  for (let plane = 0; plane < countOf(planes); plane += 1) {
    for (const window of windows) {
      const row = placeIn(out, window);
      const lists = tables.map((t, axis) => {
        const first = ((t.shape.length === 2 ? 0 : plane * out[axis]) + row[axis]) * wide[axis];
        return [...t.data.slice(first, first + wide[axis])].map((i) => i * strides[axis]);
      });
      y.data[plane * windows.length + window] = lastLargest(x.data, plane * size, sumsOf(lists));
    }
  }
  return y;
}

/** An element's number as its number along each axis. */
function placeIn(shape, flat) {
  return stridesOf(shape).map((step, axis) => Math.floor(flat / step) % shape[axis]);
}

/** The place, counted from `start`, of the last NaN, else of the first of the largest. */
function lastLargest(data, start, places) {
  let best = places[0];
  for (const place of places) {
    if (data[start + place] > data[start + best] || Number.isNaN(data[start + place])) best = place;
  }
  return best;
}

const ofTruths = (forward) => constantOp(([x], meta) => forward(x, reduction(x, { keepdims: false, ...meta })));

const LOGIC_OPS = {
  ...opsFrom(COMPARISONS, binaryOp),
  ...opsFrom(QUESTIONS, unaryOp),
  // ~x is not-x for booleans, -x - 1 for whole numbers: the result's dtype tells.
  invert: constantOp(([x], meta, dtype) => mapped(x, (v) => (dtype === "bool" ? truth(!v) : -v - 1))),
  all: ofTruths((x, how) => foldInto(x, how, 1, (a, b) => truth(a && b))),
  any: ofTruths((x, how) => foldInto(x, how, 0, (a, b) => truth(a || b))),
  count_nonzero: ofTruths((x, how) => foldInto(x, how, 0, (a, b) => a + truth(b))),
  argmax: constantOp(extremePlace((a, b) => a > b)),
  argmin: constantOp(extremePlace((a, b) => a < b)),
  argsort: constantOp(argsort),
  window_argmax: constantOp(windowArgmax),
};
