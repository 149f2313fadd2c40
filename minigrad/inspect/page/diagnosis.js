// Is a typed gradient right, and if not, which mistake is it? Mistakes are worked out from the true numbers of the
// step and matched with the answer; what the trace brought along for a value (page.exercises) is tried first.

/** A derivative taken at the wrong place, or remembered wrongly, by op: [factor(x, y), what to say]. */
const WRONG_LOCALS = {
  tanh: [[(x) => 1 - x * x, "the derivative of tanh is 1 − y², with the result y, not the input"]],
  sigmoid: [[(x) => x * (1 - x), "the derivative of the sigmoid is y (1 − y), with the result y, not the input"]],
  exp: [[(x) => x, "the derivative of exp(x) is exp(x) itself"]],
  log: [[(x, y) => 1 / y, "the derivative of log(x) is 1/x, with the input x, not the result"]],
  square: [[(x) => x, "the derivative of x² is 2x: the 2 is missing"]],
  sqrt: [[(x, y) => 1 / y, "the derivative of √x is 1/(2√x): the 2 is missing"]],
};

/**
 * @param {{shape, data, digits: number|null}} answer
 * @param {{truth: array, flat: number|null}} question  flat: the element asked for, null for the whole array
 * @param {{name: string, told: string, array: array}[]} mistakes
 * @returns {{right: boolean, name: string|null, told: string}}
 */
function diagnose(typed, question, mistakes) {
  const whole = question.flat !== null && sameShape(typed.shape, question.truth.shape);
  const answer = whole ? { ...asked(typed, question.flat), digits: typed.digits } : typed; // its element is meant
  const truth = asked(question.truth, question.flat);
  if (agrees(answer, truth)) {
    if (answer.digits === null || answer.digits >= 3 || agrees(answer, truth, null)) {
      return { right: true, name: null, told: "Right." };
    }
    return { right: false, name: "digits", told: "Right as far as it goes: give at least three digits." };
  }
  for (const { name, told, array } of mistakes) {
    const wrong =
      question.flat !== null && sizeOf(array.shape) === 1 ? array : asked(array, question.flat, question.truth);
    if (
      wrong &&
      !agrees(wrong, truth, null) &&
      agrees(answer, { shape: wrong.shape, data: wrong.data, dtype: truth.dtype })
    )
      return { right: false, name, told };
  }
  return { right: false, ...unknownMistake(answer, truth) };
}

/** The element asked for, as a number; null where the array has another shape. */
function asked(array, flat, like = array) {
  if (flat === null) return array;
  return sameShape(array.shape, like.shape)
    ? { ...arrayOf([], Float64Array.of(array.data[flat])), dtype: array.dtype }
    : null;
}

const NEAR = { float64: 1e-6, float32: 1e-4 }; // relative; in float32 the engine's own rounding shows

/** Equal but for the rounding of the dtype, or to half a unit of the last digit typed. One number has no shape. */
function agrees(answer, truth, digits = answer.digits) {
  const one = answer.data.length === 1 && truth.data.length === 1;
  if (!one && !sameShape(answer.shape, truth.shape)) return false;
  const largest = truth.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
  const near = (NEAR[truth.dtype] ?? NEAR.float64) * largest;
  return answer.data.every((x, i) => {
    const t = truth.data[i];
    if (Number.isNaN(t) || !Number.isFinite(t)) return Object.is(x, t);
    const power = x === 0 || !digits ? -Infinity : Math.floor(Math.log10(Math.abs(x))) - digits + 1;
    return Math.abs(x - t) <= Math.max(near, 0.5000001 * 10 ** power);
  });
}

/** What can be said of an answer that is no known mistake, without giving the true one away. */
function unknownMistake(answer, truth) {
  if (answer.data.length !== truth.data.length) {
    const shapes = `expected ${shapeText(truth.shape)}, got ${shapeText(answer.shape)}`;
    const told = `The gradient has the shape of what it belongs to: ${shapes}.`;
    return { name: "shape", told };
  }
  if (truth.data.length === 1) return { name: null, told: "Not yet, and no mistake that is known here." };
  const wrong = [...answer.data].filter(
    (x, i) => !agrees({ shape: [], data: [x], digits: answer.digits }, { shape: [], data: [truth.data[i]] }),
  );
  return {
    name: null,
    told: `Not yet: ${wrong.length} of ${truth.data.length} elements differ, in no way that is known here.`,
  };
}

// ---- mistakes

