// The camera: which part of the graph is seen. Wheel and pinch zoom, dragging pans, steps keep in view.

const ZOOM = { least: 0.05, most: 3, readable: 0.64 };

/** Whether the reader asked the system for less motion. */
function wantsStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

class Camera {
  constructor(svg, world) {
    Object.assign(this, {
      svg,
      world,
      x: 0,
      y: 0,
      scale: 1,
      home: 1,
      bounds: null,
      flight: null,
      goal: { x: 0, y: 0, scale: 1 },
    });
    this.pointers = new Map();
    svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => this.release(event));
  }

  get size() {
    const { width, height } = this.svg.getBoundingClientRect();
    return { width: width || 1, height: height || 1 };
  }

  put(x, y, scale) {
    Object.assign(this, { x, y, scale, goal: { x, y, scale } });
    this.world.setAttribute("transform", `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${scale.toFixed(4)})`);
  }

  /** Move there in a short flight, or at once for those who want stillness. */
  fly(x, y, scale) {
    cancelAnimationFrame(this.flight);
    if (wantsStillness()) return void this.put(x, y, scale);
    const [from, start] = [{ x: this.x, y: this.y, scale: this.scale }, performance.now()];
    const frame = (now) => {
      const t = Math.max(0, Math.min(1, (now - start) / 260));
      const eased = 1 - (1 - t) ** 3;
      const mix = (a, b) => a + (b - a) * eased;
      this.put(mix(from.x, x), mix(from.y, y), mix(from.scale, scale));
      this.goal = { x, y, scale }; // what is asked for meanwhile counts from where the flight ends
      if (t < 1) this.flight = requestAnimationFrame(frame);
    };
    this.goal = { x, y, scale };
    this.flight = requestAnimationFrame(frame);
  }

  // ---- what to look at

  /** All of the graph, no larger than life. */
  fit({ still = false } = {}) {
    const { width, height } = this.size;
    const { bounds } = this;
    const scale = Math.min(1.15, (width - 48) / bounds.width, (height - 64) / bounds.height);
    const x = (width - bounds.width * scale) / 2 - bounds.x * scale;
    const y = (height - bounds.height * scale) / 2 - bounds.y * scale;
    this.home = scale; // the scale that the reader, or the page, chose; steps come back to it
    if (still) this.put(x, y, scale);
    else this.fly(x, y, scale);
  }

  /** All of it where it can be read so, else a readable part, beginning at the left. */
  begin() {
    this.fit({ still: true });
    if (this.scale >= ZOOM.readable) return;
    const { height } = this.size;
    const { bounds } = this;
    const scale = ZOOM.readable;
    this.home = scale;
    const tall = bounds.height * scale > height - 64;
    this.put(
      24 - bounds.x * scale,
      tall ? 36 - bounds.y * scale : (height - bounds.height * scale) / 2 - bounds.y * scale,
      scale,
    );
  }

  /**
   * Pan as little as needed for a rectangle to be seen, at the reader's own scale where it fits; where it does
   * not, at a smaller one, but never too small to read: then the part around `core` is shown.
   */
  show(rect, core = rect) {
    const { width, height } = this.size;
    const pad = Math.min(48, width / 8, height / 8);
    const room = Math.min((width - 2 * pad) / rect.width, (height - 2 * pad) / rect.height);
    const scale = Math.min(this.home, Math.max(room, Math.min(this.home, 0.75 * ZOOM.readable)));
    const shown = room < scale ? core : rect;
    const { x, y } = this.zoomed(scale, width / 2, height / 2);
    const dx = moveInto(shown.x * scale + x, shown.width * scale, width, pad);
    const dy = moveInto(shown.y * scale + y, shown.height * scale, height, pad);
    if (dx || dy || scale !== this.goal.scale) this.fly(x + dx, y + dy, scale);
  }

  /** Where the goal comes to lie when it is scaled about a point of the view. */
  zoomed(scale, atX, atY) {
    const factor = scale / this.goal.scale;
    return { x: atX - (atX - this.goal.x) * factor, y: atY - (atY - this.goal.y) * factor };
  }

  /** Zoom about a point of the view, its middle by default. */
  zoom(factor, atX = this.size.width / 2, atY = this.size.height / 2, still = false) {
    const scale = Math.max(ZOOM.least, Math.min(ZOOM.most, this.goal.scale * factor));
    const { x, y } = this.zoomed(scale, atX, atY);
    this.home = scale;
    if (still) this.put(x, y, scale);
    else this.fly(x, y, scale);
  }

  // ---- pointers

  wheel(event) {
    event.preventDefault();
    cancelAnimationFrame(this.flight);
    const box = this.svg.getBoundingClientRect();
    const amount = Math.max(-60, Math.min(60, event.deltaMode ? event.deltaY * 16 : event.deltaY));
    this.zoom(Math.exp(-amount / 300), event.clientX - box.left, event.clientY - box.top, true);
  }

  press(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.travelled = 0;
  }

  drag(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    this.travelled += Math.abs(dx) + Math.abs(dy);
    if (this.travelled > 4) this.svg.setPointerCapture(event.pointerId); // not before: a click must reach its card
    if (this.pointers.size === 2) this.pinch(event, last);
    else if (this.travelled > 4) this.put(this.x + dx, this.y + dy, this.scale);
    Object.assign(last, { x: event.clientX, y: event.clientY });
    cancelAnimationFrame(this.flight);
  }

  /** Two fingers: the distance between them zooms. */
  pinch(event, last) {
    const [other] = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    const apart = (p, x, y) => Math.hypot(p.x - x, p.y - y) || 1;
    const box = this.svg.getBoundingClientRect();
    const factor = apart(other, event.clientX, event.clientY) / apart(other, last.x, last.y);
    this.zoom(factor, (other.x + event.clientX) / 2 - box.left, (other.y + event.clientY) / 2 - box.top, true);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
  }

  /** True right after a drag: the click that ends it is no click. */
  get dragged() {
    return this.travelled > 4;
  }
}

/** How far a stretch must move to be in view; not at all if it is, else to a comfortable distance from the rim. */
function moveInto(start, length, view, pad) {
  const slack = Math.min(14, pad);
  if (start < slack) return pad - start;
  return start + length > view - slack ? view - pad - start - length : 0;
}
