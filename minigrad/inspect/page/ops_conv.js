// Convolution (cross-correlation) and pooling: windows of an image, in one, two or three dimensions.
//
// y[n, o, p] = sum over c, k of w[o, c, k] x[n, c, stride p + dilation k - before]

/** How many windows fit on each axis: as the engine counts them, see ops/windows.py. */
function windowCounts(lengths, { kernel, stride, padding, dilation, ceil_mode: ceil = false }) {
  return lengths.map((n, i) => {
    const [before, after] = padding[i];
    const room = n + before + after - (dilation?.[i] ?? 1) * (kernel[i] - 1) - 1;
    if (!ceil) return Math.floor(room / stride[i]) + 1;
    const count = Math.ceil(room / stride[i]) + 1;
    return (count - 1) * stride[i] >= n + before ? count - 1 : count;
  });
}

// ---------------------------------------------------------------- convolution

/**
 * One plane of the input against one plane of the kernel, as rows of products: [kernel place, start in x, start
 * in y, how many], the elements of x lying `step` apart. What would read the border, which is 0, is left out.
 */
function convRows(lengths, how) {
  const out = windowCounts(lengths, how);
  const { kernel, stride, padding, dilation } = how;
  const [xStrides, yStrides] = [stridesOf(lengths), stridesOf(out)];
  let rows = [[0, 0, 0]];
  lengths.forEach((n, axis) => {
    const longer = [];
    for (const [k, x, y] of rows) {
      for (let at = 0; at < kernel[axis]; at += 1) {
        const shift = at * dilation[axis] - padding[axis][0]; // window p reads element stride p + shift
        const first = Math.max(Math.ceil(-shift / stride[axis]), 0);
        const last = Math.min(Math.floor((n - 1 - shift) / stride[axis]), out[axis] - 1);
        const nextK = k * kernel[axis] + at;
        const place = (p) => [x + (p * stride[axis] + shift) * xStrides[axis], y + p * yStrides[axis]];
        if (axis === lengths.length - 1) {
          if (last >= first) longer.push([nextK, ...place(first), last - first + 1]);
        } else {
          for (let p = first; p <= last; p += 1) longer.push([nextK, ...place(p)]);
        }
      }
    }
    rows = longer;
  });
  return { out, rows: Int32Array.from(rows.flat()), step: stride.at(-1) };
}

/** The sizes of one convolution, from the shapes of x and w. */
function convPlan(xShape, wShape, meta) {
  const lengths = xShape.slice(2);
  const how = { ...meta, kernel: wShape.slice(2) };
  return {
    ...convRows(lengths, how),
    batch: xShape[0],
    channels: xShape[1],
    filters: wShape[0],
    perGroup: wShape[1],
    filtersPerGroup: wShape[0] / meta.groups,
    xSize: countOf(lengths),
    wSize: countOf(how.kernel),
  };
}

/** visit(start in x, in w, in y) for every plane of x that meets a plane of w. */
function eachPlane({ batch, channels, filters, perGroup, filtersPerGroup, out, xSize, wSize }, visit) {
  const ySize = countOf(out);
  for (let n = 0; n < batch; n += 1) {
    for (let o = 0; o < filters; o += 1) {
      const firstChannel = Math.floor(o / filtersPerGroup) * perGroup;
      for (let c = 0; c < perGroup; c += 1) {
        visit((n * channels + firstChannel + c) * xSize, (o * perGroup + c) * wSize, (n * filters + o) * ySize);
      }
    }
  }
}

/** y += w * x */
function addConv(plan, x, w, y) {
  const { rows, step } = plan;
  eachPlane(plan, (x0, w0, y0) => {
    for (let r = 0; r < rows.length; r += 4) {
      const weight = w[w0 + rows[r]];
      const from = x0 + rows[r + 1];
      const to = y0 + rows[r + 2];
      const n = rows[r + 3];
      for (let i = 0; i < n; i += 1) y[to + i] += weight * x[from + i * step];
    }
  });
}

