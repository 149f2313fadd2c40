// An array as a picture: showArray makes a number, a heat map with its numbers, or a grid of heat maps.
// Blue is negative, the paper is zero, vermillion is positive; every number can be read with mouse or keys.

const NUMBERED = { rows: 8, columns: 12, cells: 64 }; // up to here the numbers stand in the cells
const MAPS_AT_FIRST = 32;

/**
 * The picture of one array.
 * @param {{shape: number[], data: Float64Array, dtype: string}} array  or a summarised one, {shape, summary, picture}
 * @param {{name?: string, pick?: (flat: number) => void, picked?: number, tools?: boolean, hidden?: boolean}} options
 *   name stands in the text alternative and in the copied line; pick is called with the element that the reader
 *   clicks or presses Enter on; picked is outlined; tools: false leaves legend and copy button out
 * @returns {HTMLElement}
 */
function showArray(array, options = {}) {
  if (!array) return dom("span", { class: "array-none" }, "none");
  if (options.hidden) return dom("span", { class: "array-hidden", "aria-label": "hidden: predict it first" }, "?");
  const stats = arrayStats(array);
  if (sizeOf(array.shape) === 1 && !array.summary) return showNumber(array, options);
  const figure = dom("figure", {
    class: "array",
    role: "group",
    "aria-label": arrayAlternative(array, stats, options.name),
  });
  const state = { array, stats, options, shown: pictured(array), at: options.picked ?? 0, readout: dom("output") };
  state.maps = dom("div", { class: "array-maps" });
  addMaps(state, MAPS_AT_FIRST);
  figure.append(state.maps, arrayTools(state));
  if (sizeOf(state.shown.shape)) readWithKeys(state);
  return figure;
}

/** An array of one element is written as a number, whatever its shape. */
function showNumber(array, options) {
  const text = exactNumber(array.data[0], array.dtype);
  return dom(
    "span",
    {
      class: `array-number ${signOf(array.data[0])}`,
      title: `${text}  ${shapeText(array.shape)} ${array.dtype ?? ""}`,
    },
    options.digits ? shortNumber(array.data[0], options.digits) : shortNumber(array.data[0]),
  );
}

function signOf(x) {
  return x > 0 ? "positive" : x < 0 ? "negative" : "zero";
}

/** For those who do not see the picture: shape, range and mean. */
function arrayAlternative(array, stats, name) {
  const odd = stats.odd ? `, ${stats.odd} not finite` : "";
  const range = `min ${shortNumber(stats.min)}, max ${shortNumber(stats.max)}, mean ${shortNumber(stats.mean)}`;
  return `${name ? `${name}: ` : ""}array ${shapeText(array.shape)} ${array.dtype || ""}, ${range}${odd}`;
}

/** What is drawn: the array itself, or the small picture of one that was too large to send. */
function pictured(array) {
  if (!array.summary) return array;
  return array.picture && array.picture.data ? array.picture : { shape: [0], data: new Float64Array(0) };
}

/** Rows and columns of one map: the last two axes; a vector is one row. */
function mapSize(shape) {
  const columns = shape[shape.length - 1] ?? 1;
  return { rows: shape.length > 1 ? shape[shape.length - 2] : 1, columns };
}

/** Draw the maps of the array, at most `count` of them, and a button for the rest. */
function addMaps(state, count) {
  const { shown, maps } = state;
  const { rows, columns } = mapSize(shown.shape);
  const total = rows * columns ? sizeOf(shown.shape) / (rows * columns) : 0;
  const outer = shown.shape.slice(0, -2);
  state.cells = rows * columns;
  maps.replaceChildren();
  maps.style.setProperty("--maps", outer.length === 2 && outer[1] <= 8 ? outer[1] : "auto-fill");
  maps.classList.toggle("grid", outer.length > 0);
  for (let index = 0; index < Math.min(count, total); index += 1)
    maps.append(oneMap(state, index, outer, rows, columns));
  if (total <= count) return;
  const more = dom("button", { type: "button", class: "quiet", onclick: () => addMaps(state, total) });
  more.textContent = `show all ${total} maps`;
  maps.append(more);
}