/** All mistakes that could be made in a question, the most telling first. */
function mistakesOf(app, question) {
  const brought = app.live ? [] : broughtMistakes(app, question.value);
  const arrivals = arrivalsOf(app, question.value);
  const single = question.kind === "edge" ? question : arrivals.length === 1 ? arrivals[0] : null;
  const local = single ? edgeMistakes(app, single, question.truth) : [];
  const meeting = arrivals.length > 1 ? meetingMistakes(app, question, arrivals) : [];
  const own = [...local, ...meeting, ...anyMistakes(app, question)];
  return question.kind === "value" || arrivals.length === 1 ? [...brought, ...own] : own;
}

/** What the trace brought along for this value. */
function broughtMistakes(app, id) {
  const entry = (app.page.exercises ?? []).find((exercise) => exercise.value === id);
  const answers = entry ? entry.answers : [];
  return answers.map((a) => ({ ...a, array: app.array(a.array) })).filter((a) => a.array && a.array.data);
}

/** Mistakes in what one step sends along one edge. */
function edgeMistakes(app, { backward, edge }, truth) {
  const step = backward;
  const { position } = step.edges[edge];
  const forward = app.index.forward.get(step.forward);
  const g = app.gradOf(step.value);
  const y = app.valueOf(step.value);
  const inputs = forward.inputs.map((id) => (id === null ? null : app.valueOf(id)));
  const local = app.localOf(step.id, edge);
  const elementwise = step.edges[edge].local.kind === "elementwise" && local && local.data;
  const found = elementwise && sameShape(g.shape, local.shape) ? elementwiseMistakes(g, local, truth) : [];
  found.push({
    name: "missing local factor",
    told: "That is the incoming gradient: the local derivative is missing.",
    array: g,
  });
  if (local && local.data) {
    found.push({
      name: "missing incoming gradient",
      told: "That is the local derivative: it still has to be multiplied with the gradient that arrives.",
      array: local,
    });
  }
  found.push(...wrongFactors(forward, position, g, y, inputs, truth));
  return found;
}

/** Division for multiplication, and broadcasting not undone. */
function elementwiseMistakes(g, local, truth) {
  const sent = mapped(g, (x, i) => x * local.data[i]);
  const found = [];
  if (!sameShape(sent.shape, truth.shape)) {
    const summed = gatherTo(sent, truth.shape);
    const count = sent.data.length / summed.data.length;
    found.push(
      {
        name: "not summed over a broadcast axis",
        told: `The input was broadcast to ${shapeText(sent.shape)}: sum over the axes along which it was repeated.`,
        array: sent,
      },
      {
        name: "averaged over a broadcast axis",
        told: "Over an axis along which the input was repeated gradients are summed, not averaged.",
        array: mapped(summed, (x) => x / count),
      },
      {
        name: "one copy only",
        told: "The input was repeated by broadcasting: every copy counts, not one.",
        array: spreadTo(arrayOf([], sent.data.slice(0, 1)), truth.shape),
      },
    );
  }
  const instead = (f) =>
    gatherTo(
      mapped(g, (x, i) => f(x, local.data[i])),
      truth.shape,
    );
  found.push(
    {
      name: "divided by the local factor",
      told: "Multiply with the local derivative; you divided by it.",
      array: instead((x, factor) => x / factor),
    },
    {
      name: "added the local factor",
      told: "Multiply with the local derivative; you added it.",
      array: instead((x, factor) => x + factor),
    },
  );
  return found;
}

/** g times the wrong thing: the input itself, another input, the result, or a derivative taken elsewhere. */
function wrongFactors(forward, position, g, y, inputs, truth) {
  const times = (factor) => {
    const fits = (x) =>
      x.shape.length <= g.shape.length &&
      x.shape.every((n, i) => n === 1 || n === g.shape[g.shape.length - x.shape.length + i]);
    return factor && factor.data && fits(factor)
      ? gatherToOrNull(
          mapped(g, (x, i) => x * spreadTo(factor, g.shape).data[i]),
          truth.shape,
        )
      : null;
  };
  const found = (WRONG_LOCALS[forward.op] ?? []).map(([f, told]) => ({
    name: "local derivative taken wrongly",
    told: `Look again: ${told}.`,
    array: sameShape(inputs[0].shape, y.shape) ? times(mapped(y, (out, i) => f(inputs[0].data[i], out))) : null,
  }));
  inputs.forEach((input, i) => {
    const which = i === position ? "the input itself" : `the input ${forward.args[i]}`;
    found.push({
      name: "multiplied with the wrong factor",
      told: `You multiplied the incoming gradient with ${which}; that is not the local derivative.`,
      array: times(input),
    });
  });
  found.push({
    name: "multiplied with the wrong factor",
    told: "You multiplied the incoming gradient with the result; that is not the local derivative.",
    array: times(y),
  });
  return found.filter(({ array }) => array);
}

