// The live interpreter: runs a graph's ops again, forward and backward, from other inputs, in float64.
//
// It follows the graph that was recorded: the same ops on the same values in the same order. A constant with a
// recipe (the mask x > 0, the order that sorts) is made again too; what came about otherwise (how often a loop
// ran, what dropout drew) stays as it was.
//
// `graph.arrays` is the page's decoded list of arrays ({shape, data, dtype}); it may also be given. The ops are
// in ops_table.js.

// ---------------------------------------------------------------- settings

const decodedMeta = new WeakMap(); // a step's settings -> the same with arrays and special numbers in place

/** A step's settings as the ops take them; `values` is what recipes among them are made from. */
function metaOf(step, arrays, values) {
  if (mentions(step.meta, "recipe")) return decodedSetting(step.meta, arrays, values);
  let meta = decodedMeta.get(step);
  if (!meta) {
    meta = decodedSetting(step.meta, arrays, values);
    decodedMeta.set(step, meta);
  }
  return meta;
}

function decodedSetting(value, arrays, values) {
  if (Array.isArray(value)) return value.map((v) => decodedSetting(v, arrays, values));
  if (value === null || typeof value !== "object") return value;
  if ("recipe" in value && canCook(value.recipe, arrays)) return cooked(value.recipe, values, arrays);
  if ("array" in value) return arrays[value.array];
  if ("number" in value) return { inf: Infinity, "-inf": -Infinity, nan: NaN }[value.number];
  if ("slice" in value || "ellipsis" in value || "dtype" in value || "repr" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decodedSetting(v, arrays, values)]));
}

/** Does a key of this name stand anywhere in these settings? */
function mentions(value, key) {
  if (value === null || typeof value !== "object") return false;
  return key in value || Object.values(value).some((v) => mentions(v, key));
}

// ---------------------------------------------------------------- recipes

/**
 * A constant made again: {value: id}, {array: index}, or {op, inputs, meta, dtype} of such. These ops have no
 * gradient, so they are no steps of the graph.
 */
function cooked(recipe, values, arrays) {
  if (recipe === null) return null;
  if ("value" in recipe) return values.get(recipe.value);
  if ("array" in recipe) return arrays[recipe.array];
  const inputs = recipe.inputs.map((input) => cooked(input, values, arrays));
  return OPS[recipe.op].forward(inputs, metaOf(recipe, arrays, values), recipe.dtype);
}

/** Can a recipe be followed here? Else its constant stays what it was. */
function canCook(recipe, arrays) {
  if (!recipe || "value" in recipe) return true;
  if ("array" in recipe) return Boolean(arrays[recipe.array].data);
  return recipe.op in OPS && !mentions(recipe.meta, "repr") && recipe.inputs.every((i) => canCook(i, arrays));
}

// ---------------------------------------------------------------- forward

/**
 * Runs a graph forward.
 * @param {Map<number, array>} override new arrays for some of the inputs, parameters or constants, by value id
 * @returns {{values: Map<number, array>, inside: Map<number, object>}} every value, and by the forward step's id
 *   the run of what a fused op was opened into
 */
function runGraph(graph, override = new Map(), arrays = graph.arrays) {
  const values = new Map();
  const inside = new Map();
  for (const value of graph.values) {
    if (override.has(value.id)) values.set(value.id, override.get(value.id));
    else if (value.kind !== "result" && !isMadeAgain(value, arrays)) values.set(value.id, arrays[value.data]);
  }
  const read = (id) => {
    if (!values.has(id)) values.set(id, cooked(graph.values[id].recipe, values, arrays));
    return values.get(id);
  };
  for (const step of stepsInOrder(graph)) {
    const inputs = step.inputs.map((id) => (id === null ? null : read(id)));
    values.set(step.output, runStep(graph, step, inputs, values, inside, arrays));
  }
  return { values, inside };
}

/** Is this a constant that follows from others? */
function isMadeAgain(value, arrays) {
  return Boolean(value.recipe) && canCook(value.recipe, arrays);
}

