// Backpropagation through time as a grid: a row for each sequence, a column for each time step, the colour is
// the power of ten of the norm. Below it the norms as lines, and what each step adds to a shared weight.

const GRID = { label: 96, right: 54, row: 30, top: 20, plot: 130, most: 12 };

PANELS.push({
  id: "time",
  title: "Through time",
  /** Only graphs with something in time have this panel. */
  relevant: (app) => timeScopes(app).length > 0,
  make(app) {
    const scopes = timeScopes(app);
    const panel = { app, scopes, wanted: "gradient", reached: false, root: dom("div", { class: "time-panel" }) };
    this.panel = panel;
    panel.chart = dom("div", { class: "time-chart" });
    panel.readout = dom("output", { class: "time-readout", "aria-live": "polite" });
    panel.verdicts = dom("div", { class: "time-verdicts" });
    panel.about = dom("p", { class: "quiet-text" });
    panel.below = dom("div");
    lookInto(panel, longestScope(scopes));
    panel.root.append(timeChoices(panel), panel.about, panel.verdicts, panel.chart, panel.readout, panel.below);
    new ResizeObserver(oncePerFrame(() => drawTime(panel))).observe(panel.root);
    return panel.root;
  },
  update() {
    drawTime(this.panel);
    if (this.panel.bars) this.panel.bars.update();
  },
});

/** Show the sequences of the program, or those inside a fused op. */
function lookInto(panel, scope) {
  const bars = makeTimeBars(scope);
  Object.assign(panel, { scope, rows: timeRows(scope), all: false, cursor: null, bars });
  panel.readout.textContent = "";
  panel.about.textContent = scope.step?.meta.reverse
    ? `${scope.step.op} walks from the last step to the first: t = 1 is the end of its input.`
    : "";
  panel.below.replaceChildren(...(bars ? [bars.root] : []));
}

/** What to colour by, and whether to wait for the walk. */
function timeChoices(panel) {
  const select = dom(
    "select",
    { onchange: (event) => ((panel.wanted = event.target.value), drawTime(panel)) },
    dom("option", { value: "gradient" }, "of the gradient, ‖∂L/∂·‖"),
    dom("option", { value: "value" }, "of the value, ‖·‖"),
  );
  const reached = dom("input", {
    type: "checkbox",
    onchange: (event) => ((panel.reached = event.target.checked), drawTime(panel)),
  });
  return dom(
    "div",
    { class: "panel-choices" },
    scopeChoice(panel, (scope) => {
      lookInto(panel, scope);
      drawTime(panel);
      if (panel.bars) panel.bars.update();
    }),
    dom("label", {}, "norm ", select),
    dom("label", {}, reached, " only as far as the walk has come"),
  );
}

/** Draw grid and lines anew: some hundred rectangles at most a row, so no bookkeeping. */
function drawTime(panel) {
  if (!panel.root.clientWidth) return null;
  const { scope } = panel;
  const rows = rowsShown(panel)
    .map((row) => normsOfRow(scope, row, panel.wanted))
    .filter((row) => row.norms.some((norm) => norm !== null));
  if (!rows.length)
    return panel.chart.replaceChildren(dom("p", { class: "quiet-text" }, "No gradient is known here yet."));
  if (panel.reached) rows.forEach((row) => hideNotReached(panel, row));
  const first = Math.min(...rows.map((row) => row.ids.findIndex((id) => id !== null)));
  const steps = Math.max(...rows.map((row) => row.ids.length)) - first;
  const room = panel.root.clientWidth - GRID.label - GRID.right;
  const view = {
    rows,
    first,
    steps,
    cell: Math.max(1.2, Math.min(40, room / steps)), // all at one glance: a hundred steps fit, too
    scale: decades(rows),
    now: scope.current().id,
    time: scope.current().time,
    colour: panel.wanted === "gradient" ? "var(--gradient)" : "var(--forward)",
  };
  const hadFocus = panel.chart.contains(document.activeElement);
  panel.verdicts.replaceChildren(...rows.slice(0, 3).map((row) => verdictOf(row, panel)));
  const picture = timePicture(panel, view);
  panel.chart.replaceChildren(
    timeLegend(view, panel),
    dom("div", { class: "scroll-x" }, picture),
    ...moreRows(panel),
  );
  if (hadFocus) picture.focus({ preventScroll: true });
  return null;
}

