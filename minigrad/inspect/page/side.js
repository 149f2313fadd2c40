// The side: the rule of the moment on top, and below it one panel at a time.

class Side {
  constructor(app) {
    this.app = app;
    this.rule = new RulePanel(app);
    this.tabs = dom("nav", { class: "tabs", "aria-label": "Panels" });
    this.panes = dom("div", { class: "panes" });
    this.element = dom(
      "aside",
      { class: "side", "aria-label": "Explanation" },
      this.rule.element,
      this.tabs,
      this.panes,
    );
    this.parts = panelsInOrder(app).map((panel) => this.add(panel));
    app.on("any", () => this.update());
    this.choose(this.parts[0]?.panel.id);
  }

  add(panel) {
    const pane = dom(
      "section",
      { class: "pane", id: `pane-${panel.id}`, "aria-label": panel.title, hidden: true },
      panel.make(this.app),
    );
    const tab = dom(
      "button",
      { type: "button", "aria-controls": `pane-${panel.id}`, onclick: () => this.choose(panel.id) },
      panel.title,
    );
    this.tabs.append(tab);
    this.panes.append(pane);
    return { panel, pane, tab };
  }

  choose(id) {
    for (const { panel, pane, tab } of this.parts) {
      pane.hidden = panel.id !== id;
      tab.setAttribute("aria-pressed", String(panel.id === id));
    }
    this.update();
  }

  update() {
    for (const { panel } of this.parts) panel.update(this.app);
  }
}

/** Value and source first, the others as they come, if this graph has something for them to show. */
function panelsInOrder(app) {
  const place = (panel) => ["value", "source"].indexOf(panel.id) + 1 || 9;
  return PANELS.filter((panel) => panel.relevant?.(app) ?? true).sort((a, b) => place(a) - place(b));
}
