// Memory lane: what each forward step keeps for the backward pass, and when it is given back.

const LANE = { height: 130, left: 70, top: 20, rows: 60 };

PANELS.push({
  id: "memory",
  title: "Memory",
  make(app) {
    const events = memoryEvents(app);
    const panel = {
      app,
      events,
      pieces: savedPieces(events),
      largest: false,
      all: false,
      root: dom("div", { class: "memory-panel" }),
    };
    this.panel = panel;
    panel.peak = events.reduce((best, event, i) => (event.live > events[best].live ? i : best), 0);
    panel.told = dom("p", { class: "memory-told", "aria-live": "polite" });
    panel.chart = dom("div", { class: "memory-chart" });
    panel.table = dom("table", { class: "memory-table" });
    const sort = dom("input", {
      type: "checkbox",
      onchange: () => ((panel.largest = sort.checked), drawMemory(panel)),
    });
    panel.root.append(
      panel.told,
      panel.chart,
      dom("div", { class: "panel-choices" }, dom("label", {}, sort, " largest first")),
      dom("div", { class: "scroll-x" }, panel.table),
      memoryNotes(panel),
    );
    new ResizeObserver(oncePerFrame(() => drawMemory(panel))).observe(panel.root);
    return panel.root;
  },
  update() {
    drawMemory(this.panel);
  },
});

function memoryNotes({ events }) {
  const replayed = events.filter((event) => event.kind === "replay").length;
  const again = replayed
    ? ` ${replayed} steps behind checkpoints kept nothing, and ran again when the backward pass needed them.`
    : "";
  return dom(
    "p",
    { class: "quiet-text" },
    `Inputs and parameters live anyway and do not count; an array that several steps save counts once.${again}`,
  );
}

function drawMemory(panel) {
  const { app, events } = panel;
  if (!panel.root.clientWidth || !events.length) return;
  const now = Math.max(0, eventOfMoment(app, events));
  panel.told.replaceChildren(...memoryTold(panel, now));
  const hadFocus = panel.chart.contains(document.activeElement);
  const picture = memoryPicture(panel, now);
  panel.chart.replaceChildren(picture);
  if (hadFocus) picture.focus({ preventScroll: true });
  panel.table.replaceChildren(...memoryTable(panel, now));
}

function memoryTold({ app, events, peak }, now) {
  const at = events[peak];
  const where = at.kind === "backward" ? app.value(at.step.value).name : app.value(at.step.output).name;
  return [
    "Held for the backward pass now: ",
    dom("b", { class: "memory-now", "data-bytes": events[now].live }, bytesText(events[now].live)),
    `, at the peak ${bytesText(at.live)} (`,
    dom("a", { href: "#", onclick: (event) => (event.preventDefault(), app.go(at.moment)) }, `after ${where}`),
    ").",
  ];
}

/** Bytes over the steps: blue while they are taken, vermillion while they are given back, hatched in a replay. */
function memoryPicture(panel, now) {
  const { app, events, peak } = panel;
  const width = panel.root.clientWidth;
  const step = (width - LANE.left - 10) / events.length;
  const x = (i) => LANE.left + i * step;
  const y = (bytes) => LANE.top + LANE.height * (1 - bytes / (events[peak].live || 1));
  const put = (i) => app.go(events[Math.max(0, Math.min(events.length - 1, i))].moment);
  const picture = svgNode("svg", {
    class: "memory-picture",
    width,
    height: LANE.top + LANE.height + 22,
    tabindex: 0,
    role: "slider",
    "aria-label": "bytes held over the steps",
    "aria-valuemin": 0,
    "aria-valuemax": events.length - 1,
    "aria-valuenow": now,
    "aria-valuetext": `${eventText(app, events[now])}: ${bytesText(events[now].live)} held`,
    onclick: (event) => put(Math.floor((event.clientX - picture.getBoundingClientRect().left - LANE.left) / step)),
    onkeydown: (event) => memoryKey(event, now, put),
  });
  picture.append(hatching(), ...memoryScale(events[peak].live, width, y), ...memoryAreas(events, x, y));
  picture.append(...memoryMarks(panel, now, { x, y, step, width }));
  return picture;
}

function memoryKey(event, now, put) {
  const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
  if (!(event.key in moves)) return;
  event.preventDefault();
  event.stopPropagation();
  put(now + moves[event.key]);
}

function eventText(app, { kind, step }) {
  return kind === "backward"
    ? `back through ${app.value(step.value).name}`
    : `${kind === "replay" ? "replay of " : ""}${step.op} makes ${app.value(step.output).name}`;
}