/** x += what w carries back from y: the same products, read the other way. */
function addConvX(plan, y, w, x) {
  const { rows, step } = plan;
  eachPlane(plan, (x0, w0, y0) => {
    for (let r = 0; r < rows.length; r += 4) {
      const weight = w[w0 + rows[r]];
      const to = x0 + rows[r + 1];
      const from = y0 + rows[r + 2];
      const n = rows[r + 3];
      for (let i = 0; i < n; i += 1) x[to + i * step] += weight * y[from + i];
    }
  });
}

/** w += the products of y and x that each weight took part in. */
function addConvW(plan, y, x, w) {
  const { rows, step } = plan;
  eachPlane(plan, (x0, w0, y0) => {
    for (let r = 0; r < rows.length; r += 4) {
      const from = x0 + rows[r + 1];
      const other = y0 + rows[r + 2];
      const n = rows[r + 3];
      let sum = 0;
      for (let i = 0; i < n; i += 1) sum += y[other + i] * x[from + i * step];
      w[w0 + rows[r]] += sum;
    }
  });
}

/** conv, in words of its three parts: y of (x, w), x of (y, w), w of (y, x), each linear in both. */
const convolution = {
  y(x, w, meta) {
    const plan = convPlan(x.shape, w.shape, meta);
    const y = arrayOf([plan.batch, plan.filters, ...plan.out]);
    addConv(plan, x.data, w.data, y.data);
    return y;
  },
  x(y, w, meta, shape) {
    const x = arrayOf(shape);
    addConvX(convPlan(shape, w.shape, meta), y.data, w.data, x.data);
    return x;
  },
  w(y, x, meta, shape) {
    const w = arrayOf(shape);
    addConvW(convPlan(x.shape, shape, meta), y.data, x.data, w.data);
    return w;
  },
};

const convOp = {
  forward([x, w, bias], meta) {
    const y = convolution.y(x, w, meta);
    if (!bias) return y;
    const size = countOf(y.shape.slice(2));
    return mapped(y, (v, i) => v + bias.data[Math.floor(i / size) % bias.data.length]);
  },
  backward(g, [x, w, bias], y, meta, needs = [true, true, true]) {
    return [
      needs[0] ? convolution.x(g, w, meta, x.shape) : null,
      needs[1] ? convolution.w(g, x, meta, w.shape) : null,
      bias ? addPlaces(g, reducedPlaces(g.shape, [...g.shape.keys()].filter((a) => a !== 1)), bias.shape) : null,
    ];
  },
};

// ---------------------------------------------------------------- windows

/** The places that each window of one plane reads, (...windows, ...kernel); negative on the border. */
function windowPlaces(lengths, how) {
  const { kernel, stride, padding, dilation } = how;
  const out = windowCounts(lengths, how);
  const strides = stridesOf(lengths);
  const lists = lengths.map((n, axis) => {
    const list = [];
    for (let p = 0; p < out[axis]; p += 1) {
      for (let k = 0; k < kernel[axis]; k += 1) {
        const at = p * stride[axis] + k * (dilation?.[axis] ?? 1) - padding[axis][0];
        list.push(at >= 0 && at < n ? at * strides[axis] : OUTSIDE);
      }
    }
    return list;
  });
  const mixed = sumsOf(lists); // window, kernel, window, kernel, ...
  const shape = lengths.flatMap((_, axis) => [out[axis], kernel[axis]]);
  const axes = [0, 1].flatMap((which) => lengths.map((_, axis) => 2 * axis + which));
  return { out, places: transposeMove(shape, { axes }).places.map((i) => mixed[i]) };
}

