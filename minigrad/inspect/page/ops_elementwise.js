// Elementwise ops: a row is the value f and, for each argument, the derivative that g is multiplied with.
//
// Unary rows read f(x, meta) and d: [(x, y, meta) => dy/dx]; binary ones f(a, b, meta) and
// d: [(a, b, y, meta) => dy/da, ... dy/db], y being the value. Broadcasting, and summing back over what was
// broadcast, happen here once for all of them.

/** A one-argument op from its row. */
function unaryOp({ f, d }) {
  return {
    forward([x], meta) {
      const y = arrayOf(x.shape);
      for (let i = 0; i < y.data.length; i += 1) y.data[i] = f(x.data[i], meta);
      return y;
    },
    backward(g, [x], y, meta) {
      if (!d) return [null];
      const gx = arrayOf(x.shape);
      for (let i = 0; i < gx.data.length; i += 1) gx.data[i] = g.data[i] * d[0](x.data[i], y.data[i], meta);
      return [gx];
    },
  };
}

/** A two-argument op from its row. */
function binaryOp({ f, d }) {
  const side = (g, a, b, y, meta, k) => {
    const [p, q] = [broadcastPlaces(a.shape, y.shape), broadcastPlaces(b.shape, y.shape)];
    const own = arrayOf((k ? b : a).shape);
    const to = k ? q : p; // where each element's share is added: where it came from
    for (let i = 0; i < y.data.length; i += 1) {
      const slope = d[k](a.data[p ? p[i] : i], b.data[q ? q[i] : i], y.data[i], meta);
      own.data[to ? to[i] : i] += g.data[i] * slope;
    }
    return own;
  };
  return {
    forward([a, b], meta) {
      const y = arrayOf(broadcastShape(a.shape, b.shape));
      const [p, q] = [broadcastPlaces(a.shape, y.shape), broadcastPlaces(b.shape, y.shape)];
      for (let i = 0; i < y.data.length; i += 1) {
        y.data[i] = f(a.data[p ? p[i] : i], b.data[q ? q[i] : i], meta);
      }
      return y;
    },
    backward: (g, [a, b], y, meta, needs = [true, true]) =>
      [0, 1].map((k) => (d && needs[k] ? side(g, a, b, y, meta, k) : null)),
  };
}

/** Every row of a table as an op. */
function opsFrom(rows, make) {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, make(row)]));
}

const zero = () => 0;
const one = () => 1;

// ---------------------------------------------------------------- arithmetic

