// Cards: how a value, or a folded group, looks in the graph. A card is made once for a layout and updated
// with each moment.

const OP_SIGNS = {
  add: "+",
  sub: "−",
  mul: "×",
  div: "÷",
  neg: "−",
  matmul: "@",
  linear: "@",
  dot: "·",
  sum: "Σ",
  mean: "mean",
  exp: "eˣ",
  log: "ln",
  square: "x²",
  sqrt: "√",
  sigmoid: "σ",
  maximum: "max",
  minimum: "min",
  abs: "|x|",
  pow: "xʸ",
  transpose: "ᵀ",
  conv: "⋆",
  prod: "Π",
};
const KIND_SIGNS = { input: "in", parameter: "θ", constant: "const" };
const THUMB = 40;
const TERMS_SHOWN = 3; // more contributions than this are counted, not written out
const TERMS_SIZE = 11.5; // of their text, as in the style

const measuring = { context: null };

/** Width of a text in the page's font. */
function textWidth(text, size = 13, weight = 400) {
  measuring.context ??= dom("canvas").getContext("2d");
  measuring.context.font = `${weight} ${size}px system-ui, sans-serif`;
  return measuring.context.measureText(text).width;
}

/** As much of a text as fits a width. */
function fittingText(text, width, size = 13, weight = 400) {
  let fits = text;
  while (fits.length > 1 && textWidth(fits, size, weight) > width) fits = `${fits.slice(0, -2)}…`;
  return fits;
}

/** A long name keeps its end, which tells more: …encoder.0.weight */
function shortName(name, most = 22) {
  return name.length > most ? `…${name.slice(1 - most)}` : name;
}

/** A value's name without the module that its box already names. */
function nameOnCard(item) {
  let group = item.parent;
  while (group && group.kind !== "module") group = group.parent;
  const prefix = group ? `${group.path}.` : "";
  const { name } = item.value;
  return shortName(name.startsWith(prefix) ? name.slice(prefix.length) : name);
}

/** Names that the trace made up, such as mul.2 or fc1.relu@3, tell no more than the op does. */
function isMadeUp(item) {
  return item.forward !== null && new RegExp(`(^|\\.)${item.forward.op}([._]\\d+)?(@\\d+)?$`).test(item.value.name);
}

/** A constant that is named by its own number needs no second line for it. */
function namesItself(app, item) {
  const array = app.array(item.value.data);
  return (
    item.value.kind === "constant" &&
    isScalar(array) &&
    closeTo(Number(item.value.name.replace("−", "-")), array.data[0])
  );
}

/** Equal to the six digits that a name shows. */
function closeTo(a, b) {
  return Math.abs(a - b) <= 1e-5 * Math.abs(b);
}

function signOfItem(item) {
  if (!item.forward) return KIND_SIGNS[item.value.kind] ?? "";
  return OP_SIGNS[item.forward.op] ?? item.forward.op;
}

/** Size of a node's card. Scalars are rows of numbers, arrays two little heat maps, groups a stack of paper. */
function cardSize(app, node) {
  return node.group ? groupSize(app, node.group) : itemSize(app, node.item);
}

function itemSize(app, item) {
  const { value } = item;
  const sign = Math.max(20, textWidth(signOfItem(item), 12, 600) + 12);
  const title = 10 + sign + 6 + textWidth(nameOnCard(item), 13, 600) + 10 + (item.inside ? 20 : 0);
  const some = hasGradient(item);
  if (namesItself(app, item)) return { width: title, height: 34 };
  if (value.shape.reduce((a, b) => a * b, 1) !== 1) {
    const shape = textWidth(shapeText(value.shape), 11) + 20;
    return { width: Math.max(title, shape, some ? 2 * THUMB + 44 : THUMB + 24), height: 48 + THUMB + 22 };
  }
  const terms = expectedTerms(app, item);
  const sum = terms > 1 ? widthOfSum(app, item) + 24 : 0;
  return {
    width: Math.ceil(Math.max(title, some ? 104 : 72, sum)),
    height: 32 + 20 * (1 + (some ? 1 : 0)) + (terms > 1 ? 17 : 0) + 4,
  };
}

function groupSize(app, group) {
  const title = textWidth(group.title.slice(0, 30), 13, 600) + 46;
  return { width: Math.min(260, Math.max(title, 132)), height: 48 + THUMB + 22 };
}

function hasGradient(item) {
  return item.scope.index.completed.has(item.value.id) || item.value.grad !== null;
}

function expectedTerms(app, item) {
  return item.scope.opened ? 0 : (app.index.arrivals.get(item.value.id)?.length ?? 0);
}

/** Room for the sum of what arrives at a value, as it was recorded. */
function widthOfSum(app, item) {
  const parts = app.index.arrivals.get(item.value.id).map(({ backward, edge }) => app.array(backward.edges[edge].sent));
  return textWidth(termsText(parts, parts.length, true), TERMS_SIZE);
}

