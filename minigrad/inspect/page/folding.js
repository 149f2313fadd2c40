// Folding: the values of a graph in a tree of groups, so that a graph of any size is a few dozen boxes.
// Modules make the groups; where there are none, time steps, source lines or runs of steps do.

const MOST_VISIBLE = 60; // a graph larger than this starts folded
const MOST_CHILDREN = 40; // a group with more is split into groups
const MOST_UNFOLDED = 300; // a layout of more takes seconds and nobody reads it

/**
 * @typedef {{key: string, scope: Scope, value: object, forward: object|null, rank: number, parent: Group,
 *            inside: Group|null}} Item  one value; inside: the group of a fused op that can be opened
 * @typedef {{key: string, kind: string, title: string, children: (Group|Item)[], folded: boolean, parent: Group}} Group
 *   kind: "root", "module", "time", "line", "steps" or "op"
 * @typedef {{prefix: string, graph: object, index: object, opened: Item|null}} Scope  a graph, or what lies inside
 *   a fused op; opened: the item of that op
 */

/** The tree of a page's graph; `items` finds an item by its key. */
class Folding {
  constructor(app) {
    this.app = app;
    app.folding = this;
    this.items = new Map();
    this.groups = new Map();
    this.scope = { prefix: "v", graph: app.graph, index: app.index, opened: null };
    this.root = this.addGroup("root", "root", app.page.title, null);
    this.root.folded = false;
    this.fill(this.scope, this.callsOfModules());
    this.split(this.root);
    this.foldAtFirst();
  }

  // ---- building

  addGroup(key, kind, title, parent) {
    const group = { key, kind, title, parent, children: [], folded: true };
    this.groups.set(key, group);
    if (parent) parent.children.push(group);
    return group;
  }

  /** An item per value of a scope, in the order of the forward pass; leaves stand before their first user. */
  fill(scope, groupOf) {
    const order = new Map(scope.graph.forward.map((f, i) => [f.output, i]));
    const rankOf = ({ id }) =>
      order.get(id) ?? Math.min(...(scope.index.users.get(id) ?? []).map((f) => order.get(f.output))) - 0.5;
    const ranked = scope.graph.values.map((value) => [rankOf(value), value]).sort(([a], [b]) => a - b);
    for (const [rank, value] of ranked) {
      if (rank === Infinity && value.kind === "constant") continue; // nobody used it
      const parent = groupOf(value, rank);
      if (parent) this.addItem(scope, value, rank, parent);
    }
  }

  addItem(scope, value, rank, parent) {
    const forward = scope.index.maker.get(value.id) ?? null;
    const item = { key: `${scope.prefix}${value.id}`, scope, value, forward, rank, parent, inside: null };
    if (forward?.inside) {
      item.inside = {
        key: `in:${item.key}`,
        kind: "op",
        title: forward.op,
        parent,
        children: null,
        folded: true,
        item,
      };
      this.groups.set(item.inside.key, item.inside);
    }
    this.items.set(item.key, item);
    parent.children.push(item);
  }

  /**
   * The module that a value lies in; of a parameter such as fc1.weight the one that its name begins with, of a
   * constant that of the op it is for.
   */
  moduleOf(value) {
    const user = value.kind === "constant" && !value.module ? this.app.index.users.get(value.id)?.[0] : null;
    if (user) return this.app.value(user.output).module;
    if (value.module || value.kind !== "parameter") return value.module;
    const owner = value.name.slice(0, Math.max(0, value.name.lastIndexOf(".")));
    return Object.hasOwn(this.app.page.modules ?? {}, owner) ? owner : "";
  }

  /**
   * The group of each value, given in the order of the forward pass. A module without parameters that is called
   * again and again (an activation) gets a group for each call; one with parameters stays one, at all times.
   */
  callsOfModules() {
    const owners = this.app.graph.values.filter((v) => v.kind === "parameter").map((v) => this.moduleOf(v));
    const calls = new Map();
    return (value, rank) => {
      const path = this.moduleOf(value);
      if (!path || owners.some((owner) => owner === path || owner.startsWith(`${path}.`)))
        return this.moduleGroup(path);
      const last = calls.get(path) ?? { count: 0, rank: -2 };
      const count = last.count + (rank - last.rank > 1 ? 1 : 0);
      calls.set(path, { count, rank });
      return this.moduleGroup(path, count > 1 ? `#${count}` : "");
    };
  }

  /** The group of a dotted module path, made with its parents when first asked for. */
  moduleGroup(path, call = "") {
    if (!path) return this.root;
    const known = this.groups.get(`m:${path}${call}`);
    if (known) return known;
    const dot = path.lastIndexOf(".");
    const parent = this.moduleGroup(dot < 0 ? "" : path.slice(0, dot));
    const group = this.addGroup(`m:${path}${call}`, "module", path.slice(dot + 1), parent);
    return Object.assign(group, { path, className: this.app.page.modules?.[path] ?? "" });
  }

  // ---- splitting: time steps always, the rest where a group is too long

  split(group) {
    this.gather(group, this.runsByTime(group), "time");
    if (group.children.length > MOST_CHILDREN) this.gather(group, this.runsByLine(group), "line");
    if (group.children.length > MOST_CHILDREN) this.gather(group, this.runsOfSteps(group), "steps");
    for (const child of group.children) if (child.children) this.split(child);
  }

  /** Put runs of children into groups of their own; a run of one stays as it is. */
  gather(group, runs, kind) {
    if (!runs) return;
    group.children = [];
    for (const run of runs) {
      if (run.length === 1) {
        group.children.push(run[0]);
        continue;
      }
      const part = this.addGroup(
        `${group.key}/${kind}${group.children.length}`,
        kind,
        titleOfRun(run, kind, this.app),
        group,
      );
      part.children = run;
      for (const child of run) child.parent = part;
    }
  }

