// Matrix products, einsum, and the inverse with its kin, in plain loops on typed arrays.

/**
 * Y += A B for one pair of matrices, (m, k) and (k, n), Y's rows lying n apart. A and B are [data, start,
 * distance of rows, distance of columns], so that a transposed matrix is the same memory read the other way.
 */
function addProduct(m, k, n, [a, a0, aRow, aColumn], [b, b0, bRow, bColumn], y, y0) {
  for (let i = 0; i < m; i += 1) {
    const to = y0 + i * n;
    const row = a0 + i * aRow;
    if (bRow === 1) {
      // Down a column of B is along memory: a sum of products for each element of Y.
      for (let j = 0; j < n; j += 1) {
        const from = b0 + j * bColumn;
        let sum = 0;
        for (let p = 0; p < k; p += 1) sum += a[row + p * aColumn] * b[from + p];
        y[to + j] += sum;
      }
    } else {
      for (let p = 0; p < k; p += 1) {
        const scale = a[row + p * aColumn];
        const from = b0 + p * bRow;
        for (let j = 0; j < n; j += 1) y[to + j] += scale * b[from + j * bColumn];
      }
    }
  }
}

/** The matrix that starts at `start` of an array, and the same transposed. */
function matrixAt({ data, shape }, start) {
  return [data, start, shape.at(-1), 1];
}

function transposedAt({ data, shape }, start) {
  return [data, start, 1, shape.at(-1)];
}

/** The sizes of a product of stacks of matrices, and visit(start in a, in b, in y) for each pair. */
function eachProduct(a, b, visit) {
  const [m, k, n] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-1)];
  const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const lead = broadcastShape(leadA, leadB);
  const [p, q] = [broadcastPlaces(leadA, lead), broadcastPlaces(leadB, lead)];
  for (let i = 0; i < countOf(lead); i += 1) {
    visit((p ? p[i] : i) * m * k, (q ? q[i] : i) * k * n, i * m * n, m, k, n);
  }
  return [...lead, m, n];
}

function matmul(a, b) {
  const y = arrayOf([...broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2)), a.shape.at(-2), b.shape.at(-1)]);
  eachProduct(a, b, (i, j, o, m, k, n) => addProduct(m, k, n, matrixAt(a, i), matrixAt(b, j), y.data, o));
  return y;
}

/** Y = A B:  dL/dA = G B^T,  dL/dB = A^T G; where a stack was broadcast, its shares add up in one place. */
function matmulBackward(g, [a, b], y, meta, needs = [true, true]) {
  const [ga, gb] = [arrayOf(a.shape), arrayOf(b.shape)];
  eachProduct(a, b, (i, j, o, m, k, n) => {
    if (needs[0]) addProduct(m, n, k, matrixAt(g, o), transposedAt(b, j), ga.data, i);
    if (needs[1]) addProduct(k, m, n, transposedAt(a, i), matrixAt(g, o), gb.data, j);
  });
  return [needs[0] ? ga : null, needs[1] ? gb : null];
}

// ---------------------------------------------------------------- the affine map of a layer

/** Leading axes as one: how many rows. */
function rowsOf(x) {
  return countOf(x.shape.slice(0, -1));
}

const linearOp = {
  /** y = x W^T + b */
  forward([x, w, bias]) {
    const [rows, [outs, ins]] = [rowsOf(x), w.shape];
    const y = arrayOf([...x.shape.slice(0, -1), outs]);
    if (bias) for (let i = 0; i < y.data.length; i += 1) y.data[i] = bias.data[i % outs];
    addProduct(rows, ins, outs, matrixAt(x, 0), transposedAt(w, 0), y.data, 0);
    return y;
  },
  /** dL/dx = g W,  dL/dW = g^T x,  dL/db = the sum of g's rows */
  backward(g, [x, w, bias], y, meta, needs = [true, true, true]) {
    const [rows, [outs, ins]] = [rowsOf(x), w.shape];
    const [gx, gw] = [arrayOf(x.shape), arrayOf(w.shape)];
    if (needs[0]) addProduct(rows, outs, ins, matrixAt(g, 0), matrixAt(w, 0), gx.data, 0);
    if (needs[1]) addProduct(outs, rows, ins, transposedAt(g, 0), matrixAt(x, 0), gw.data, 0);
    return [needs[0] ? gx : null, needs[1] ? gw : null, bias ? gatherTo(g, bias.shape) : null];
  },
};

