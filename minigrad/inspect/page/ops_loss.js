// Fused ops that are simple enough to say directly: the cross-entropy of scores, and normalisation.

/**
 * Cross-entropy of x (N, C, ...), line by line over the classes. L = -sum_c Q_c log p_c, where Q is the weighted
 * target: 1 - smoothing at the label, smoothing / C everywhere. So dL/dx_c = (sum_k Q_k) p_c - Q_c.
 */
function crossEntropy([x, target, weight], meta) {
  const classes = x.shape[1];
  const smoothing = meta.label_smoothing;
  const losses = arrayOf([x.shape[0], ...x.shape.slice(2)]);
  const slope = arrayOf(x.shape);
  let mass = 0;
  let sample = 0;
  eachLine(alongAxis(x.shape, 1), (start, step) => {
    const label = target.data[sample];
    sample += 1;
    if (label === meta.ignore_index) return;
    const { top, total } = lineTotals((c) => x.data[start + c * step], classes);
    const weightOf = (c) => (weight ? weight.data[c] : 1);
    const wanted = (c) => (smoothing / classes) * weightOf(c) + (c === label ? (1 - smoothing) * weightOf(c) : 0);
    let all = 0;
    for (let c = 0; c < classes; c += 1) all += wanted(c);
    for (let c = 0; c < classes; c += 1) {
      const logP = x.data[start + c * step] - top - Math.log(total);
      if (wanted(c) !== 0) losses.data[sample - 1] -= wanted(c) * logP;
      slope.data[start + c * step] = all * Math.exp(logP) - wanted(c);
    }
    mass += weightOf(label);
  });
  return { losses, slope, mass };
}

const crossEntropyOp = {
  forward(inputs, meta) {
    const { losses, mass } = crossEntropy(inputs, meta);
    if (meta.reduction === "none") return losses;
    const total = losses.data.reduce(addUp, 0);
    return arrayOf([], Float64Array.of(meta.reduction === "mean" ? total / mass : total));
  },
  backward(g, inputs, y, meta) {
    const { losses, slope, mass } = crossEntropy(inputs, meta);
    const share = meta.reduction === "mean" ? 1 / mass : 1;
    const whole = spreadTo(meta.reduction === "none" ? reshaped(g, withAxis(losses.shape, 1)) : g, slope.shape);
    return [mapped(slope, (v, i) => whole.data[i] * v * share), null, null];
  },
};

/** The shape with an axis of length 1 put in. */
function withAxis(shape, axis) {
  return [...shape.slice(0, axis), 1, ...shape.slice(axis)];
}

// ---------------------------------------------------------------- normalisation

/** The mean over axes, as a function of an element's number. */
function meanOver(x, axes) {
  const how = reduction(x, { axis: axes, keepdims: true });
  const total = foldInto(x, how, 0, addUp);
  return (i) => total.data[how.into[i]] / how.count;
}

/** z = (x - mean) / sqrt(mean of squares + eps), and 1 / that root; rms_norm leaves the mean in. */
function standardised(x, { axes, eps }, centred) {
  const mean = centred ? meanOver(x, axes) : () => 0;
  const away = mapped(x, (v, i) => v - mean(i));
  const square = meanOver(mapped(away, (v) => v * v), axes);
  const inverse = (i) => 1 / Math.sqrt(square(i) + eps);
  return { z: mapped(away, (v, i) => v * inverse(i)), inverse };
}

/**
 * y = z weight + bias, weight and bias broadcast. With gz = g weight and means over the axes,
 * dL/dx = (gz - mean gz - z mean(gz z)) / root (Ioffe & Szegedy 2015, section 3); without the centring no mean gz.
 */
function normalisingOp(centred) {
  return {
    forward([x, weight, bias], meta) {
      const { z } = standardised(x, meta, centred);
      const [w, b] = [weight, bias].map((v) => (v ? spreadTo(v, x.shape) : null));
      return mapped(z, (v, i) => v * (w ? w.data[i] : 1) + (b ? b.data[i] : 0));
    },
    backward(g, [x, weight, bias], y, meta) {
      const { z, inverse } = standardised(x, meta, centred);
      const w = weight ? spreadTo(weight, x.shape) : null;
      const gz = w ? mapped(g, (v, i) => v * w.data[i]) : g;
      const level = centred ? meanOver(gz, meta.axes) : () => 0;
      const along = meanOver(mapped(gz, (v, i) => v * z.data[i]), meta.axes);
      return [
        mapped(gz, (v, i) => (v - level(i) - z.data[i] * along(i)) * inverse(i)),
        weight ? gatherTo(mapped(g, (v, i) => v * z.data[i]), weight.shape) : null,
        ...(centred ? [bias ? gatherTo(g, bias.shape) : null] : []),
      ];
    },
  };
}

const LOSS_OPS = {
  cross_entropy: crossEntropyOp,
  normalise: normalisingOp(true),
  rms_norm: normalisingOp(false),
};
