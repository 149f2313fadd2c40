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
  addEventListener("beforeprint", () => view.camera.fit({ still: true }));
  view.draw();
  view.camera.begin();
  app.go(0);
  window.minigrad = { app, folding, view, controls, search, side };
}

function zoomButtons(view) {
  const button = (text, label, act) => dom("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
  return dom("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
    button("+", "Zoom in (+)", () => view.camera.zoom(1.25)), button("−", "Zoom out (−)", () => view.camera.zoom(0.8)),
    button("⤢", "Fit (0)", () => view.camera.fit()));
}

startPage();
