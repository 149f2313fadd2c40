// The camera: which part of the graph is seen. Wheel and pinch zoom, dragging pans, steps keep in view.

const ZOOM = { least: 0.05, most: 3, readable: 0.72 };

/** Whether the reader asked the system for less motion. */
function wantsStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

class Camera {
  constructor(svg, world) {
    Object.assign(this, { svg, world, x: 0, y: 0, scale: 1, bounds: null, flight: null });
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
    Object.assign(this, { x, y, scale });
    this.world.setAttribute("transform", `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${scale.toFixed(4)})`);
  }

  /** Move there in a short flight, or at once for those who want stillness. */
  fly(x, y, scale) {
    cancelAnimationFrame(this.flight);
    if (wantsStillness()) return void this.put(x, y, scale);
    const [from, start] = [{ x: this.x, y: this.y, scale: this.scale }, performance.now()];
    const frame = (now) => {
      const t = Math.min(1, (now - start) / 260);
      const eased = 1 - (1 - t) ** 3;
      const mix = (a, b) => a + (b - a) * eased;
      this.put(mix(from.x, x), mix(from.y, y), mix(from.scale, scale));
      if (t < 1) this.flight = requestAnimationFrame(frame);
    };
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
    const tall = bounds.height * scale > height - 64;
    this.put(24 - bounds.x * scale, tall ? 36 - bounds.y * scale : (height - bounds.height * scale) / 2 - bounds.y * scale, scale);
  }

  /** Pan as little as needed for a rectangle to be seen; zoom out only if it is larger than the view. */
  show(rect, margin = 56) {
    const { width, height } = this.size;
    const pad = Math.min(margin, width / 6, height / 6);
    const room = Math.min((width - 2 * pad) / rect.width, (height - 2 * pad) / rect.height);
    const scale = Math.min(this.scale, Math.max(room, 0.35));
    const shift = scale === this.scale ? { x: this.x, y: this.y } : this.zoomed(scale / this.scale, width / 2, height / 2);
    const move = (start, length, view) => {
      if (start < pad) return pad - start;
      return start + length > view - pad ? view - pad - start - length : 0;
    };
    const dx = move(rect.x * scale + shift.x, rect.width * scale, width);
    const dy = move(rect.y * scale + shift.y, rect.height * scale, height);
    if (dx || dy || scale !== this.scale) this.fly(shift.x + dx, shift.y + dy, scale);
  }

  zoomed(factor, atX, atY) {
    return { x: atX - (atX - this.x) * factor, y: atY - (atY - this.y) * factor };
  }

  /** Zoom about a point of the view, its middle by default. */
  zoom(factor, atX = this.size.width / 2, atY = this.size.height / 2, still = false) {
    const scale = Math.max(ZOOM.least, Math.min(ZOOM.most, this.scale * factor));
    const { x, y } = this.zoomed(scale / this.scale, atX, atY);
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