  runsByTime(group) {
    const timeOfChild = (child) => (child.value ? this.timeOfItem(child) : null);
    const steps = new Set(group.children.filter((child) => child.forward).map(timeOfChild));
    steps.delete(null);
    const isShared = (child) => child.value && !child.forward && !steps.has(timeOfChild(child)); // a weight, or h@0
    const shared = group.children.filter(isShared);
    const runs = [
      ...shared.map((child) => [child]),
      ...runsOf(
        group.children.filter((c) => !isShared(c)),
        timeOfChild,
      ),
    ];
    const long = runs.filter((run) => run.length > 1);
    return long.length > 1 && runs.length < group.children.length / 1.5 ? runs : null;
  }

  /** The time step of an item; an input or a constant for a single op belongs to that op's. */
  timeOfItem({ value, forward }) {
    const users = this.app.index.users.get(value.id) ?? [];
    const own = timeOf(this.app.graph, value.id);
    return own === null && !forward && users.length === 1 ? timeOf(this.app.graph, users[0].output) : own;
  }

  runsByLine(group) {
    const lineOf = (child) => (child.forward ? `${child.forward.file}:${child.forward.line}` : null);
    const runs = runsOf(group.children, lineOf, true);
    const longest = Math.max(...runs.map((run) => run.length)); // one long run would hide everything in one box
    const helps = runs.length < group.children.length / 2 && longest < group.children.length / 2;
    return helps ? runs : null;
  }

  runsOfSteps(group) {
    const size = Math.max(8, Math.ceil(group.children.length / 32));
    const count = Math.ceil(group.children.length / size);
    return Array.from({ length: count }, (_, i) => group.children.slice(i * size, (i + 1) * size));
  }

  // ---- folding

  /** Outermost modules first, as many as fit; small graphs are shown whole. */
  foldAtFirst() {
    let visible = this.root.children.length;
    const waiting = this.root.children.filter((child) => child.children);
    const whole = this.items.size <= MOST_VISIBLE;
    while (waiting.length) {
      const group = waiting.shift();
      const more = visible + group.children.length - 1;
      if (!whole && (group.kind !== "module" || more > MOST_VISIBLE)) continue;
      group.folded = false;
      visible = more;
      waiting.push(...group.children.filter((child) => child.children));
    }
  }

  /** Fold or unfold one group; a fused op is looked into for the first time here. */
  toggle(key) {
    const group = this.groups.get(key);
    if (!group || group.kind === "root") return;
    if (group.kind === "op" && !group.children) this.open(group);
    group.folded = !group.folded;
    this.app.emit("fold");
  }

  /** Make the items inside a fused op; its inputs and its result are the ones outside. */
  open(group) {
    const { item } = group;
    const graph = item.forward.inside;
    const scope = { prefix: `${item.key}/`, graph, index: indexGraph(graph, momentsOf(graph)), opened: item };
    group.children = [];
    const outside = new Set([...graph.inputs, graph.output]);
    this.fill(scope, (value) => (outside.has(value.id) ? null : group));
    for (const child of group.children) child.parent = group;
    group.scope = scope;
  }

  /** Unfold all, outermost first, until the picture would hold too much. @returns true if all is unfolded now */
  unfoldAll() {
    let [visible, waiting, all] = [this.root.children.length, [...this.root.children], true];
    while (waiting.length) {
      const group = waiting.shift();
      if (!group.children || group.kind === "op") continue;
      if (group.folded && visible + group.children.length > MOST_UNFOLDED) {
        all = false;
        continue;
      }
      group.folded = false;
      visible += group.children.length;
      waiting.push(...group.children);
    }
    this.app.emit("fold");
    return all;
  }

  foldAll() {
    for (const group of this.groups.values()) group.folded = group.kind !== "root";
    this.app.emit("fold");
  }

  /** Unfold whatever an item lies in, so that it can be seen. */
  reveal(item) {
    let changed = false;
    for (let group = item.parent; group; group = group.parent) {
      changed ||= group.folded && group.kind !== "root";
      group.folded = false;
    }
    if (changed) this.app.emit("fold");
  }
}

/** Neighbours with the same label, as lists; with `carry` those without a label go with the next that has one. */
function runsOf(children, labelOf, carry = false) {
  const runs = [];
  let last = {};
  for (const child of children) {
    let label = labelOf(child);
    if (label === null && carry) label = last;
    if (label === null || label !== last || !runs.length) runs.push([]);
    runs[runs.length - 1].push(child);
    last = label;
  }
  return runs;
}

/** "t = 3", "t = 0 … 7", a line of source, or the steps it holds. */
function titleOfRun(run, kind, app) {
  const items = run.flatMap(itemsIn);
  const times = items.map((item) => timeOf(app.graph, item.value.id)).filter((t) => t !== null);
  if (times.length && (kind === "time" || run[0].kind === "time")) {
    const [low, high] = [Math.min(...times), Math.max(...times)];
    return low === high ? `t = ${low}` : `t = ${low} … ${high}`;
  }
  const made = items.filter((item) => item.forward);
  if (kind === "line" && made.length) return made[0].forward.code || `line ${made[0].forward.line}`;
  const [first, last] = [made[0], made[made.length - 1]];
  return first ? `steps ${first.forward.id + 1} … ${last.forward.id + 1}` : `${items.length} values`;
}

/** All items under a group or item, folded or not; what lies inside a fused op not among them. */
function itemsIn(child) {
  return child.children && child.kind !== "op" ? child.children.flatMap(itemsIn) : [child];
}