/** One map with its index above it. */
function oneMap(state, index, outer, rows, columns) {
  const offset = index * rows * columns;
  const place = outer.length ? placeOf(index, outer) : [];
  const numbered = rows <= NUMBERED.rows && columns <= NUMBERED.columns && state.shown.data.length <= NUMBERED.cells;
  const map = numbered ? numberMap(state, offset, rows, columns) : canvasMap(state, offset, rows, columns);
  const frame = dom("div", { class: "array-frame" }, map, dom("i", { class: "array-cursor", hidden: true }));
  Object.assign(frame.style, frameWidth(numbered, rows, columns));
  const element = (event) => offset + underPointer(event, map, rows, columns);
  frame.addEventListener("pointermove", (event) => tellElement(state, element(event)));
  frame.addEventListener("click", (event) => pickElement(state, element(event)));
  return dom("div", { class: "array-map" }, outer.length ? dom("small", {}, `[${place.join(", ")}]`) : null, frame);
}

/** Cells of a large map are up to 18 pixels wide, as many as fit in 320 by 200. */
function frameWidth(numbered, rows, columns) {
  if (numbered) return {};
  const cell = Math.max(1, Math.min(18, Math.floor(320 / columns), Math.floor(200 / rows)));
  return { width: `${Math.max(cell * columns, 24)}px`, aspectRatio: `${columns} / ${Math.max(rows, columns / 24)}` };
}

/** Which element of the map lies under the pointer. */
function underPointer(event, map, rows, columns) {
  const box = map.getBoundingClientRect();
  const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
  const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
  const within = (index, length) => Math.max(0, Math.min(length - 1, index));
  return within(row, rows) * columns + within(column, columns);
}

/** A small map: cells with their numbers. */
function numberMap(state, offset, rows, columns) {
  const { data } = state.shown;
  const map = dom("div", { class: columns > 5 ? "array-cells narrow" : "array-cells", "aria-hidden": "true" });
  map.style.gridTemplateColumns = `repeat(${columns}, minmax(3.4em, 1fr))`;
  for (let i = 0; i < rows * columns; i += 1) {
    const x = data[offset + i];
    const cell = dom("span", { class: Number.isFinite(x) ? signOf(x) : "odd" }, shortNumber(x, 3));
    const strength = state.stats.largest && Number.isFinite(x) ? Math.abs(x) / state.stats.largest : 0;
    cell.style.setProperty("--strength", `${(100 * strength).toFixed(1)}%`);
    cell.classList.toggle("deep", strength > 0.55);
    map.append(cell);
  }
  return map;
}

/** A large map: one pixel an element, made large by the style sheet. */
function canvasMap(state, offset, rows, columns) {
  const canvas = dom("canvas", { class: "array-canvas", width: columns, height: rows, "aria-hidden": "true" });
  canvas.repaint = () => paintMap(canvas, state, offset);
  canvas.repaint();
  return canvas;
}

function paintMap(canvas, state, offset) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const colours = heatColours();
  for (let i = 0; i < canvas.width * canvas.height; i += 1) {
    const [r, g, b] = heatColour(state.shown.data[offset + i], state.stats.largest, colours);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

/** The four colours of the scale as the style sheet has them now: negative, zero, positive, not finite. */
function heatColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name, otherwise) => {
    const hex = (style.getPropertyValue(name).trim() || otherwise).replace("#", "");
    return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
  };
  return {
    negative: read("--heat-negative", "#0072b2"),
    zero: read("--heat-zero", "#ffffff"),
    positive: read("--heat-positive", "#d55e00"),
    odd: read("--heat-odd", "#f0e442"),
  };
}

/** The colour of x on a scale from -largest to largest. */
function heatColour(x, largest, colours) {
  if (!Number.isFinite(x)) return colours.odd;
  const end = x < 0 ? colours.negative : colours.positive;
  const strength = largest ? Math.abs(x) / largest : 0;
  return colours.zero.map((from, channel) => Math.round(from + (end[channel] - from) * strength));
}

/** Canvases do not follow the style sheet by themselves: paint them again when light turns to dark. */
function repaintCanvases() {
  for (const canvas of document.querySelectorAll("canvas.array-canvas")) canvas.repaint();
}