/** gatherTo where the shapes allow it: the target is what was broadcast. */
function gatherToOrNull(array, shape) {
  const lead = array.shape.length - shape.length;
  const fits = lead >= 0 && shape.every((n, i) => n === 1 || n === array.shape[lead + i]);
  return fits ? gatherTo(array, shape) : null;
}

/** Mistakes where several paths meet: their contributions are added. */
function meetingMistakes(app, question, arrivals) {
  const sent = arrivals.map((a) => app.sentOf(a.backward.id, a.edge));
  if (sent.some((array) => !array || !array.data)) return [];
  const whole = sumOfArrays(sent);
  const from = (i) => app.value(arrivals[i].backward.value).name;
  if (question.kind === "edge") {
    return [
      {
        name: "total instead of one contribution",
        told: "That is all that gathers there; only this edge's share is asked for.",
        array: whole,
      },
    ];
  }
  const minus = (array, times) => mapped(whole, (x, k) => x - times * array.data[k]);
  const found = [
    {
      name: "assigned where it should be added",
      told: "Only the last contribution is left: assigned with = where += adds.",
      array: sent[sent.length - 1],
    },
    {
      name: "averaged",
      told: "Where paths meet their contributions are added, not averaged.",
      array: mapped(whole, (x) => x / sent.length),
    },
    {
      name: "multiplied where paths meet",
      told: "Along a path derivatives are multiplied; where paths meet they are added.",
      array: mapped(whole, (_, k) => sent.reduce((p, array) => p * array.data[k], 1)),
    },
  ];
  sent.slice(0, 40).forEach((array, i) => {
    found.push(
      {
        name: "one path only",
        told: `That is the share that comes from ${from(i)} alone; the other paths are missing.`,
        array,
      },
      { name: "a path is missing", told: `The contribution from ${from(i)} is missing.`, array: minus(array, 1) },
      {
        name: "sign of one path",
        told: `The contribution from ${from(i)} has the wrong sign.`,
        array: minus(array, 2),
      },
    );
  });
  return found;
}

/** Mistakes that need nothing but the true gradient and some lengths. */
function anyMistakes(app, question) {
  const { truth } = question;
  const times = (factor) => mapped(truth, (x) => x * factor);
  const found = [
    { name: "sign", told: "The size is right; the sign is not.", array: times(-1) },
    {
      name: "stale after a second backward",
      told: "Twice the gradient: it was added to what a backward pass before had left (or a path was counted twice).",
      array: times(2),
    },
  ];
  if (truth.shape.length === 2) {
    found.push({ name: "transposed", told: "The numbers are right but transposed.", array: transposed(truth) });
  }
  for (const n of lengthsAround(app, question)) {
    found.push(
      { name: "lost 1/n", told: `Larger by the factor ${n}: a mean's 1/n is missing.`, array: times(n) },
      {
        name: "1/n too many",
        told: `Smaller by the factor ${n}: divided by n where nothing is averaged.`,
        array: times(1 / n),
      },
    );
  }
  if (truth.data.length > 1) {
    found.push({
      name: "summed too far",
      told: "Summed over everything: the gradient has the shape of what it belongs to.",
      array: arrayOf([], Float64Array.of(truth.data.reduce((a, b) => a + b, 0))),
    });
  }
  return found;
}

/** Lengths that a mean could have divided by: of the arrays about this question, and of their axes. */
function lengthsAround(app, { value, backward }) {
  const ids = [value, ...arrivalsOf(app, value).map((a) => a.backward.value), ...(backward ? [backward.value] : [])];
  const shapes = ids.slice(0, 12).map((id) => app.value(id).shape);
  const steps = arrivalsOf(app, value)
    .slice(0, 12)
    .map((a) => app.index.forward.get(a.backward.forward));
  steps.forEach((f) => f && f.inputs.forEach((id) => id !== null && shapes.push(app.value(id).shape)));
  const lengths = shapes.flatMap((shape) => [sizeOf(shape), ...shape]);
  return [...new Set(lengths)].filter((n) => n > 1).sort((a, b) => a - b);
}