/** The value that stands for a folded group: the last one that something outside uses, or the last of all. */
function faceOf(app, group) {
  const items = itemsIn(group).filter((item) => item.forward);
  const own = new Set(items.map((item) => item.forward.id));
  const leaves = items.filter((item) => {
    const users = item.scope.index.users.get(item.value.id) ?? [];
    return !users.length || users.some((f) => !own.has(f.id));
  });
  return leaves[leaves.length - 1] ?? items[items.length - 1] ?? itemsIn(group)[0];
}

/** A card: {element, update()}. */
function makeCard(app, node, rect) {
  return node.group ? new GroupCard(app, node, rect) : new ItemCard(app, node.item, rect);
}

/** What every card has: a focusable frame with sign and title. */
class Card {
  constructor(app, key, rect, kind) {
    Object.assign(this, { app, key, rect });
    const { x, y, width, height } = rect;
    this.frame = svgNode("rect", { class: "card-frame", width, height, rx: 9 });
    this.element = svgNode(
      "g",
      {
        class: `card ${kind}`,
        transform: `translate(${x},${y})`,
        tabindex: 0,
        role: "button",
        "data-key": key,
      },
      svgNode("rect", { class: "card-halo", x: -4, y: -4, width: width + 8, height: height + 8, rx: 12 }),
      this.frame,
    );
  }

  /** The pill with the op's sign, and the name after it. */
  title(sign, name, hint) {
    const width = Math.max(20, textWidth(sign, 12, 600) + 12);
    this.element.append(
      svgNode("rect", { class: "sign", x: 8, y: 7, width, height: 20, rx: 10 }),
      svgNode("text", { class: "sign-text", x: 8 + width / 2, y: 21.5 }, sign),
      svgNode("text", { class: hint, x: 8 + width + 6, y: 21.5 }, name),
    );
  }

  text(name, x, y) {
    const node = svgNode("text", { class: name, x, y });
    this.element.append(node);
    return node;
  }

  thumb(name, x, y) {
    const thumb = new Thumb(x, y, THUMB, name);
    const norm = svgNode("text", { class: `norm ${name}`, x: x + THUMB / 2, y: y + THUMB + 13 });
    thumb.element.classList.add(name);
    this.element.append(thumb.element, norm);
    return {
      show: (array, mark = "") => {
        thumb.show(mark === "?" ? null : array);
        norm.textContent = mark || briefNumber(array);
      },
    };
  }

  mark(classes) {
    for (const [name, on] of Object.entries(classes)) this.element.classList.toggle(name, Boolean(on));
  }
}

/** A number, or the norm of an array between its bars. */
function briefNumber(array) {
  if (!array) return "";
  return isScalar(array) ? shortNumber(array.data[0], 3) : `‖${shortNumber(normOf(array), 3)}‖`;
}

/** The card of one value. */
class ItemCard extends Card {
  constructor(app, item, rect) {
    super(app, item.key, rect, `item ${item.value.kind}`);
    this.item = item;
    this.title(signOfItem(item), nameOnCard(item), isMadeUp(item) ? "card-name made-up" : "card-name");
    this.scalar = item.value.shape.reduce((a, b) => a * b, 1) === 1;
    this.brief = namesItself(app, item);
    if (this.brief) return;
    if (this.scalar) this.rows();
    else this.maps();
    if (item.inside) this.element.append(unfoldSign(rect.width - 20, 10));
  }

  rows() {
    const right = this.rect.width - 12;
    this.value = this.text("value", right, 46);
    this.element.append(svgNode("text", { class: "row-label", x: 11, y: 46 }, ""));
    if (!hasGradient(this.item)) return;
    const terms = expectedTerms(this.app, this.item) > 1;
    this.nabla = this.text("row-label gradient", 11, terms ? 83 : 66);
    this.terms = terms ? this.text("terms", right, 64) : null;
    this.grad = this.text("gradient", right, terms ? 83 : 66);
  }

  maps() {
    const { width } = this.rect;
    const both = hasGradient(this.item);
    this.element.append(svgNode("text", { class: "shape", x: 11, y: 42 }, shapeText(this.item.value.shape)));
    const gap = both ? (width - 2 * THUMB) / 3 : (width - THUMB) / 2;
    this.value = this.thumb("value", gap, 48);
    this.grad = both ? this.thumb("gradient", 2 * gap + THUMB, 48) : null;
    this.terms = both ? this.text("terms", width - 10, 42) : null;
  }

  update(current) {
    const { app, item } = this;
    const reading = readItem(app, item);
    const selected = !item.scope.opened && app.selected === item.value.id;
    this.mark({
      pending: !reading.computed,
      selected,
      complete: reading.complete,
      "has-gradient": reading.grad,
      current: current.to === this.key,
      source: current.from === this.key,
    });
    if (this.scalar && !this.brief) this.showNumbers(reading);
    else if (!this.brief) this.showMaps(reading);
    this.element.setAttribute("aria-label", this.inWords(reading));
    this.element.setAttribute("aria-pressed", String(selected));
  }

