// Reductions and scans: sums, products, extrema, softmax. A reduction knows, for each element, which result it
// goes into (`into`); its gradient looks there again.

/** The settings of one reduction: the axes, the result's shape, where each element goes, how many go there. */
function reduction(x, { axis, keepdims }) {
  const axes = axesOf(axis, x.shape.length);
  const shape = reducedShape(x.shape, axes, keepdims);
  const into = reducedPlaces(x.shape, axes);
  return { axes, shape, into, count: countOf(axes.map((a) => x.shape[a])) };
}

/** y[into[i]] = f(y[into[i]], x[i]), from a first value. */
function foldInto(x, { shape, into }, first, f) {
  const y = arrayOf(shape);
  y.data.fill(first);
  for (let i = 0; i < into.length; i += 1) y.data[into[i]] = f(y.data[into[i]], x.data[i]);
  return y;
}

const addUp = (a, b) => a + b;

/** An op whose gradient is slope(x_i, y, i) g of the result that x_i went into. */
function reducingOp(forward, slopeOf) {
  return {
    forward: ([x], meta) => forward(x, reduction(x, meta), meta),
    backward(g, [x], y, meta) {
      const how = reduction(x, meta);
      const slope = slopeOf(x, y, how);
      return [mapped(x, (v, i) => g.data[how.into[i]] * slope(v, y.data[how.into[i]], i))];
    },
  };
}

/** The largest (or smallest) element; where several are it, they share the gradient equally. */
function extremumOp(better, worst) {
  const choose = (best, v) => (better(v, best) || Number.isNaN(v) ? v : best);
  return reducingOp(
    (x, how) => foldInto(x, how, worst, choose),
    (x, y, how) => {
      const ties = foldInto(mapped(x, (v, i) => (v === y.data[how.into[i]] ? 1 : 0)), how, 0, addUp);
      return (v, best, i) => (v === best ? 1 / ties.data[how.into[i]] : 0);
    },
  );
}

/** The product of each result's elements but one's own: those before times those after, so zeros do no harm. */
function productOfOthers(x, { into, shape }) {
  const others = arrayOf(x.shape);
  const so = new Float64Array(countOf(shape)).fill(1);
  for (let i = 0; i < into.length; i += 1) {
    others.data[i] = so[into[i]];
    so[into[i]] *= x.data[i];
  }
  so.fill(1);
  for (let i = into.length - 1; i >= 0; i -= 1) {
    others.data[i] *= so[into[i]];
    so[into[i]] *= x.data[i];
  }
  return others;
}

/** log sum e^x, shifted by the largest element so that nothing overflows. */
function logSumExp(x, how) {
  const top = foldInto(x, how, -Infinity, Math.max);
  const shift = mapped(top, (v) => (Number.isFinite(v) ? v : 0));
  const total = foldInto(mapped(x, (v, i) => Math.exp(v - shift.data[how.into[i]])), how, 0, addUp);
  return mapped(total, (v, i) => Math.log(v) + shift.data[i]);
}

const REDUCE_OPS = {
  sum: reducingOp((x, how) => foldInto(x, how, 0, addUp), () => () => 1),
  mean: reducingOp(
    (x, how) => mapped(foldInto(x, how, 0, addUp), (v) => v * (1 / how.count)),
    (x, y, { count }) => () => 1 / Math.max(count, 1),
  ),
  prod: reducingOp(
    (x, how) => foldInto(x, how, 1, (a, b) => a * b),
    (x, y, how) => {
      const others = productOfOthers(x, how);
      return (v, product, i) => others.data[i];
    },
  ),
  max: extremumOp((a, b) => a > b, -Infinity),
  min: extremumOp((a, b) => a < b, Infinity),
  // d |x| / dx = x / |x|, taken as 0 at 0.
  norm2: reducingOp(
    (x, how) => mapped(foldInto(x, how, 0, (s, v) => s + v * v), Math.sqrt),
    () => (v, length) => (length === 0 ? v : v / length),
  ),
  logsumexp: reducingOp(logSumExp, () => (v, y) => Math.exp(v - y)),

  // dL/dx = y (g - <g, y>)
  softmax: lineOp(softmaxLine, (g, y, gx, n) => {
    let along = 0;
    for (let i = 0; i < n; i += 1) along += g(i) * y(i);
    for (let i = 0; i < n; i += 1) gx(i, y(i) * (g(i) - along));
  }),
  // dL/dx = g - e^y sum g
  log_softmax: lineOp(logSoftmaxLine, (g, y, gx, n) => {
    let total = 0;
    for (let i = 0; i < n; i += 1) total += g(i);
    for (let i = 0; i < n; i += 1) gx(i, g(i) - Math.exp(y(i)) * total);
  }),
  // The gradient of a running sum runs from the other end.
  cumsum: lineOp(
    (x, y, n) => {
      for (let i = 0, sum = 0; i < n; i += 1) y(i, (sum += x(i)));
    },
    (g, y, gx, n) => {
      for (let i = n - 1, sum = 0; i >= 0; i -= 1) gx(i, (sum += g(i)));
    },
  ),
  // dL/dx_j = sum over i >= j of g_i times the product up to i without x_j: right at zeros too.
  cumprod: lineOp(
    (x, y, n) => {
      for (let i = 0, product = 1; i < n; i += 1) y(i, (product *= x(i)));
    },
    (g, y, gx, n, x) => {
      for (let j = 0, before = 1; j < n; before *= x(j), j += 1) {
        let [product, total] = [before, 0];
        for (let i = j; i < n; i += 1) {
          if (i > j) product *= x(i);
          total += g(i) * product;
        }
        gx(j, total);
      }
    },
  ),
};

// ---------------------------------------------------------------- line by line

/** An op on each line along meta.axis: forward(x, y, n) and backward(g, y, gx, n, x), all read as x(i), y(i, v). */
function lineOp(forward, backward) {
  const read = (a, start, step) => (i) => a.data[start + i * step];
  const write = (a, start, step) => (i, v) => {
    a.data[start + i * step] = v;
  };
  return {
    forward([x], { axis }) {
      const [y, line] = [arrayOf(x.shape), alongAxis(x.shape, axis)];
      eachLine(line, (...at) => forward(read(x, ...at), write(y, ...at), line.n));
      return y;
    },
    backward(g, [x], y, { axis }) {
      const [gx, line] = [arrayOf(x.shape), alongAxis(x.shape, axis)];
      eachLine(line, (...at) => backward(read(g, ...at), read(y, ...at), write(gx, ...at), line.n, read(x, ...at)));
      return [gx];
    },
  };
}

/** The largest of a line, 0 where that is infinite; and the sum of e^(x - largest). */
function lineTotals(x, n) {
  let top = -Infinity;
  for (let i = 0; i < n; i += 1) top = Math.max(top, x(i));
  if (!Number.isFinite(top)) top = 0;
  let total = 0;
  for (let i = 0; i < n; i += 1) total += Math.exp(x(i) - top);
  return { top, total };
}

function softmaxLine(x, y, n) {
  const { top, total } = lineTotals(x, n);
  for (let i = 0; i < n; i += 1) y(i, Math.exp(x(i) - top) / total);
}

function logSoftmaxLine(x, y, n) {
  const { top, total } = lineTotals(x, n);
  for (let i = 0; i < n; i += 1) y(i, x(i) - top - Math.log(total));
}