// ---------------------------------------------------------------- einsum

/**
 * Every combination of the index letters: visit(places), places[k] being where operand k's element lies, the
 * output's last. An operand of length 1 under a letter stays where it is: it is broadcast.
 */
function einsumWalk(subscripts, operands, visit) {
  const [sources, target] = subscripts.split("->");
  const names = [...sources.split(","), target];
  const lengths = {};
  operands.forEach((x, k) => [...names[k]].forEach((c, i) => (lengths[c] = Math.max(lengths[c] ?? 0, x.shape[i]))));
  const outShape = [...target].map((c) => lengths[c]);
  if (!visit) return outShape;
  const letters = [...target, ...Object.keys(lengths).filter((c) => !target.includes(c))];
  const shape = letters.map((c) => lengths[c]);
  const places = [...operands.map((x) => x.shape), outShape].map((own, k) => {
    const strides = stridesOf(own).map((step, i) => (own[i] === 1 ? 0 : step));
    return stridedPlaces(shape, letters.map((c) => strides[names[k].indexOf(c)] ?? 0));
  });
  visit(places, countOf(shape));
  return outShape;
}

const einsumOp = {
  forward(operands, { subscripts }) {
    const y = arrayOf(einsumWalk(subscripts, operands));
    einsumWalk(subscripts, operands, (places, count) => {
      const to = places.at(-1);
      for (let i = 0; i < count; i += 1) {
        let product = 1;
        for (let k = 0; k < operands.length; k += 1) product *= operands[k].data[places[k][i]];
        y.data[to[i]] += product;
      }
    });
    return y;
  },
  /** Operand k's gradient: g times the other operands, added at k's own places. */
  backward(g, operands, y, { subscripts }, needs = operands.map(() => true)) {
    const grads = operands.map((x, k) => (needs[k] ? arrayOf(x.shape) : null));
    einsumWalk(subscripts, operands, (places, count) => {
      const from = places.at(-1);
      grads.forEach((own, k) => {
        if (!own) return;
        for (let i = 0; i < count; i += 1) {
          let product = g.data[from[i]];
          for (let o = 0; o < operands.length; o += 1) if (o !== k) product *= operands[o].data[places[o][i]];
          own.data[places[k][i]] += product;
        }
      });
    });
    return grads;
  },
};

// ---------------------------------------------------------------- inverse, determinant, factor

/** The last two axes exchanged. */
function swapped(x) {
  const axes = [...x.shape.keys()];
  const { shape, places } = transposeMove(x.shape, { axes: [...axes.slice(0, -2), axes.at(-1), axes.at(-2)] });
  return takePlaces(x, places, shape);
}

/**
 * L U = P A by elimination with row exchanges, of one n x n matrix: {lu, order, sign}, L below the diagonal of
 * lu (with ones on it) and U above.
 */
function factorLU(a, start, n) {
  const lu = a.data.slice(start, start + n * n);
  const order = [...stepsOf(n, 1)];
  let sign = 1;
  for (let k = 0; k < n; k += 1) {
    let pivot = k;
    for (let i = k + 1; i < n; i += 1) if (Math.abs(lu[i * n + k]) > Math.abs(lu[pivot * n + k])) pivot = i;
    if (pivot !== k) {
      sign = -sign;
      [order[k], order[pivot]] = [order[pivot], order[k]];
      for (let j = 0; j < n; j += 1) [lu[k * n + j], lu[pivot * n + j]] = [lu[pivot * n + j], lu[k * n + j]];
    }
    for (let i = k + 1; i < n; i += 1) {
      const factor = (lu[i * n + k] /= lu[k * n + k]);
      for (let j = k + 1; j < n; j += 1) lu[i * n + j] -= factor * lu[k * n + j];
    }
  }
  return { lu, order, sign };
}

