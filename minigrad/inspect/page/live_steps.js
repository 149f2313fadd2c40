// Gradient descent by hand: w -= rate * gradient, a step a press, and the steps made to slide over.

const STEPS_KEPT = 300;

/** The part of the live panel that makes steps. `panel` holds the overrides. */
function makeSteps(panel) {
  const { app } = panel;
  const trained = panel.leaves.filter((value) => value.kind !== "constant" && app.gradOf(value.id));
  const parameters = trained.filter((value) => value.kind === "parameter");
  const chosen = new Set((parameters.length ? parameters : trained).map((value) => value.id));
  const steps = { panel, chosen, history: [], shown: 0, root: dom("section", { class: "live-steps" }) };
  steps.rate = dom("input", { type: "number", min: 0, step: "any", value: 0.1, "aria-label": "learning rate" });
  steps.slider = dom("input", {
    type: "range",
    min: 0,
    max: 0,
    value: 0,
    "aria-label": "step shown",
    oninput: () => showStep(steps, Number(steps.slider.value)),
  });
  steps.slider.addEventListener("keydown", (event) => event.stopPropagation());
  steps.plot = dom("div", { class: "live-plot" });
  steps.told = dom("output", {});
  const button = (label, count) => dom("button", { type: "button", onclick: () => makeStepsOf(steps, count) }, label);
  steps.buttons = [button("Gradient descent step", 1), button("10 steps", 10)];
  steps.root.append(
    dom("h3", {}, "Learn: w − rate · gradient"),
    dom("div", { class: "panel-choices" }, ...steps.buttons, dom("label", {}, "rate ", steps.rate)),
    trainedChoices(trained, chosen),
    dom("div", { class: "live-scrub", hidden: true }, steps.plot, steps.slider, steps.told),
  );
  steps.scrub = steps.root.querySelector(".live-scrub");
  steps.update = () => steps.buttons.forEach((b) => (b.disabled = app.hidden.size > 0 || !chosen.size));
  steps.forget = () => {
    Object.assign(steps, { history: [], shown: 0 });
    steps.scrub.hidden = true;
  };
  return steps;
}

/** Which leaves take the step; behind a fold where there are many. */
function trainedChoices(trained, chosen) {
  const boxes = trained.map((value) => {
    const box = dom("input", {
      type: "checkbox",
      onchange: () => (box.checked ? chosen.add(value.id) : chosen.delete(value.id)),
    });
    box.checked = chosen.has(value.id);
    return dom("label", {}, box, ` ${value.name}`);
  });
  const list = dom("div", { class: "panel-choices" }, ...boxes);
  return boxes.length <= 6
    ? list
    : dom("details", {}, dom("summary", {}, `${chosen.size} of ${boxes.length} learn`), list);
}

/** Make `count` steps from the numbers shown now; steps that were undone by sliding back are forgotten. */
function makeStepsOf(steps, count) {
  const { panel, history } = steps;
  const { app } = panel;
  const rate = Number(steps.rate.value);
  if (!Number.isFinite(rate) || steps.rate.value.trim() === "") return steps.rate.focus();
  const current = history[steps.shown];
  if (!current || current.overrides !== panel.overrides) history.splice(0, Infinity, snapshot(app, panel.overrides));
  else history.splice(steps.shown + 1);
  for (let i = 0; i < count; i += 1) {
    const last = history[history.length - 1].overrides;
    history.push(snapshot(app, descend(app, last, steps.chosen, rate)));
  }
  history.splice(0, Math.max(0, history.length - STEPS_KEPT));
  return showStep(steps, history.length - 1);
}

function snapshot(app, overrides) {
  return { overrides, loss: lossWith(app, overrides) };
}

/** Show the numbers after step i. */
function showStep(steps, i) {
  const { panel, history } = steps;
  steps.shown = Math.max(0, Math.min(history.length - 1, i));
  const { overrides, loss } = history[steps.shown];
  panel.overrides = overrides;
  steps.scrub.hidden = false;
  Object.assign(steps.slider, { max: history.length - 1, value: steps.shown });
  steps.plot.replaceChildren(
    plotHistory(
      history.map((step) => step.loss),
      steps.shown,
    ),
  );
  steps.told.textContent = `after ${steps.shown} of ${history.length - 1} steps: loss ${shortNumber(loss, 6)}`;
  chooseLeaf(panel, panel.id, panel.flat); // the next drag is measured from here
  applyOverrides(panel);
}
