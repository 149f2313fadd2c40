// Ops that move elements without changing them. Each says where its elements come from; see ops_core.js.

/** A view of the same elements in another shape; neither side is ever written to, so they may share memory. */
function reshaped(x, shape) {
  return { shape: [...shape], data: x.data };
}

/** The one length that is -1 worked out. */
function fullShape(shape, count) {
  const list = [shape].flat();
  const known = list.reduce((product, n) => (n < 0 ? product : product * n), 1);
  return list.map((n) => (n < 0 ? count / known : n));
}

/** Axes in another order, reversed if none is given. */
function transposeMove(shape, { axes }) {
  const strides = stridesOf(shape);
  const order = axes ? axes.map((a) => (a + shape.length) % shape.length) : [...shape.keys()].reverse();
  const out = order.map((a) => shape[a]);
  return { shape: out, places: stridedPlaces(out, order.map((a) => strides[a])) };
}

/** Each axis of `shape` gives the list of its own elements that are read, in order; negative is outside. */
function axisMove(shape, readsOf, fill = 0) {
  const strides = stridesOf(shape);
  const reads = shape.map((n, axis) => readsOf(n, axis));
  const lists = reads.map((list, axis) => list.map((i) => (i < 0 ? OUTSIDE : i * strides[axis])));
  return { shape: reads.map((list) => list.length), places: sumsOf(lists), fill };
}

function flipMove(shape, { axis }) {
  const axes = axesOf(axis, shape.length);
  return axisMove(shape, (n, a) => (axes.includes(a) ? stepsOf(n, -1, n - 1) : stepsOf(n, 1)));
}

/** What falls off the end returns at the start; without an axis, of all elements in one row. */
function rollMove(shape, { shift, axis }) {
  if (axis === null) return { ...rollMove([countOf(shape)], { shift: sumOf([shift].flat()), axis: 0 }), shape };
  const shifts = new Array(shape.length).fill(0);
  [axis].flat().forEach((a, i) => {
    shifts[(a + shape.length) % shape.length] += [shift].flat()[i] ?? shift;
  });
  return axisMove(shape, (n, a) => stepsOf(n, 1).map((i) => modulo(i - shifts[a], n)));
}

function sumOf(numbers) {
  return numbers.reduce((a, b) => a + b, 0);
}

/** The elements of the last two axes for which keep(row, column) holds, zeros elsewhere. */
function matrixPart(keep) {
  return (shape, meta) => {
    const [rows, columns] = shape.slice(-2);
    const places = stepsOf(countOf(shape), 1).map((place) => {
      const column = place % columns;
      const row = Math.floor(place / columns) % rows;
      return keep(row, column, meta) ? place : OUTSIDE;
    });
    return { shape, places };
  };
}

/** The diagonal of two axes, as the last axis: one step goes along both at once. */
function diagonalMove(shape, { offset, axis1, axis2 }) {
  const [a, b] = [axis1, axis2].map((axis) => (axis + shape.length) % shape.length);
  const strides = stridesOf(shape);
  const [down, right] = [Math.max(-offset, 0), Math.max(offset, 0)];
  const length = Math.max(Math.min(shape[a] - down, shape[b] - right), 0);
  const rest = [...shape.keys()].filter((axis) => axis !== a && axis !== b);
  const out = [...rest.map((axis) => shape[axis]), length];
  const steps = [...rest.map((axis) => strides[axis]), strides[a] + strides[b]];
  return { shape: out, places: stridedPlaces(out, steps, down * strides[a] + right * strides[b]) };
}

function broadcastMove(shape, meta) {
  const out = [meta.shape].flat();
  return { shape: out, places: broadcastPlaces(shape, out) ?? stepsOf(countOf(out), 1) };
}

// ---------------------------------------------------------------- borders

/** `before` and `after` more elements on each axis, all of one value. */
function padMove(shape, { width, value }) {
  return axisMove(shape, (n, axis) => borderReads(n, width[axis], () => -1), value);
}

/** Borders copied from inside: 'reflect' (without the edge), 'edge' or 'wrap'. */
function borderMove(shape, { width, mode }) {
  const inside = {
    reflect: (i, n) => (i < 0 ? -i : 2 * (n - 1) - i),
    edge: (i, n) => Math.min(Math.max(i, 0), n - 1),
    wrap: (i, n) => modulo(i, n),
  }[mode];
  return axisMove(shape, (n, axis) => borderReads(n, width[axis], inside));
}