/** What the reader named, where there is such a thing; else all, or the first dozen of them. */
function rowsShown({ rows, all }) {
  const named = rows.filter((row) => row.named);
  return all ? rows : (named.length ? named : rows).slice(0, GRID.most);
}

/** Empty the cells of what the walk has not reached yet. */
function hideNotReached({ app, scope, wanted }, row) {
  row.ids.forEach((id, t) => {
    if (id !== null && scope.momentOf(id, wanted) > app.at) row.norms[t] = null;
  });
}

function moreRows(panel) {
  const more = panel.rows.length - rowsShown({ ...panel, all: false }).length;
  if (more <= 0) return [];
  const label = panel.all ? "fewer rows" : `${more} more rows`;
  const turn = () => ((panel.all = !panel.all), drawTime(panel));
  return [dom("button", { type: "button", class: "quiet", onclick: turn }, label)];
}

/** "h ×0.62 a step: vanishing 0.31 → 2e-5", from the latest step to the earliest. */
function verdictOf(row, panel) {
  const change = panel.wanted === "gradient" ? changePerStep(row.norms) : null;
  if (!change) return "";
  const known = row.norms.filter((norm) => norm > 0);
  return dom(
    "p",
    {},
    dom("b", {}, row.name),
    ` ×${shortNumber(change.ratio, 3)} a step: `,
    dom("strong", { class: `verdict ${change.told}` }, change.told),
    dom("small", {}, ` ${shortNumber(known[known.length - 1], 2)} → ${shortNumber(known[0], 2)}`),
  );
}

/** How colours translate into powers of ten. */
function timeLegend({ scale, colour }, panel) {
  const bar = dom("span", { class: "time-scale" });
  bar.style.background = `linear-gradient(to right in oklab, var(--paper), ${colour})`;
  const what = panel.wanted === "gradient" ? "norm of the gradient" : "norm of the value";
  return dom(
    "p",
    { class: "time-legend" },
    dom("small", {}, `${what}: ${powerText(scale.low)}`),
    bar,
    dom("small", {}, powerText(scale.high)),
  );
}

/** 10 to a power, in figures: 0.1, 1, 10, 1e-5. */
function powerText(power) {
  return Math.abs(power) <= 2 ? String(Number((10 ** power).toPrecision(1))) : `1e${power}`;
}

/** How far along the scale of powers a norm lies, 0 to 1; null where there is nothing to colour. */
function alongScale(norm, { low, high }) {
  if (norm === null || Number.isNaN(norm)) return null;
  if (norm === 0) return 0;
  return Math.max(0, Math.min(1, (Math.log10(norm) - low) / (high - low)));
}

function timePicture(panel, view) {
  const width = GRID.label + view.cell * view.steps + GRID.right;
  const gridBottom = GRID.top + GRID.row * view.rows.length;
  const picture = svgNode("svg", {
    class: "time-picture",
    width,
    height: gridBottom + GRID.plot + 32,
    tabindex: 0,
    role: "application",
    "aria-label": timeText(view, panel),
  });
  picture.append(timeTicks(view), ...view.rows.flatMap((row, r) => timeRow(panel, view, row, r)));
  picture.append(...timeLines(view, gridBottom + 14), ...timeColumn(view, gridBottom + 14 + GRID.plot));
  picture.addEventListener("keydown", (event) => moveInGrid(panel, view, event));
  return picture;
}

/** The text alternative of the whole grid. */
function timeText(view, panel) {
  const told = view.rows.map((row) => {
    const change = panel.wanted === "gradient" ? changePerStep(row.norms) : null;
    const told = change ? `, times ${shortNumber(change.ratio, 3)} a step back, ${change.told}` : "";
    return `${row.name}, ${stepsOfRow(row)} steps${told}`;
  });
  return `Norms over time. ${told.join(". ")}. Arrow keys read the cells, Enter goes there.`;
}

/** Numbers of the time steps above the grid, as many as there is room for. */
function timeTicks({ first, steps, cell }) {
  const every = [1, 2, 5, 10, 20, 50, 100].find((n) => n * cell >= 22) || 100;
  const group = svgNode("g", { class: "axis" });
  for (let t = Math.ceil(first / every) * every; t < first + steps; t += every) {
    group.append(
      svgNode("text", { x: GRID.label + (t - first + 0.5) * cell, y: 13, "text-anchor": "middle" }, String(t)),
    );
  }
  group.append(svgNode("text", { x: GRID.label - 8, y: 13, "text-anchor": "end" }, "t ="));
  return group;
}

