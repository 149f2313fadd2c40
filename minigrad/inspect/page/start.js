// Start: read the page's numbers, build the parts, show the first moment. `window.minigrad` is for tests and the curious.

function startPage() {
  const app = new App(JSON.parse(document.getElementById("page").textContent));
  const folding = new Folding(app);
  const view = new GraphView(app, folding);
  const controls = new Controls(app);
  const help = new Help();
  const search = new Search(app, view);
  const side = new Side(app);
  const top = new Top(app, folding, search, help);
  const zoom = zoomButtons(view);
  view.element.append(zoom);
  document.getElementById("app").append(top.element, view.element, controls.element, side.element, help.dialog);
  listenToKeys({ app, view, controls, search, help });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.emit("theme"));
  listenToPrinting(app, view);
  view.draw();
  view.camera.begin();
  app.go(0);
  window.minigrad = { app, folding, view, controls, search, side };
}

/** Paper is light, and holds the whole graph. */
function listenToPrinting(app, view) {
  const root = document.documentElement;
  const turn = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    app.emit("theme");
  };
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    turn("light");
    view.camera.fit({ still: true });
  });
  addEventListener("afterprint", () => turn(before));
}

function zoomButtons(view) {
  const button = (text, label, act) =>
    dom("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
  return dom(
    "div",
    { class: "zoom", role: "group", "aria-label": "Zoom" },
    button("+", "Zoom in (+)", () => view.camera.zoom(1.25)),
    button("−", "Zoom out (−)", () => view.camera.zoom(0.8)),
    button("⤢", "Fit (0)", () => view.camera.fit()),
  );
}

startPage();