/** a - b floor(a / b): the sign of b. */
function modulo(a, b) {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

/** floor(a / b), by way of the rest, so that it fits it exactly. */
function floorDivide(a, b) {
  if (b === 0) return Math.floor(a / b);
  const whole = (a - modulo(a, b)) / b;
  const low = Math.floor(whole);
  return whole - low > 0.5 ? low + 1 : low;
}

/** The nearest whole number, the even one of two. */
function roundEven(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** log(e^a + e^b) without overflow. */
function logAddExp(a, b) {
  const top = Math.max(a, b);
  return Number.isFinite(top) ? top + Math.log1p(Math.exp(-Math.abs(a - b))) : top;
}

const BINARY = {
  add: { f: (a, b) => a + b, d: [one, one] },
  sub: { f: (a, b) => a - b, d: [one, () => -1] },
  mul: { f: (a, b) => a * b, d: [(a, b) => b, (a) => a] },
  div: { f: (a, b) => a / b, d: [(a, b) => 1 / b, (a, b, y) => -y / b] },
  pow: {
    f: (a, b) => a ** b,
    // Where b is 0 the derivative is 0 also at a = 0, where a^(b - 1) is not finite; log a is for a > 0 alone.
    d: [(a, b) => (b === 0 ? 0 : b * a ** (b - 1)), (a, b, y) => y * (a > 0 ? Math.log(a) : 0)],
  },
  floor_divide: { f: floorDivide, d: [zero, zero] },
  remainder: { f: modulo, d: [one, (a, b) => -floorDivide(a, b)] },
  // At a tie each receives half.
  maximum: { f: (a, b) => Math.max(a, b), d: [(a, b) => half(a > b, a === b), (a, b) => half(b > a, a === b)] },
  minimum: { f: (a, b) => Math.min(a, b), d: [(a, b) => half(a < b, a === b), (a, b) => half(b < a, a === b)] },
  logaddexp: { f: logAddExp, d: [(a, b, y) => Math.exp(a - y), (a, b, y) => Math.exp(b - y)] },
  arctan2: { f: Math.atan2, d: [(a, b) => b / (a * a + b * b), (a, b) => -a / (a * a + b * b)] },
  hypot: { f: (a, b) => Math.hypot(a, b), d: [(a, b, y) => a / y, (a, b, y) => b / y] },
  prelu: { f: (x, w) => (x > 0 ? x : w * x), d: [(x, w) => (x > 0 ? 1 : w), (x) => (x > 0 ? 0 : x)] },
  // The logarithms are held above -100, the denominator x (1 - x) above 1e-12.
  binary_cross_entropy: {
    f: (x, t) => -(t * heldLog(x) + (1 - t) * heldLog(1 - x)),
    d: [(x, t) => (x - t) / Math.max(x * (1 - x), 1e-12), (x) => Math.log(1 - x) - Math.log(x)],
  },
};

/** 1 for the winner, 1/2 at a tie, else 0. */
function half(wins, tie) {
  return wins ? 1 : tie ? 0.5 : 0;
}

function heldLog(x) {
  return Math.max(x > 0 ? Math.log(x) : -Infinity, -100);
}

// ---------------------------------------------------------------- functions of one number

const ERF_SLOPE = 2 / Math.sqrt(Math.PI);

const UNARY = {
  neg: { f: (x) => -x, d: [() => -1] },
  positive: { f: (x) => x, d: [one] },
  square: { f: (x) => x * x, d: [(x) => 2 * x] },
  sqrt: { f: Math.sqrt, d: [(x, y) => 0.5 / y] },
  rsqrt: { f: (x) => 1 / Math.sqrt(x), d: [(x, y) => -0.5 * y * y * y] },
  cbrt: { f: Math.cbrt, d: [(x, y) => 1 / (3 * y * y)] },
  reciprocal: { f: (x) => 1 / x, d: [(x, y) => -y * y] },
  exp: { f: Math.exp, d: [(x, y) => y] },
  exp2: { f: (x) => 2 ** x, d: [(x, y) => y * Math.LN2] },
  expm1: { f: Math.expm1, d: [(x, y) => y + 1] },
  log: { f: Math.log, d: [(x) => 1 / x] },
  log2: { f: Math.log2, d: [(x) => 1 / (x * Math.LN2)] },
  log10: { f: Math.log10, d: [(x) => 1 / (x * Math.LN10)] },
  log1p: { f: Math.log1p, d: [(x) => 1 / (1 + x)] },
  abs: { f: Math.abs, d: [Math.sign] },
  sign: { f: Math.sign, d: [zero] },
  floor: { f: Math.floor, d: [zero] },
  ceil: { f: Math.ceil, d: [zero] },
  trunc: { f: Math.trunc, d: [zero] },
  round: { f: (x, { decimals }) => roundEven(x * 10 ** decimals) / 10 ** decimals, d: [zero] },
  clip: {
    f: (x, { min, max }) => Math.min(Math.max(x, min ?? -Infinity), max ?? Infinity),
    d: [(x, y, { min, max }) => (x < (min ?? -Infinity) || x > (max ?? Infinity) ? 0 : 1)],
  },
  sin: { f: Math.sin, d: [Math.cos] },
  cos: { f: Math.cos, d: [(x) => -Math.sin(x)] },
  tan: { f: Math.tan, d: [(x, y) => 1 + y * y] },
  arcsin: { f: Math.asin, d: [(x) => 1 / Math.sqrt(1 - x * x)] },
  arccos: { f: Math.acos, d: [(x) => -1 / Math.sqrt(1 - x * x)] },
  arctan: { f: Math.atan, d: [(x) => 1 / (1 + x * x)] },
  sinh: { f: Math.sinh, d: [Math.cosh] },
  cosh: { f: Math.cosh, d: [Math.sinh] },
  tanh: { f: Math.tanh, d: [(x, y) => 1 - y * y] },
  arcsinh: { f: Math.asinh, d: [(x) => 1 / Math.sqrt(x * x + 1)] },
  arccosh: { f: Math.acosh, d: [(x) => 1 / (Math.sqrt(x - 1) * Math.sqrt(x + 1))] },
  arctanh: { f: Math.atanh, d: [(x) => 1 / (1 - x * x)] },
  erf: { f: erf, d: [(x) => ERF_SLOPE * Math.exp(-x * x)] },
  erfc: { f: erfc, d: [(x) => -ERF_SLOPE * Math.exp(-x * x)] },
};


/** 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x; by its series up to 2 (Abramowitz & Stegun 7.1.6). */
function erf(x) {
  if (!(Math.abs(x) < 2)) return Math.sign(x) * (1 - erfc(Math.abs(x)));
  let term = x;
  let sum = x;
  for (let n = 1; n < 40; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return ERF_SLOPE * Math.exp(-x * x) * sum;
}

/** 1 - erf x; from 2 on by its continued fraction (7.1.14), which keeps the small values' digits. */
function erfc(x) {
  if (x < 2) return 1 - erf(x);
  let tail = x;
  for (let n = 100; n > 0; n -= 1) tail = x + (0.5 * n) / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}

// ---------------------------------------------------------------- activations

/** 1 / (1 + e^-x), without overflow on either side. */
function sigmoid(x) {
  const e = Math.exp(-Math.abs(x));
  return (x > 0 ? 1 : e) / (1 + e);
}

/** log(1 + e^x). */
function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

const ACTIVATIONS = {
  relu: { f: (x) => Math.max(x, 0), d: [(x, y) => (y > 0 ? 1 : 0)] },
  sigmoid: { f: sigmoid, d: [(x, y) => y * (1 - y)] },
  logsigmoid: { f: (x) => -softplus(-x), d: [(x) => sigmoid(-x)] },
  softplus: {
    f: (x, { beta, threshold }) => (x * beta > threshold ? x : softplus(x * beta) / beta),
    d: [(x, y, { beta, threshold }) => (x * beta > threshold ? 1 : sigmoid(x * beta))],
  },
  leaky_relu: {
    f: (x, m) => (x > 0 ? x : m.negative_slope * x),
    d: [(x, y, m) => (x > 0 ? 1 : m.negative_slope)],
  },
  elu: {
    f: (x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x)),
    d: [(x, y, { alpha }) => (x > 0 ? 1 : alpha * Math.exp(x))],
  },
  celu: {
    f: (x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x / alpha)),
    d: [(x, y, { alpha }) => (x > 0 ? 1 : Math.exp(x / alpha))],
  },
  // x Phi(x), Phi the normal distribution: its derivative is Phi(x) + x phi(x).
  gelu_erf: {
    f: (x) => 0.5 * x * erfc(-x * Math.SQRT1_2),
    d: [(x) => 0.5 * erfc(-x * Math.SQRT1_2) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI)],
  },
  silu: { f: (x) => x * sigmoid(x), d: [(x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))] },
  hardtanh: {
    f: (x, m) => Math.min(Math.max(x, m.min_val), m.max_val),
    d: [(x, y, m) => (x > m.min_val && x < m.max_val ? 1 : 0)],
  },
  hardsigmoid: { f: (x) => Math.min(Math.max(x + 3, 0), 6) / 6, d: [(x) => (x > -3 && x < 3 ? 1 / 6 : 0)] },
  hardswish: {
    f: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
    d: [(x) => (x <= -3 ? 0 : x < 3 ? x / 3 + 0.5 : 1)],
  },
  softshrink: {
    f: (x, { lambd }) => (x > lambd ? x - lambd : x < -lambd ? x + lambd : 0 * x),
    d: [(x, y, { lambd }) => (Math.abs(x) > lambd ? 1 : 0)],
  },
  hardshrink: {
    f: (x, { lambd }) => (Math.abs(x) > lambd ? x : 0 * x),
    d: [(x, y, { lambd }) => (Math.abs(x) > lambd ? 1 : 0)],
  },
  threshold: {
    f: (x, m) => (x <= m.threshold ? m.value : x),
    d: [(x, y, m) => (x <= m.threshold ? 0 : 1)],
  },
};

const ELEMENTWISE_OPS = {
  ...opsFrom(BINARY, binaryOp),
  ...opsFrom(UNARY, unaryOp),
  ...opsFrom(ACTIVATIONS, unaryOp),
  // The gradient goes where the value came from.
  where: {
    forward([condition, a, b]) {
      const shape = broadcastShape(condition.shape, a.shape, b.shape);
      const [c, p, q] = [condition, a, b].map((x) => spreadTo(x, shape));
      return mapped(c, (holds, i) => (holds ? p.data[i] : q.data[i]));
    },
    backward(g, [condition, a, b], y) {
      const c = spreadTo(condition, y.shape);
      const part = (x, wanted) => gatherTo(mapped(g, (v, i) => (c.data[i] !== 0 === wanted ? v : 0)), x.shape);
      return [null, part(a, true), part(b, false)];
    },
  },
};
