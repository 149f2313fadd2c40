// The controls below the graph: buttons, the slider over all moments, and play.

const SPEEDS = [0.5, 1, 2, 4, 8];
const STEP_TIME = 1200; // milliseconds a moment, at speed 1

/** Signs of the buttons, drawn so that they look alike on every system. */
const ICONS = {
  first: "M6,5v14M19,5L9,12l10,7z",
  back: "M17,5L7,12l10,7z",
  play: "M7,4l13,8l-13,8z",
  pause: "M7,5h3.5v14h-3.5zM13.5,5h3.5v14h-3.5z",
  next: "M7,5l10,7l-10,7z",
  last: "M18,5v14M5,5l10,7l-10,7z",
};

function iconOf(name) {
  return svgNode(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    svgNode("path", { d: ICONS[name] }),
  );
}

class Controls {
  constructor(app) {
    Object.assign(this, { app, speed: 1, timer: null });
    const button = (name, label, keys, act) =>
      dom(
        "button",
        { type: "button", class: `step ${name}`, "aria-label": label, title: `${label} (${keys})`, onclick: act },
        iconOf(name),
      );
    const last = app.moments.length - 1;
    this.playButton = button("play", "Play", "Space", () => this.toggle());
    this.slider = dom("input", {
      type: "range",
      min: 0,
      max: last,
      step: 1,
      value: 0,
      class: "timeline",
      "aria-label": "Moment",
      oninput: () => this.go(Number(this.slider.value)),
    });
    this.counter = dom("div", { class: "counter" });
    this.element = dom(
      "footer",
      { class: "controls" },
      dom(
        "div",
        { class: "buttons", role: "group", "aria-label": "Steps" },
        button("first", "First", "Home", () => this.go(0)),
        button("back", "Back", "←", () => this.move(-1)),
        this.playButton,
        button("next", "Next", "→", () => this.move(1)),
        button("last", "Last", "End", () => this.go(last)),
      ),
      dom("div", { class: "line" }, this.slider, this.parts()),
      this.counter,
      this.speedChoice(),
    );
    app.on("moment", () => this.update());
  }

  /** Under the slider: where forward ends and backward begins. */
  parts() {
    const { seedAt } = this.app.index;
    const last = Math.max(1, this.app.moments.length - 1);
    const share = Math.max(0, Math.min(100, (100 * (seedAt - 0.5)) / last));
    this.slider.style.setProperty("--seed", `${share}%`);
    const part = (name, grow) => dom("span", { class: `part ${name}`, style: `flex-basis:${grow}%` }, name);
    return dom("div", { class: "parts", "aria-hidden": "true" }, part("forward", share), part("backward", 100 - share));
  }

  speedChoice() {
    const options = SPEEDS.map((s) => dom("option", { value: s, selected: s === 1 }, `${s}×`));
    const select = dom(
      "select",
      {
        class: "speed",
        "aria-label": "Speed of play",
        title: "Speed of play",
        onchange: () => {
          this.speed = Number(select.value);
        },
      },
      options,
    );
    return select;
  }

  // ---- moving

  go(at) {
    this.stop();
    this.app.go(at);
  }

  move(by) {
    this.go(this.app.at + by);
  }

  toggle() {
    if (this.timer) return void this.stop();
    if (this.app.at === this.app.moments.length - 1) this.app.go(0);
    this.play();
  }

  play() {
    this.timer = setTimeout(() => {
      this.app.go(this.app.at + 1);
      if (this.app.at < this.app.moments.length - 1) this.play();
      else this.stop();
    }, STEP_TIME / this.speed);
    this.showPlaying();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.showPlaying();
  }

  showPlaying() {
    const name = this.timer ? "Pause" : "Play";
    if (this.playButton.getAttribute("aria-label") === name) return;
    this.playButton.replaceChildren(iconOf(name.toLowerCase()));
    this.playButton.setAttribute("aria-label", name);
    this.playButton.title = `${name} (Space)`;
  }

  update() {
    const { app } = this;
    const last = app.moments.length - 1;
    this.slider.value = app.at;
    this.slider.style.setProperty("--done", `${(100 * app.at) / Math.max(1, last)}%`);
    this.slider.setAttribute("aria-valuetext", `${app.at + 1} of ${last + 1}: ${sentenceOf(app)}`);
    this.counter.replaceChildren(dom("b", {}, String(app.at + 1)), ` of ${last + 1}`);
    this.element.dataset.phase = app.moment.phase;
  }
}