/** Elements 0 .. n - 1 with a border, whose elements `outside(i, n)` says. */
function borderReads(n, [before, after], outside) {
  return stepsOf(before + n + after, 1, -before).map((i) => (i >= 0 && i < n ? i : outside(i, n)));
}

// ---------------------------------------------------------------- joining

/** The places in the joined array of each input's elements. */
function joinedPlaces(inputs, shape, axis) {
  const strides = stridesOf(shape);
  let start = 0;
  return inputs.map((x) => {
    const places = stridedPlaces(x.shape, strides, start * strides[axis]);
    start += x.shape[axis];
    return places;
  });
}

const concatenateOp = {
  forward(inputs, meta) {
    const axis = (meta.axis + inputs[0].shape.length) % inputs[0].shape.length;
    const shape = [...inputs[0].shape];
    shape[axis] = sumOf(inputs.map((x) => x.shape[axis]));
    const y = arrayOf(shape);
    joinedPlaces(inputs, shape, axis).forEach((places, k) => {
      for (let i = 0; i < places.length; i += 1) y.data[places[i]] = inputs[k].data[i];
    });
    return y;
  },
  backward(g, inputs, y, meta) {
    const axis = (meta.axis + y.shape.length) % y.shape.length;
    return joinedPlaces(inputs, y.shape, axis).map((places, k) => takePlaces(g, places, inputs[k].shape));
  },
};

// ---------------------------------------------------------------- the table

const SAME_OP = { forward: ([x]) => x, backward: (g) => [g] };

const SHAPE_OPS = {
  identity: SAME_OP,
  copy: SAME_OP,
  transfer: SAME_OP,
  // The page computes in float64 throughout: of a change of dtype only whole numbers and truth are seen.
  cast: {
    forward([x], meta, dtype = "float64") {
      if (dtype === "bool") return mapped(x, (v) => (v !== 0 ? 1 : 0));
      return dtype.startsWith("float") ? x : mapped(x, Math.trunc);
    },
    backward: (g) => [g],
  },
  reshape: {
    forward: ([x], { shape }) => reshaped(x, fullShape(shape, x.data.length)),
    backward: (g, [x]) => [reshaped(g, x.shape)],
  },
  transpose: takingOp(transposeMove),
  flip: takingOp(flipMove),
  roll: takingOp(rollMove),
  tril: takingOp(matrixPart((row, column, { k }) => column - row <= k)),
  triu: takingOp(matrixPart((row, column, { k }) => column - row >= k)),
  off_diagonal: takingOp(matrixPart((row, column) => row !== column)),
  diagonal: takingOp(diagonalMove),
  diagonal_adjoint: addingOp(diagonalMove, (_, meta) => meta.shape),
  broadcast_to: takingOp(broadcastMove),
  sum_to: addingOp((shape, meta, from) => broadcastMove(shape, { shape: from }), (_, meta) => [meta.shape].flat()),
  pad_constant: takingOp(padMove),
  pad_border: takingOp(borderMove),
  pad_border_sum: addingOp(borderMove, (shape, { width }) => shape.map((n, i) => n - width[i][0] - width[i][1])),
  concatenate: concatenateOp,
  // y[..., j, i] = x[..., i], but 1 at i = j: row j is x without its element j.
  others: {
    forward([x]) {
      const n = x.shape.at(-1);
      const y = spreadTo(reshaped(x, [...x.shape.slice(0, -1), 1, n]), [...x.shape, n]);
      return mapped(y, (v, i) => (isOnDiagonal(i, n) ? 1 : v));
    },
    backward(g, [x]) {
      const n = x.shape.at(-1);
      const off = mapped(g, (v, i) => (isOnDiagonal(i, n) ? 0 : v));
      return [reshaped(gatherTo(off, [...x.shape.slice(0, -1), 1, n]), x.shape)];
    },
  },
  half_diagonal: {
    forward: ([x]) => mapped(x, (v, i) => (isOnDiagonal(i, x.shape.at(-1)) ? 0.5 * v : 0)),
    backward: (g) => [mapped(g, (v, i) => (isOnDiagonal(i, g.shape.at(-1)) ? 0.5 * v : 0))],
  },
};

/** Is element i, counted through stacked n x n matrices, on a diagonal? */
function isOnDiagonal(i, n) {
  return i % n === Math.floor(i / n) % n;
}