new MutationObserver(() => requestAnimationFrame(repaintCanvases)).observe(document.documentElement, {
  attributes: true,
  attributeFilter: ["class", "data-theme", "style"],
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaintCanvases);

/** Below the maps: the scale, what the pointer or the keys are on, and the copy button. */
function arrayTools(state) {
  if (state.options.tools === false) return state.readout;
  const bar = dom("figcaption", { class: "array-tools" });
  const { array, stats } = state;
  if (stats.largest) bar.append(legendOf(stats));
  if (array.summary) {
    const norm = shortNumber(stats.norm);
    bar.append(
      dom("small", {}, `${shapeText(array.shape)}, too large to send whole: a small picture of it; norm ${norm}`),
    );
  }
  bar.append(state.readout);
  if (!array.summary) bar.append(copyButton("copy as NumPy", () => numpyText(array, state.options.name)));
  return bar;
}

/** The scale of colours, with min, 0 and max marked where they lie. */
function legendOf(stats) {
  const at = (x) => `${(50 + (50 * x) / stats.largest).toFixed(1)}%`;
  const mark = (x, text) => {
    const node = dom("b", {}, text);
    node.style.left = at(x);
    return node;
  };
  const apart = Math.abs(stats.max - stats.min) > 0.35 * stats.largest;
  return dom(
    "span",
    { class: "array-legend", "aria-hidden": "true", title: `min ${stats.min}  max ${stats.max}  mean ${stats.mean}` },
    dom("small", {}, `min ${shortNumber(stats.min, 3)}`),
    dom("span", { class: "array-scale" }, mark(stats.min, ""), apart ? mark(stats.max, "") : null),
    dom("small", {}, `max ${shortNumber(stats.max, 3)}`),
  );
}

/** A button that puts text on the clipboard, and says so. */
function copyButton(label, text) {
  const button = dom("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    const done = await copyText(text());
    button.textContent = done ? "copied" : "not allowed here";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

/** Copy by the clipboard, or by a selection where the browser keeps the clipboard from pages in frames. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = dom("textarea", { value: text, class: "off-screen", "aria-hidden": "true" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Arrow keys move over the elements, page keys over the maps, Enter picks. */
function readWithKeys(state) {
  const { maps, options } = state;
  const { columns } = mapSize(state.shown.shape);
  const moves = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -state.cells,
    PageDown: state.cells,
    Home: -Infinity,
    End: Infinity,
  };
  maps.tabIndex = 0;
  maps.setAttribute("role", "application");
  maps.setAttribute("aria-label", "elements: arrow keys move, Page Up and Page Down change the map");
  state.readout.setAttribute("aria-live", "polite");
  maps.addEventListener("keydown", (event) => {
    const last = state.shown.data.length - 1;
    if (event.key === "Enter" && options.pick) pickElement(state, state.at);
    else if (event.key in moves) tellElement(state, Math.max(0, Math.min(last, state.at + moves[event.key])));
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's own arrow keys step through the moments
  });
  maps.addEventListener("focus", () => tellElement(state, state.at));
  maps.addEventListener("blur", () => putCursor(state, options.picked ?? null));
  maps.addEventListener("pointerleave", () => putCursor(state, options.picked ?? null));
  if (options.picked !== undefined) putCursor(state, options.picked);
}

/** Write index and exact number of one element, and outline it. */
function tellElement(state, flat) {
  state.at = flat;
  const { shown, array } = state;
  const place = `[${placeOf(flat, shown.shape).join(", ")}]`;
  const number = exactNumber(shown.data[flat], array.dtype);
  state.readout.textContent = array.summary ? `picture ${place} = ${number}` : `${place} = ${number}`;
  putCursor(state, flat);
}

function pickElement(state, flat) {
  tellElement(state, flat);
  if (!state.options.pick || state.array.summary) return;
  state.options.picked = flat;
  state.options.pick(flat);
}

/** The outline round element `flat`, none where it is null. */
function putCursor(state, flat) {
  const frames = state.maps.querySelectorAll(".array-frame");
  frames.forEach((frame) => (frame.querySelector(".array-cursor").hidden = true));
  const frame = flat === null ? null : frames[Math.floor(flat / state.cells)];
  if (!frame) return;
  const { rows, columns } = mapSize(state.shown.shape);
  const cursor = frame.querySelector(".array-cursor");
  const cell = flat % state.cells;
  Object.assign(cursor.style, {
    left: `${(100 * (cell % columns)) / columns}%`,
    top: `${(100 * Math.floor(cell / columns)) / rows}%`,
    width: `${100 / columns}%`,
    height: `${100 / rows}%`,
  });
  cursor.hidden = false;
}