function runStep(graph, step, inputs, values, inside, arrays) {
  if (step.op === "checkpoint") return values.get(behindCheckpoint(graph, step));
  if (!step.inside) {
    const dtype = graph.values[step.output]?.dtype;
    return OPS[step.op].forward(inputs, metaOf(step, arrays, values), dtype);
  }
  const given = new Map();
  step.inside.inputs.forEach((id, position) => {
    if (id !== null && id !== undefined) given.set(id, inputs[position]);
  });
  const run = runGraph(step.inside, given, arrays);
  inside.set(step.id, run);
  return run.values.get(step.inside.output);
}

/** The value behind a checkpoint: what its backward step hands its gradient to. */
function behindCheckpoint(graph, step) {
  return graph.backward.find((b) => b.forward === step.id)?.edges[0]?.input;
}

/** The forward steps so that each comes after what it needs: as recorded, but for what lies behind a checkpoint. */
function stepsInOrder(graph) {
  if (!graph.forward.some((step) => step.op === "checkpoint")) return graph.forward;
  const makerOf = new Map(graph.forward.map((step) => [step.output, step]));
  const order = [];
  const done = new Set();
  const todo = [...graph.forward].reverse();
  while (todo.length) {
    const step = todo.at(-1);
    const needed = step.op === "checkpoint" ? [behindCheckpoint(graph, step)] : step.inputs;
    const missing = needed.map((id) => makerOf.get(id)).filter((maker) => maker && !done.has(maker));
    if (missing.length && !done.has(step)) {
      todo.push(...missing);
      continue;
    }
    todo.pop();
    if (!done.has(step)) order.push(step);
    done.add(step);
  }
  return order;
}

// ---------------------------------------------------------------- backward

/**
 * Walks the graph's backward steps with the values of a run.
 * @param {array} seed the gradient of the output; as recorded unless given
 * @returns {{grads: Map<number, array>, sent: array[][], inside: Map<number, object>}} every value's complete
 *   gradient; for each backward step what each of its edges sends; the same of what fused ops were opened into
 */
function backGraph(graph, run, seed = undefined, arrays = graph.arrays) {
  const grads = new Map([[graph.output, seed ?? arrays[graph.seed]]]);
  const inside = new Map();
  const sent = graph.backward.map((back) => {
    if (back.forward === null || !back.edges.length) return [];
    const step = graph.forward[back.forward];
    const shares = sharesOf(step, back, grads.get(back.value), run, inside, arrays);
    return back.edges.map((edge) => {
      const share = shares(edge.position);
      const before = grads.get(edge.input);
      grads.set(edge.input, before ? plus(before, share) : share);
      return share;
    });
  });
  return { grads, sent, inside };
}

/** What one step sends to each of its inputs, by position. */
function sharesOf(step, back, g, run, inside, arrays) {
  if (step.op === "checkpoint") return () => g;
  if (step.inside) {
    const inner = backGraph(step.inside, run.inside.get(step.id), g, arrays);
    inside.set(step.id, inner);
    return (position) => inner.grads.get(step.inside.inputs[position]);
  }
  const inputs = step.inputs.map((id) => (id === null ? null : run.values.get(id)));
  const needs = inputs.map((_, position) => back.edges.some((edge) => edge.position === position));
  const found = OPS[step.op].backward(g, inputs, run.values.get(step.output), metaOf(step, arrays, run.values), needs);
  return (position) => found[position];
}

// ---------------------------------------------------------------- what cannot run

/** The names of the ops that keep a graph from running here: unknown ones, and those with settings or inputs
 * that were not written into the page. */
function notLive(graph, arrays = graph.arrays) {
  const held = new Set(graph.values.filter((v) => v.kind !== "result" && !arrays[v.data]?.data).map((v) => v.id));
  const names = new Set();
  for (const step of graph.forward) {
    const from = (step.inside?.inputs ?? []).filter((id) => id !== null);
    if (step.inside) notLiveInside(step.inside, from, arrays).forEach((name) => names.add(name));
    else if (step.op !== "checkpoint" && (!OPS[step.op] || mentions(step.meta, "repr"))) names.add(step.op);
    if (step.inputs.some((id) => held.has(id))) names.add(step.op);
  }
  return [...names];
}

/** The same for a graph inside another, whose inputs come from there. */
function notLiveInside(graph, given, arrays) {
  const values = graph.values.filter((v) => !given.includes(v.id));
  return notLive({ ...graph, values }, arrays);
}
