// The numbers behind the time panel: norms along a sequence, how they grow a step, and what each step
// adds to the gradient of a shared weight. A scope is the program or the inside of a fused op (time_scopes.js).

/**
 * The sequences as rows: states first, which were there before the first step, then what else has a name, then
 * what an op made again and again.
 * A value stands in the column of its time step, for one sequence may begin later than another.
 * @returns {{name: string, ids: (number|null)[], named: boolean}[]} ids by time step
 */
function timeRows(scope) {
  const rows = scope.times.map(({ name, values }) => {
    const ids = [];
    values.forEach((id, place) => (ids[scope.index.values.get(id).time ?? place] = id));
    const maker = scope.index.maker.get(values[values.length - 1]);
    const named = !maker || !new RegExp(`(^|\\.)${maker.op}(\\.\\d+)?$`).test(name);
    return { name, named, ids: Array.from(ids, (id) => id ?? null) };
  });
  const rank = ({ named, ids }) => (named ? 0 : 2) + (ids[0] === null ? 1 : 0);
  return rows.sort((a, b) => rank(a) - rank(b));
}

/** The norms of a row's values or gradients; null where there is none, or where it is hidden. */
function normsOfRow(scope, row, wanted) {
  const norms = row.ids.map((id) => {
    if (id === null) return null;
    if (wanted === "value") return normOf(scope.valueOf(id));
    return scope.isSecret(id) ? null : normOf(scope.gradOf(id));
  });
  return { ...row, norms };
}

/**
 * How a gradient changes a step back in time: the slope of log(norm), by least squares.
 * @returns {{ratio: number, whole: number, told: string} | null} whole: over the entire sequence
 */
function changePerStep(norms) {
  const points = norms.map((norm, t) => [t, norm]).filter(([, norm]) => norm > 0 && Number.isFinite(norm));
  if (points.length < 3) return null;
  const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
  const [t0, y0] = [mean(points.map(([t]) => t)), mean(points.map(([, norm]) => Math.log(norm)))];
  const above = points.reduce((sum, [t, norm]) => sum + (t - t0) * (Math.log(norm) - y0), 0);
  const below = points.reduce((sum, [t]) => sum + (t - t0) ** 2, 0);
  const ratio = Math.exp(-above / below);
  const whole = ratio ** (points[points.length - 1][0] - points[0][0]);
  return { ratio, whole, told: whole < 0.1 ? "vanishing" : whole > 10 ? "exploding" : "steady" };
}

/** The smallest and largest power of ten among the positive norms, as whole numbers; at least one apart. */
function decades(rows) {
  const powers = rows
    .flatMap((row) => row.norms)
    .filter((x) => x > 0 && Number.isFinite(x))
    .map(Math.log10);
  if (!powers.length) return { low: 0, high: 1 };
  const [low, high] = [Math.floor(Math.min(...powers)), Math.ceil(Math.max(...powers))];
  return { low, high: high > low ? high : low + 1 };
}

/** Values outside of time whose gradient comes from several time steps: shared weights, parameters first. */
function sharedValues(scope) {
  const shared = scope.graph.values.filter((value) => {
    if (value.time !== null && value.time !== undefined) return false;
    return contributionsByTime(scope, value.id).length > 1;
  });
  const rank = (value) => ["parameter", "input", "result", "constant"].indexOf(scope.kindOf(value.id));
  return shared.sort((a, b) => rank(a) - rank(b));
}

/**
 * The edges into a value, gathered by the time step that they come from, oldest first.
 * Where the trace knows no time, each edge counts as a step (the last to arrive is the oldest).
 * @returns {{time: number, timed: boolean, edges: {moment: number, backward: object, edge: number}[]}[]}
 */
function contributionsByTime(scope, id) {
  const edges = arrivalsOf(scope, id);
  const times = edges.map(({ backward }) => timeOf(scope.graph, backward.value));
  const timed = times.every((time) => time !== null);
  const steps = new Map();
  edges.forEach((edge, arrival) => {
    const time = timed ? times[arrival] : edges.length - 1 - arrival;
    if (!steps.has(time)) steps.set(time, { time, timed, edges: [] });
    steps.get(time).edges.push(edge);
  });
  return [...steps.values()].sort((a, b) => a.time - b.time);
}

/**
 * What each time step adds to a gradient, as numbers that sum to a total.
 * measure: the flat index of an element, or "along": the part of each contribution that points along the
 * whole gradient, which sums to its norm.
 * @returns {{bars: number[], parts: object[], whole: object} | null} null where the arrays were too large to send
 */
function contributionBars(scope, id, measure) {
  const steps = contributionsByTime(scope, id);
  const arrays = steps.map((step) => step.edges.map(({ backward, edge }) => scope.sentOf(backward.id, edge)));
  if (arrays.flat().some((array) => !array || !array.data)) return null;
  const parts = arrays.map(sumOfArrays);
  const whole = sumOfArrays(parts);
  const norm = Math.sqrt(dotProduct(whole, whole));
  const bars = parts.map((part) => {
    if (measure !== "along") return part.data[measure];
    return norm ? dotProduct(part, whole) / norm : 0;
  });
  return { bars, parts, whole };
}

/** The gradient without the time steps before the cut, beside the whole: sums, and the angle between them. */
function afterTheCut({ bars, parts, whole }, cut) {
  const sum = (list) => list.reduce((total, x) => total + x, 0);
  const kept = sumOfArrays(parts.slice(cut));
  const norms = Math.sqrt(dotProduct(kept, kept) * dotProduct(whole, whole));
  return {
    total: sum(bars),
    kept: sum(bars.slice(cut)),
    array: kept,
    cosine: norms ? dotProduct(kept, whole) / norms : null,
  };
}

/**
 * How far the contributions inside a fused op, added up, lie from what the op itself sends: the largest
 * difference, in units of the largest number; null in the program, where both are one.
 */
function differenceFromOutside(scope, id, whole) {
  const sent = scope.sentOutside?.(id);
  if (!sent?.data) return null;
  let [largest, difference] = [0, 0];
  sent.data.forEach((x, i) => {
    largest = Math.max(largest, Math.abs(x));
    difference = Math.max(difference, Math.abs(x - whole.data[i]));
  });
  return largest ? difference / largest : difference;
}