/** Windows of every plane of x (N, C, ...): their places in all of x, `size` to a window. */
function allWindows(shape, how) {
  const { out, places } = windowPlaces(shape.slice(2), how);
  const starts = stepsOf(shape[0] * shape[1], countOf(shape.slice(2)));
  return { shape: [shape[0], shape[1], ...out], places: sumsOf([starts, places]), size: countOf(how.kernel) };
}

const rememberedWindows = remembered(allWindows);

const windowSumOp = {
  forward([x], how) {
    const { shape, places, size } = rememberedWindows(x.shape, how);
    const y = arrayOf(shape);
    for (let i = 0; i < places.length; i += 1) if (places[i] >= 0) y.data[Math.floor(i / size)] += x.data[places[i]];
    return y;
  },
  backward(g, [x], y, how) {
    const { places, size } = rememberedWindows(x.shape, how);
    return [spreadWindows(g, places, size, x.shape)];
  },
};

/** Each element of g added to all places of its window. */
function spreadWindows(g, places, size, shape) {
  const x = arrayOf(shape);
  for (let i = 0; i < places.length; i += 1) if (places[i] >= 0) x.data[places[i]] += g.data[Math.floor(i / size)];
  return x;
}

/** The place of each window's largest element: the last NaN, else the first of equals. */
function largestPlaces(x, how) {
  const { shape, places, size } = rememberedWindows(x.shape, how);
  const best = new Int32Array(countOf(shape)).fill(OUTSIDE);
  for (let i = 0; i < places.length; i += 1) {
    const here = places[i];
    if (here < 0) continue;
    const window = Math.floor(i / size);
    const value = x.data[here];
    if (best[window] < 0 || value > x.data[best[window]] || Number.isNaN(value)) best[window] = here;
  }
  return { shape, places: best };
}

const maxPoolOp = {
  forward([x], how) {
    const { shape, places } = largestPlaces(x, how);
    return takePlaces(x, places, shape, -Infinity);
  },
  backward: (g, [x], y, how) => [addPlaces(g, largestPlaces(x, how).places, x.shape)],
};

/** The element of each window that `chosen` numbers. */
function chosenMove(xShape, how) {
  const { shape, places, size } = allWindows(xShape, how);
  return { shape, places: places.filter((_, i) => i % size === how.chosen.data[Math.floor(i / size)]) };
}

/** Columns: x (N, C, ...) -> (N, C prod(kernel), windows). */
function columnMove(xShape, how) {
  const { out, places } = windowPlaces(xShape.slice(2), how);
  const [n, c] = xShape;
  const [size, count] = [countOf(how.kernel), countOf(out)];
  const byKernel = transposeMove([count, size], { axes: [1, 0] }).places.map((i) => places[i]);
  return { shape: [n, c * size, count], places: sumsOf([stepsOf(n * c, countOf(xShape.slice(2))), byKernel]) };
}

const CONV_OPS = {
  conv: convOp,
  conv_grad_x: {
    forward: ([gy, w], meta) => convolution.x(gy, w, meta, meta.x_shape),
    backward: (g, [gy, w], y, meta) => [convolution.y(g, w, meta), convolution.w(gy, g, meta, w.shape)],
  },
  conv_grad_w: {
    forward: ([gy, x], meta) => convolution.w(gy, x, meta, meta.w_shape),
    backward: (g, [gy, x], y, meta) => [convolution.y(x, g, meta), convolution.x(gy, g, meta, x.shape)],
  },
  max_pool: maxPoolOp,
  window_sum: windowSumOp,
  window_spread: {
    forward([x], how) {
      const { places, size } = rememberedWindows(how.x_shape, how);
      return spreadWindows(x, places, size, how.x_shape);
    },
    backward: (g, inputs, y, how) => [windowSumOp.forward([g], how)],
  },
  window_take: takingOp(chosenMove),
  window_put: addingOp(chosenMove, (_, { x_shape: shape }) => shape),
  im2col: takingOp(columnMove),
  col2im: addingOp(columnMove, (_, { x_shape: shape }) => shape),
};