/** Stripes, so that a replay is told from the rest without its colour. */
function hatching() {
  const stripe = svgNode("path", { d: "M0,6 L6,0", class: "hatch" });
  const pattern = svgNode(
    "pattern",
    { id: "memory-hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    stripe,
  );
  return svgNode("defs", {}, pattern);
}

function memoryScale(most, width, y) {
  return [0, most / 2, most].flatMap((bytes) => [
    svgNode("line", { x1: LANE.left, x2: width - 10, y1: y(bytes), y2: y(bytes), class: "rule" }),
    svgNode("text", { x: LANE.left - 6, y: y(bytes) + 4, "text-anchor": "end" }, bytesText(Math.round(bytes))),
  ]);
}

/** One area for each run of steps of one kind. */
function memoryAreas(events, x, y) {
  const areas = [];
  for (let from = 0; from < events.length;) {
    const { kind } = events[from];
    let to = from;
    let path = `M${x(from).toFixed(1)},${y(0)}`;
    while (to < events.length && events[to].kind === kind) {
      path += `V${y(events[to].live).toFixed(1)}H${x(to + 1).toFixed(1)}`;
      to += 1;
    }
    path += `V${y(0)}Z`;
    areas.push(svgNode("path", { d: path, class: `memory-area ${kind}` }));
    if (kind === "replay") areas.push(svgNode("path", { d: path, fill: "url(#memory-hatch)" }));
    from = to;
  }
  return areas;
}

/** The peak, the current step, and which part is forward and which backward. */
function memoryMarks({ events, peak }, now, { x, y, step, width }) {
  const middle = (i) => x(i) + step / 2;
  const turn = events.filter((event) => event.kind === "forward").length;
  const below = LANE.top + LANE.height + 15;
  return [
    svgNode("circle", { cx: middle(peak), cy: y(events[peak].live), r: 3.5, class: "memory-peak" }),
    svgNode(
      "text",
      { x: Math.min(width - 60, Math.max(LANE.left, middle(peak))), y: LANE.top - 8, "text-anchor": "middle" },
      `peak ${bytesText(events[peak].live)}`,
    ),
    svgNode("line", {
      x1: middle(now),
      x2: middle(now),
      y1: LANE.top - 2,
      y2: LANE.top + LANE.height,
      class: "memory-cursor",
    }),
    svgNode("circle", { cx: middle(now), cy: y(events[now].live), r: 4.5, class: "memory-dot" }),
    svgNode("text", { x: (x(0) + x(turn)) / 2, y: below, "text-anchor": "middle" }, "forward →"),
    svgNode("text", { x: (x(turn) + x(events.length)) / 2, y: below, "text-anchor": "middle" }, "backward →"),
  ];
}

function memoryTable(panel, now) {
  const { app, pieces, largest, all } = panel;
  const rows = largest ? [...pieces].sort((a, b) => b.step.bytes - a.step.bytes) : pieces;
  const shown = all ? rows : rowsAround(rows, now, largest);
  const head = dom(
    "tr",
    {},
    ["step", "keeps", "bytes", "freed by", ""].map((text) => dom("th", { scope: "col" }, text)),
  );
  const more = rows.length - shown.length;
  const button = dom(
    "button",
    { type: "button", class: "quiet", onclick: () => ((panel.all = true), drawMemory(panel)) },
    `show all ${rows.length}`,
  );
  return [
    dom("thead", {}, head),
    dom(
      "tbody",
      {},
      shown.map((piece) => memoryRow(app, panel, piece, now)),
      more > 0 ? dom("tr", {}, dom("td", { colspan: 5 }, button)) : null,
    ),
  ];
}

/** At most a screenful of rows: those about the current step. */
function rowsAround(rows, now, largest) {
  if (rows.length <= LANE.rows || largest) return rows.slice(0, LANE.rows);
  const near = rows.findIndex((piece) => piece.taken >= now || piece.freed === now);
  const first = Math.max(0, Math.min(rows.length - LANE.rows, (near < 0 ? rows.length : near) - LANE.rows / 2));
  return rows.slice(first, first + LANE.rows);
}

function memoryRow(app, panel, { step, kind, taken, freed }, now) {
  const state = now < taken ? "later" : freed >= 0 && now >= freed ? "freed" : "held";
  const link = (i, text) =>
    dom("a", { href: "#", onclick: (event) => (event.preventDefault(), app.go(panel.events[i].moment)) }, text);
  const name = app.value(step.output).name;
  const freeing = freed < 0 ? "never" : link(freed, `back through ${app.value(panel.events[freed].step.value).name}`);
  return dom(
    "tr",
    { class: `${state}${taken === now || freed === now ? " now" : ""}` },
    dom("td", {}, kind === "replay" ? "↻ " : "", link(taken, `${name} = ${step.op}(…)`)),
    dom("td", {}, step.saved.map(({ what, bytes }) => `${what} ${bytesText(bytes)}`).join(", ")),
    dom("td", { class: "number" }, bytesText(step.bytes)),
    dom("td", {}, freeing),
    dom("td", { class: "state" }, { later: "not yet", held: "● held", freed: "○ freed" }[state]),
  );
}
