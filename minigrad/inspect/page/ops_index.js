// Indexing by NumPy's rules, and its adjoint; what else is taken or put by numbers that are not differentiated.
//
// An index is a list of: whole numbers, {slice: [start, stop, step]}, null (a new axis), {ellipsis: true} and
// integer arrays. (Boolean ones come as the arrays of their true places; see lower.py.)

/** Where x[index] finds its elements. */
function indexMove(shape, { index }) {
  const items = withoutEllipsis(Array.isArray(index) ? index : [index], shape.length);
  const arrays = items.filter((item) => item && item.data);
  if (arrays.length) return arrayIndexMove(shape, items, broadcastShape(...arrays.map((a) => a.shape)));
  const parts = plainParts(shape, items);
  return {
    shape: parts.filter((p) => !p.gone).map((p) => p.list.length),
    places: sumsOf(parts.map((p) => p.list)),
  };
}

/** The ellipsis, or the end, filled up with whole axes. */
function withoutEllipsis(items, ndim) {
  const used = items.filter((item) => item !== null && !(item && item.ellipsis)).length;
  const rest = new Array(ndim - used).fill({ slice: [null, null, null] });
  const at = items.findIndex((item) => item && item.ellipsis);
  return at < 0 ? [...items, ...rest] : [...items.slice(0, at), ...rest, ...items.slice(at + 1)];
}

/** For each item the distances it adds to a place, one per element along it; arrays keep their item. */
function plainParts(shape, items) {
  const strides = stridesOf(shape);
  let axis = -1;
  return items.map((item) => {
    if (item === null) return { list: [0] };
    axis += 1;
    const [n, step] = [shape[axis], strides[axis]];
    if (item.slice) return { list: sliceReads(item.slice, n).map((i) => i * step) };
    if (item.data) return { item, n, step };
    return { list: [(item < 0 ? item + n : item) * step], gone: true };
  });
}

/** The elements that start:stop:step reads of n. */
function sliceReads([start, stop, step], n) {
  const by = step ?? 1;
  const end = (i) => (i < 0 ? Math.max(i + n, by < 0 ? -1 : 0) : Math.min(i, by < 0 ? n - 1 : n));
  const from = start === null ? (by < 0 ? n - 1 : 0) : end(start);
  const to = stop === null ? (by < 0 ? -1 : n) : end(stop);
  return stepsOf(Math.max(Math.ceil((to - from) / by), 0), by, from);
}

/**
 * With arrays among the items: they and the whole numbers are read together, as `common` elements, which stand
 * where the first of them stood if they are neighbours, else in front.
 */
function arrayIndexMove(shape, items, common) {
  const parts = plainParts(shape, items);
  const together = parts.flatMap((p, i) => (p.gone || p.item ? [i] : []));
  const joined = { list: new Int32Array(countOf(common)), shape: common };
  for (const i of together) {
    const { item, n, step, list } = parts[i];
    const places = item && (broadcastPlaces(item.shape, common) ?? stepsOf(countOf(common), 1));
    for (let k = 0; k < joined.list.length; k += 1) {
      joined.list[k] += item ? modulo(item.data[places[k]], n) * step : list[0];
    }
  }
  const [first, last] = [together[0], together.at(-1)];
  const neighbours = last - first + 1 === together.length;
  const others = parts.map((p, i) => ({ ...p, i })).filter(({ i }) => !together.includes(i));
  const before = neighbours ? others.filter(({ i }) => i < first) : [];
  const order = [...before, joined, ...others.filter((p) => !before.includes(p))];
  return {
    shape: order.flatMap((p) => p.shape ?? [p.list.length]),
    places: sumsOf(order.map((p) => p.list)),
  };
}

const rememberedIndex = remembered(indexMove);

/** The stretch of an axis that a band's row takes, element by element: visit(row, column, weight). */
function eachTap({ first, weights, length }, visit) {
  const taps = weights.shape[1];
  for (let row = 0; row < weights.shape[0]; row += 1) {
    for (let k = 0; k < taps; k += 1) {
      const column = first.data[row] + k;
      if (column < length) visit(row, column, weights.data[row * taps + k]);
    }
  }
}

/** y += W x along an axis, or with `back` y += W^T x. */
function addBand(x, y, band, axis, back) {
  const [here, there] = [alongAxis(x.shape, axis), alongAxis(y.shape, axis)];
  for (let o = 0; o < here.outer; o += 1) {
    eachTap(band, (row, column, weight) => {
      const from = (o * here.n + (back ? row : column)) * here.inner;
      const to = (o * there.n + (back ? column : row)) * there.inner;
      for (let i = 0; i < here.inner; i += 1) y.data[to + i] += weight * x.data[from + i];
    });
  }
  return y;
}

const INDEX_OPS = {
  take_index: takingOp(indexMove),
  put_add: addingOp(indexMove, (_, meta) => [meta.shape].flat()),
  // x with x[index] = values: x keeps its gradient elsewhere, the values receive theirs.
  put: {
    forward([x, values], meta) {
      const { shape, places } = rememberedIndex(x.shape, meta);
      const y = arrayOf(x.shape, x.data.slice());
      const given = spreadTo(values, shape);
      for (let i = 0; i < places.length; i += 1) y.data[places[i]] = given.data[i];
      return y;
    },
    backward(g, [x, values], y, meta) {
      const { shape, places } = rememberedIndex(x.shape, meta);
      const gx = arrayOf(x.shape, g.data.slice());
      for (const place of places) gx.data[place] = 0;
      return [gx, gatherTo(takePlaces(g, places, shape), values.shape)];
    },
  },
  // A matrix with few neighbouring elements a row, times x along an axis: interpolation, adaptive pooling.
  resample: {
    forward([x], { band, axis }) {
      const shape = [...x.shape];
      shape[axis] = band.weights.shape[0];
      return addBand(x, arrayOf(shape), band, axis, false);
    },
    backward: (g, [x], y, { band, axis }) => [addBand(g, arrayOf(x.shape), band, axis, true)],
  },
  // The mask that the engine drew stays, with its factor 1 / (1 - p).
  dropout: {
    forward: ([x], { mask }) => mapped(x, (v, i) => v * mask.data[i]),
    backward: (g, [x], y, { mask }) => [mapped(g, (v, i) => v * mask.data[i])],
  },
  // x as it is; its gradient comes back times a factor.
  weigh_gradient: {
    forward: ([x]) => x,
    backward(g, [x], y, { factor }) {
      const by = spreadTo(factor.data ? factor : arrayOf([], Float64Array.of(factor)), g.shape);
      return [mapped(g, (v, i) => v * by.data[i])];
    },
  },
};
