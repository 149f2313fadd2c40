// What the interpreter's ops share: shapes, places, and the two moves that are each other's gradient.
//
// An array is {shape: [2, 3], data: Float64Array}, its elements in row-major order; booleans and integers are
// numbers. Nothing here writes into an array that it was given.
//
// A "place" is the number of an element, counted from 0. Most ops that move elements are a list of places:
// element i of the result is element places[i] of the input, or, where that is negative, none of them. Going
// forward takes from the places, going backward adds to them.

const OUTSIDE = -(2 ** 28); // added to a place it makes it negative, a few times over without overflow

/** How many elements an array of this shape has. */
function countOf(shape) {
  let count = 1;
  for (const n of shape) count *= n;
  return count;
}

/** A new array: zeros, or the given data. */
function arrayOf(shape, data = new Float64Array(countOf(shape))) {
  return { shape: [...shape], data };
}

/** How far apart neighbours along each axis lie: (2, 3, 4) -> [12, 4, 1]. */
function stridesOf(shape) {
  const strides = new Array(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** Axes as a sorted list of numbers >= 0; null means all. */
function axesOf(axis, ndim) {
  if (axis === null || axis === undefined) return Array.from({ length: ndim }, (_, i) => i);
  return [axis].flat().map((a) => (a + ndim) % ndim).sort((a, b) => a - b);
}

/** The shape without the axes, or with length 1 there. */
function reducedShape(shape, axes, keepdims) {
  if (keepdims) return shape.map((n, i) => (axes.includes(i) ? 1 : n));
  return shape.filter((_, i) => !axes.includes(i));
}

/** An axis seen from the side: `outer` blocks of `n` elements that lie `inner` apart. */
function alongAxis(shape, axis) {
  const at = (axis + shape.length) % shape.length;
  return { axis: at, outer: countOf(shape.slice(0, at)), n: shape[at], inner: countOf(shape.slice(at + 1)) };
}

/** Calls visit(start, step) for each line of n elements along an axis. */
function eachLine({ outer, n, inner }, visit) {
  for (let o = 0; o < outer; o += 1) {
    for (let i = 0; i < inner; i += 1) visit(o * n * inner + i, inner);
  }
}

// ---------------------------------------------------------------- places

/** All sums of one number from each list, the last list running fastest. */
function sumsOf(lists, start = 0) {
  let places = Int32Array.of(start);
  for (const list of lists) {
    const longer = new Int32Array(places.length * list.length);
    let at = 0;
    for (const place of places) for (let i = 0; i < list.length; i += 1) longer[at++] = place + list[i];
    places = longer;
  }
  return places;
}

/** start, start + step, ... : n numbers. */
function stepsOf(n, step, start = 0) {
  const list = new Int32Array(n);
  for (let i = 0; i < n; i += 1) list[i] = start + i * step;
  return list;
}

/** The places of a walk through memory: along axis k of `shape` each step goes strides[k] further. */
function stridedPlaces(shape, strides, start = 0) {
  return sumsOf(shape.map((n, axis) => stepsOf(n, strides[axis])), start);
}

/** The shape that these shapes broadcast to. */
function broadcastShape(...shapes) {
  const out = new Array(Math.max(...shapes.map((s) => s.length))).fill(1);
  for (const shape of shapes) {
    const lead = out.length - shape.length;
    shape.forEach((n, i) => {
      if (n !== 1) out[lead + i] = n;
    });
  }
  return out;
}

const sameShape = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);

/** Which element of `shape` each element of `out` reads when broadcast; null where each reads its own. */
function broadcastPlaces(shape, out) {
  if (sameShape(shape, out)) return null;
  const lead = out.length - shape.length;
  const strides = stridesOf(shape).map((step, i) => (shape[i] === 1 ? 0 : step));
  return stridedPlaces(out, [...new Array(lead).fill(0), ...strides]);
}

/** Which result of a reduction each element of `shape` goes into. */
function reducedPlaces(shape, axes) {
  const strides = stridesOf(reducedShape(shape, axes, true)).map((step, i) => (axes.includes(i) ? 0 : step));
  return stridedPlaces(shape, strides);
}

/** y[i] = x[places[i]], or `fill` where the place is negative. */
function takePlaces(x, places, shape, fill = 0) {
  const y = arrayOf(shape);
  for (let i = 0; i < places.length; i += 1) y.data[i] = places[i] < 0 ? fill : x.data[places[i]];
  return y;
}

/** Zeros of `shape` with y[places[i]] += x[i]. */
function addPlaces(x, places, shape) {
  const y = arrayOf(shape);
  for (let i = 0; i < places.length; i += 1) if (places[i] >= 0) y.data[places[i]] += x.data[i];
  return y;
}

/** x broadcast to a shape. */
function spreadTo(x, shape) {
  const places = broadcastPlaces(x.shape, shape);
  return places ? takePlaces(x, places, shape) : x;
}

/** x summed back to the shape that was broadcast. */
function gatherTo(x, shape) {
  const places = broadcastPlaces(shape, x.shape);
  return places ? addPlaces(x, places, shape) : x;
}

/** The sum of two arrays of one shape. */
function plus(a, b) {
  const y = arrayOf(a.shape);
  for (let i = 0; i < y.data.length; i += 1) y.data[i] = a.data[i] + b.data[i];
  return y;
}

/** x with f applied to each element. */
function mapped(x, f) {
  const y = arrayOf(x.shape);
  for (let i = 0; i < y.data.length; i += 1) y.data[i] = f(x.data[i], i);
  return y;
}

// ---------------------------------------------------------------- ops made of places

/** One op made from move(shape, meta) -> {shape, places, fill}: forward takes, backward adds back. */
function takingOp(move) {
  const kept = remembered(move);
  return {
    forward([x], meta) {
      const { shape, places, fill } = kept(x.shape, meta);
      return takePlaces(x, places, shape, fill);
    },
    backward: (g, [x], y, meta) => [addPlaces(g, kept(x.shape, meta).places, x.shape)],
  };
}

/** The other way round: forward adds to the places of move(shape of the result), backward takes from them. */
function addingOp(move, resultShape) {
  const kept = remembered((shape, meta) => {
    const result = resultShape(shape, meta);
    return { ...move(result, meta, shape), result };
  });
  return {
    forward([x], meta) {
      const { shape, places, result } = kept(x.shape, meta);
      return addPlaces(spreadTo(x, shape), places, result);
    },
    backward(g, [x], y, meta) {
      const { shape, places } = kept(x.shape, meta);
      return [gatherTo(takePlaces(g, places, shape), x.shape)];
    },
  };
}

/** A move that is worked out once for each step of a graph: its settings and shapes stay, only numbers change. */
function remembered(move) {
  const known = new WeakMap(); // by the step's settings
  return (shape, meta) => {
    let found = known.get(meta);
    if (!found || !sameShape(found.from, shape)) {
      found = { from: [...shape], move: move(shape, meta) };
      known.set(meta, found);
    }
    return found.move;
  };
}

/** An op without a gradient. */
function constantOp(forward) {
  return { forward, backward: (g, inputs) => inputs.map(() => null) };
}
