// Tiny heat maps for nodes and edges: an array as a small picture, made once for each array and theme.

const THUMB_CELLS = 28; // rows and columns at most; larger arrays are sampled
const THUMBS = { colours: null, made: new WeakMap() };

/** Forget the pictures: the page has turned from light to dark. */
function forgetThumbs() {
  Object.assign(THUMBS, { colours: heatColours(), made: new WeakMap() });
}

/** The picture of an array as {url, rows, columns}; null where there is nothing to draw. */
function thumbOf(array) {
  if (!THUMBS.colours) forgetThumbs();
  if (!THUMBS.made.has(array)) THUMBS.made.set(array, paintThumb(pictured(array)));
  return THUMBS.made.get(array);
}

function paintThumb({ shape, data }) {
  if (!data?.length) return null;
  const across = shape[shape.length - 1] ?? 1;
  const down = data.length / across;
  const [rows, columns] = [Math.min(down, THUMB_CELLS), Math.min(across, THUMB_CELLS)];
  const canvas = dom("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const largest = data.reduce((top, x) => (Number.isFinite(x) ? Math.max(top, Math.abs(x)) : top), 0);
  for (let r = 0; r < rows; r += 1) {
    for (let c = 0; c < columns; c += 1) {
      const from = Math.floor((r * down) / rows) * across + Math.floor((c * across) / columns);
      image.data.set([...heatColour(data[from], largest, THUMBS.colours), 255], 4 * (r * columns + c));
    }
  }
  context.putImageData(image, 0, 0);
  return { url: canvas.toDataURL(), rows, columns };
}

/** An SVG image in a square of `size`, as wide as the array is, but never thinner than a third. */
class Thumb {
  constructor(x, y, size, label) {
    Object.assign(this, { x, y, size });
    this.image = svgNode("image", { preserveAspectRatio: "none", class: "thumb", "aria-label": label });
    this.frame = svgNode("rect", { class: "thumb-frame", rx: 2 });
    this.element = svgNode("g", { class: "thumb-group" }, this.image, this.frame);
  }

  show(array) {
    const thumb = array ? thumbOf(array) : null;
    this.element.classList.toggle("empty", !thumb);
    const { rows, columns } = thumb ?? { rows: 1, columns: 1 };
    const longest = Math.max(rows, columns);
    const width = this.size * Math.max(columns / longest, 0.34);
    const height = this.size * Math.max(rows / longest, 0.34);
    const box = { x: this.x + (this.size - width) / 2, y: this.y + (this.size - height) / 2, width, height };
    for (const part of [this.image, this.frame]) {
      for (const [name, value] of Object.entries(box)) part.setAttribute(name, value);
    }
    if (thumb) this.image.setAttribute("href", thumb.url);
    else this.image.removeAttribute("href");
  }
}