/** A frame round the time step that the walk is at. */
function timeColumn(view, bottom) {
  if (view.time === null || view.time < view.first) return [];
  const width = Math.max(3, view.cell);
  const x = GRID.label + (view.time - view.first) * view.cell + (view.cell - width) / 2 - 1;
  return [
    svgNode("rect", { x, y: GRID.top - 2, width: width + 1, height: bottom - GRID.top + 2, class: "time-column" }),
  ];
}

/** The label and the cells of one sequence. */
function timeRow(panel, view, row, r) {
  const y = GRID.top + r * GRID.row;
  const change = panel.wanted === "gradient" ? changePerStep(row.norms) : null;
  const label = svgNode("text", { x: 0, y: y + 13, class: "row-name" }, cutText(row.name, 14));
  const told = change ? `×${shortNumber(change.ratio, 3)} a step` : `${stepsOfRow(row)} steps`;
  const small = svgNode("text", { x: 0, y: y + 25, class: "row-told" }, told);
  const cells = row.norms.map((norm, t) =>
    row.ids[t] === null ? null : timeCell(panel, view, { row, r, t, norm, y }),
  );
  return [label, small, ...cells.filter(Boolean), ...nowFrame(view, row, y)];
}

/** A frame over the cell that the walk is at, or that was chosen: its neighbours do not cover it. */
function nowFrame(view, row, y) {
  const t = view.now === null ? -1 : row.ids.indexOf(view.now);
  if (t < 0) return [];
  const x = GRID.label + (t - view.first) * view.cell;
  return [svgNode("rect", { x, y, width: view.cell, height: GRID.row - 4, class: "time-now" })];
}

function stepsOfRow(row) {
  return row.ids.filter((id) => id !== null).length;
}

function cutText(text, most) {
  return text.length > most ? `…${text.slice(1 - most)}` : text;
}

function timeCell(panel, view, { row, r, t, norm, y }) {
  const along = alongScale(norm, view.scale);
  const id = row.ids[t];
  const cell = svgNode("rect", {
    x: GRID.label + (t - view.first) * view.cell,
    y,
    width: view.cell > 9 ? view.cell - 1.5 : view.cell,
    height: GRID.row - 4,
    class: `time-cell${view.cell < 5 ? " thin" : ""}${along === null ? " unknown" : ""}${id === view.now ? " now" : ""}`,
    onclick: () => goToCell(panel, id),
    onpointerenter: () => tellCell(panel, view, r, t),
  });
  if (along !== null)
    cell.style.fill = `color-mix(in oklab, ${view.colour} ${(100 * along).toFixed(1)}%, var(--paper))`;
  return cell;
}

/** To where this cell's number is complete; inside a fused op, to the op. */
function goToCell(panel, id) {
  panel.scope.visit(id, panel.wanted);
  drawTime(panel);
}

/** The cell in words: its norm, and how it compares with the step after it. */
function tellCell(panel, view, r, t) {
  panel.cursor = { r, t };
  const row = view.rows[r];
  const what = panel.wanted === "gradient" ? `‖∂L/∂${row.name}‖` : `‖${row.name}‖`;
  const norm = row.norms[t] ?? null;
  const later = row.norms[t + 1];
  const ratio = later > 0 && norm !== null ? `, ×${shortNumber(norm / later, 3)} of t = ${t + 1}` : "";
  panel.readout.textContent = `t = ${t}: ${what} = ${norm === null ? "not known here" : shortNumber(norm, 6)}${ratio}`;
}

function moveInGrid(panel, view, event) {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const { r, t } = panel.cursor ?? { r: 0, t: view.first - 1 };
  if (event.key === "Enter" && view.rows[r]?.ids[t] >= 0) goToCell(panel, view.rows[r].ids[t]);
  else if (event.key in moves) {
    const [down, right] = moves[event.key];
    const row = Math.max(0, Math.min(view.rows.length - 1, r + down));
    tellCell(panel, view, row, Math.max(view.first, Math.min(view.rows[row].ids.length - 1, t + right)));
  } else return;
  event.preventDefault();
  event.stopPropagation();
}
