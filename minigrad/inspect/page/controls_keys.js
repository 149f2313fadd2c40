// The keys. They work while the page has the focus and the reader is not typing.

const KEYS_TOLD = [
  ["← →", "one moment back, one on"],
  ["Home End", "first, last moment"],
  ["Space", "play, pause"],
  ["Tab", "from card to card; Enter selects one or unfolds it"],
  ["f", "fold or unfold what is focused"],
  ["j", "jump to the moment that makes a value, again: to its backward"],
  ["/", "find a value by name"],
  ["+ − 0", "zoom in, zoom out, fit"],
  ["Esc", "select nothing"],
];

/** @param parts  {app, view, controls, search, help} */
function listenToKeys(parts) {
  const actions = keyActions(parts);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (isTyping(target) || usesKey(target, event.key)) return;
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function keyActions({ app, view, controls, search, help }) {
  return {
    ArrowRight: () => controls.move(1),
    ArrowLeft: () => controls.move(-1),
    Home: () => controls.go(0),
    End: () => controls.go(app.moments.length - 1),
    " ": () => controls.toggle(),
    f: () => view.toggleHere(),
    j: () => view.jump(),
    "/": () => search.open(),
    "?": () => help.toggle(),
    "+": () => view.camera.zoom(1.25),
    "=": () => view.camera.zoom(1.25),
    "-": () => view.camera.zoom(0.8),
    0: () => view.camera.fit(),
    Escape: () => {
      view.tip.hide();
      app.select(null);
    },
  };
}

function isTyping(target) {
  return (
    target.isContentEditable ||
    /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
    (target.tagName === "INPUT" && !/^(button|checkbox|radio|range)$/.test(target.type))
  );
}

/** Keys that mean something to the element itself: arrows on sliders and maps, Space on buttons. */
function usesKey(target, key) {
  if (key === " ") return /^(BUTTON|SUMMARY|INPUT)$/.test(target.tagName);
  const moves = /^(Arrow|Home|End|Page)/.test(key);
  return (
    moves &&
    Boolean(target.closest("input[type=range], input[type=radio], [role=application], [role=slider], [data-keys]"))
  );
}
