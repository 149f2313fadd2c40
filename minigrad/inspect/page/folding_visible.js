// The picture that a folding shows: nodes, the boxes around them, and edges with folded ends merged.

const MOST_TIED = 4; // users of a leaf that stand close to it

/**
 * @typedef {{key: string, item: Item|null, group: Group|null, box: string|null}} ShownNode  box: the key it lies in
 * @typedef {{key: string, from: string, to: string, parts: EdgePart[], loose?: boolean}} ShownEdge
 * @typedef {{scope: Scope, forward: object, position: number, input: number, source: string, target: string,
 *            replay?: boolean}} EdgePart  input: the value's id in the scope
 * @returns {{nodes: ShownNode[], boxes: {key, group, box}[], edges: ShownEdge[], shownAs: Map<string, string>}}
 *   shownAs: item key -> key of the node that stands for it
 */
function visibleGraph(folding) {
  const picture = { nodes: [], boxes: [], edges: [], shownAs: new Map() };
  for (const child of folding.root.children) showChild(picture, child, null);
  const merged = new Map();
  for (const part of edgeParts(folding.scope, folding)) {
    const [from, to] = [picture.shownAs.get(part.source), picture.shownAs.get(part.target)];
    if (from === undefined || to === undefined || from === to) continue;
    const alone = from === part.source && to === part.target;
    const key = alone ? `${from}>${to}#${part.forward.id}:${part.position}:${part.input}` : `${from}>${to}`;
    if (!merged.has(key)) merged.set(key, { key, from, to, parts: [] });
    merged.get(key).parts.push(part);
  }
  picture.edges = [...merged.values()];
  loosen(picture);
  return picture;
}

/**
 * A leaf that is used all over, as a weight at every time step, would be tied to all of its users by long lines.
 * All but the first are drawn as faint lines that the layout knows nothing of.
 */
function loosen(picture) {
  const leaves = new Set(picture.nodes.filter(({ item }) => item && !item.forward).map(({ key }) => key));
  const users = new Map();
  for (const edge of picture.edges) if (leaves.has(edge.from)) pushTo(users, edge.from, edge);
  for (const edges of users.values()) {
    if (new Set(edges.map((edge) => edge.to)).size <= MOST_TIED) continue;
    for (const edge of edges.slice(1)) edge.loose = true;
  }
}

function showChild(picture, child, box) {
  if (!child.children) return void showItem(picture, child, box);
  if (child.folded) {
    picture.nodes.push({ key: child.key, item: null, group: child, box });
    for (const item of itemsIn(child)) picture.shownAs.set(item.key, child.key);
    return;
  }
  picture.boxes.push({ key: child.key, group: child, box });
  for (const grandchild of child.children) showChild(picture, grandchild, child.key);
}

/** A value; an opened fused op stands in a box with what lies inside it. */
function showItem(picture, item, box) {
  const { inside } = item;
  const opened = inside && !inside.folded;
  if (opened) {
    picture.boxes.push({ key: inside.key, group: inside, box });
    for (const child of inside.children) showChild(picture, child, inside.key);
  }
  picture.nodes.push({ key: item.key, item, group: null, box: opened ? inside.key : box });
  picture.shownAs.set(item.key, item.key);
}

/**
 * Every use of a value by an op; an opened fused op is replaced by the ops inside it. A checkpoint's gradient goes
 * to the result of what was run again behind it, which is an edge too.
 */
function* edgeParts(scope, folding) {
  for (const forward of scope.graph.forward) {
    const item = folding.items.get(keyInScope(scope, forward.output));
    const isEnd = scope.opened && forward.output === scope.graph.output;
    const inside = isEnd ? null : item?.inside;
    if (inside && !inside.folded) {
      yield* edgeParts(inside.scope, folding);
      continue;
    }
    for (const [position, id] of forward.inputs.entries())
      if (id !== null) yield edgePart(scope, forward, position, id);
  }
  for (const step of scope.graph.backward) {
    const forward = scope.index.forward.get(step.forward);
    for (const { input, position } of step.edges) {
      if (forward && forward.inputs[position] !== input)
        yield { ...edgePart(scope, forward, position, input), replay: true };
    }
  }
}

function edgePart(scope, forward, position, input) {
  return {
    scope,
    forward,
    position,
    input,
    source: keyInScope(scope, input),
    target: keyInScope(scope, forward.output),
  };
}

/** The backward step and edge that carry gradient along a part, {backward, edge, moment}, or null. */
function carrierOf({ scope, forward, position, input }) {
  const found = scope.index.edgeOf.get(`${forward.id}:${position}`);
  return found && found.backward.edges[found.edge].input === input ? found : null;
}

/** The key of a value's item; inside a fused op its inputs and its result are the items outside. */
function keyInScope(scope, id) {
  const { opened, graph } = scope;
  if (!opened) return `${scope.prefix}${id}`;
  if (id === graph.output) return opened.key;
  const position = graph.inputs.indexOf(id);
  if (position >= 0) return keyInScope(opened.scope, opened.forward.inputs[position]);
  return `${scope.prefix}${id}`;
}