/** X with A X = B, for stacks of matrices. */
function solve(a, b) {
  const [n, columns] = b.shape.slice(-2);
  const x = arrayOf(b.shape);
  for (let s = 0; s < countOf(a.shape.slice(0, -2)); s += 1) {
    const { lu, order } = factorLU(a, s * n * n, n);
    const from = s * n * columns;
    for (let c = 0; c < columns; c += 1) {
      const at = (i) => from + i * columns + c;
      for (let i = 0; i < n; i += 1) {
        let v = b.data[at(order[i])];
        for (let j = 0; j < i; j += 1) v -= lu[i * n + j] * x.data[at(j)];
        x.data[at(i)] = v;
      }
      for (let i = n - 1; i >= 0; i -= 1) {
        let v = x.data[at(i)];
        for (let j = i + 1; j < n; j += 1) v -= lu[i * n + j] * x.data[at(j)];
        x.data[at(i)] = v / lu[i * n + i];
      }
    }
  }
  return x;
}

function inverse(x) {
  return solve(x, mapped(x, (v, i) => (isOnDiagonal(i, x.shape.at(-1)) ? 1 : 0)));
}

/** f(sign, the diagonal of U) for each matrix of a stack. */
function perMatrix(x, f) {
  const n = x.shape.at(-1);
  const y = arrayOf(x.shape.slice(0, -2));
  for (let s = 0; s < y.data.length; s += 1) {
    const { lu, sign } = factorLU(x, s * n * n, n);
    y.data[s] = f(sign, Array.from({ length: n }, (_, i) => lu[i * n + i]));
  }
  return y;
}

/** The transposed inverse times one number for each matrix: the gradient of determinants. */
function scaledInverse(x, scale) {
  const size = x.shape.at(-1) ** 2;
  return mapped(swapped(inverse(x)), (v, i) => v * scale(Math.floor(i / size)));
}

/** Lower triangular L with L L^T = (x + x^T) / 2. */
function cholesky(x) {
  const n = x.shape.at(-1);
  const l = arrayOf(x.shape);
  for (let start = 0; start < x.data.length; start += n * n) {
    const at = (i, j) => start + i * n + j;
    for (let i = 0; i < n; i += 1) {
      for (let j = 0; j <= i; j += 1) {
        let v = 0.5 * (x.data[at(i, j)] + x.data[at(j, i)]);
        for (let k = 0; k < j; k += 1) v -= l.data[at(i, k)] * l.data[at(j, k)];
        l.data[at(i, j)] = i === j ? Math.sqrt(v) : v / l.data[at(j, j)];
      }
    }
  }
  return l;
}

/** dL/dA = sym(L^-T P(L^T G) L^-1), P: lower triangle with half the diagonal (Murray 2016, eq. 10). */
function choleskyBackward(g, inputs, l) {
  const n = l.shape.at(-1);
  const p = mapped(matmul(swapped(l), g), (v, i) => {
    const [row, column] = [Math.floor(i / n) % n, i % n];
    return row > column ? v : row === column ? 0.5 * v : 0;
  });
  const back = matmul(matmul(swapped(inverse(l)), p), inverse(l));
  const turned = swapped(back);
  return [mapped(back, (v, i) => 0.5 * (v + turned.data[i]))];
}

const negated = (x) => mapped(x, (v) => -v);

const LINALG_OPS = {
  matmul: { forward: ([a, b]) => matmul(a, b), backward: matmulBackward },
  linear: linearOp,
  einsum: einsumOp,
  // d(X^-1) = -X^-1 dX X^-1
  inv: {
    forward: ([x]) => inverse(x),
    backward: (g, inputs, y) => [negated(matmul(matmul(swapped(y), g), swapped(y)))],
  },
  // d det X = det X tr(X^-1 dX)
  det: {
    forward: ([x]) => perMatrix(x, (sign, diagonal) => diagonal.reduce((a, b) => a * b, sign)),
    backward: (g, [x], y) => [scaledInverse(x, (s) => g.data[s] * y.data[s])],
  },
  logabsdet: {
    forward: ([x]) => perMatrix(x, (_, diagonal) => sumOf(diagonal.map((v) => Math.log(Math.abs(v))))),
    backward: (g, [x]) => [scaledInverse(x, (s) => g.data[s])],
  },
  // X = A^-1 B:  dL/dB = A^-T G,  dL/dA = -(A^-T G) X^T
  solve: {
    forward: ([a, b]) => solve(a, b),
    backward(g, [a], y) {
      const gb = solve(swapped(a), g);
      return [negated(matmul(gb, swapped(y))), gb];
    },
  },
  cholesky: { forward: ([x]) => cholesky(x), backward: choleskyBackward },
};