  showNumbers({ computed, value, grad, secret, parts, expected, complete }) {
    this.value.textContent = computed && value ? shortNumber(value.data[0]) : "";
    if (!this.grad) return;
    this.nabla.textContent = grad || secret ? "∇" : "";
    this.grad.textContent = secret ? "?" : grad ? shortNumber(grad.data[0]) : "";
    if (!this.terms) return;
    const shown = parts.length ? parts : [grad];
    const room = this.rect.width - 20;
    this.terms.textContent = secret || !grad ? "" : fittingTerms(shown, expected, complete, room);
  }

  showMaps({ computed, value, grad, secret, parts, expected }) {
    this.value.show(computed ? value : null);
    this.grad?.show(grad, secret ? "?" : "");
    if (this.terms && expected > 1) this.terms.textContent = grad ? `Σ ${Math.max(parts.length, 1)}/${expected}` : "";
  }

  inWords({ computed, value, grad, secret, complete }) {
    const { item } = this;
    const made = item.forward ? `result of ${item.forward.op}` : item.value.kind;
    const number = computed && value ? `, ${arrayInWords(value)}` : ", not computed yet";
    const gradient = secret
      ? ", gradient to predict"
      : grad
        ? `, gradient ${complete ? "" : "so far "}${arrayInWords(grad)}`
        : "";
    return `${item.value.name}, ${made}${number}${gradient}`;
  }
}

/** The sum as it fits the card: numbers that a drag has made longer lose digits, then are only counted. */
function fittingTerms(parts, expected, complete, room) {
  const texts = [3, 2, 0].map((digits) => termsText(parts, expected, complete, digits));
  return texts.find((text) => textWidth(text, TERMS_SIZE) <= room) ?? texts.at(-1);
}

/** "0.3 + 0.12 =" once all is there, "0.3 + ?" before; with 0 digits only how many have come. */
function termsText(parts, expected, complete, digits = 3) {
  if (expected > TERMS_SHOWN || !digits) return complete ? `sum of ${expected}` : `${parts.length} of ${expected} so far`;
  const numbers = parts.map((p) => (p?.data ? shortNumber(p.data[0], digits) : "?"));
  const sum = numbers.join(" + ").replaceAll("+ -", "− ");
  return complete ? `${sum} =` : `${sum} + ?`;
}

/** The card of a folded group. */
class GroupCard extends Card {
  constructor(app, node, rect) {
    super(app, node.key, rect, `group ${node.group.kind}`);
    this.group = node.group;
    this.items = itemsIn(node.group);
    this.keys = new Set(this.items.map((item) => item.key));
    this.face = faceOf(app, node.group);
    const { width, height } = rect;
    for (const d of [8, 4]) {
      this.element.prepend(svgNode("rect", { class: "card-under", x: d, y: d, width, height, rx: 9 }));
    }
    this.element.append(
      unfoldSign(10, 10),
      svgNode("text", { class: "card-name", x: 30, y: 21.5 }, this.group.title.slice(0, 30)),
    );
    this.about = this.text("shape", 11, 42);
    const both = hasGradient(this.face);
    const gap = both ? (width - 2 * THUMB) / 3 : (width - THUMB) / 2;
    this.value = this.thumb("value", gap, 48);
    this.grad = both ? this.thumb("gradient", 2 * gap + THUMB, 48) : null;
  }

  aboutText() {
    const { className } = this.group;
    const ops = this.items.filter((item) => item.forward).length;
    const count = `${ops} op${ops === 1 ? "" : "s"}`;
    return className ? `${className} · ${count}` : count;
  }

  update(current) {
    const holds = (key) => key !== null && this.keys.has(key);
    const now = [current.to, current.from].find(holds);
    const face = now === undefined ? this.face : this.app.folding.items.get(now);
    const reading = readItem(this.app, face);
    this.about.textContent = now === undefined ? this.aboutText() : shortName(face.value.name, 24);
    this.mark({
      pending: !reading.computed,
      current: holds(current.to),
      source: holds(current.from),
      selected: this.app.selected !== null && holds(`v${this.app.selected}`),
    });
    this.value.show(reading.computed ? reading.value : null);
    this.grad?.show(reading.grad, reading.secret ? "?" : "");
    this.element.setAttribute("aria-label", `${this.group.title}, folded: ${this.aboutText()}. Enter unfolds it.`);
    this.element.setAttribute("aria-expanded", "false");
  }
}

/** The sign on what can be unfolded. */
function unfoldSign(x, y) {
  return svgNode(
    "g",
    { class: "unfold", transform: `translate(${x},${y})` },
    svgNode("rect", { width: 14, height: 14, rx: 3 }),
    svgNode("path", { d: "M3.5,7h7M7,3.5v7" }),
  );
}
