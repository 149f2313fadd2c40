"""The stepper's panels in a real browser: live numbers, predictions, time, memory and heat maps tell the truth."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.inspect.page.bundle import bundle
from minigrad.inspect.page.encode import encode

# ---------------------------------------------------------------- what is looked at

W, U = np.array([[0.3, -0.5], [0.4, 0.2]]), np.array([[1.0, -0.6]])
XS = np.sin(np.arange(18.0)).reshape(6, 3, 1)


def neuron(w, x, b):
    h = mg.tanh(w * x + b)
    return (h - 1.0) ** 2 + h * w


def recurrent(W, U):
    h = mg.tensor(np.zeros((3, 2)))
    for t in range(6):
        h = mg.tanh(h @ W + mg.tensor(XS[t]) @ U)
    return (h**2).mean()


def checkpointed(x, w):
    h = x
    for _ in range(2):
        h = mg.checkpoint(lambda h: mg.tanh(mg.tanh(h * w) * w), h)
    return (h**2).sum()


def broadcast(x, b):
    return ((x + b) ** 2 * np.arange(6.0).reshape(3, 2)).sum()


@pytest.fixture
def show(browser_page):
    """Opens a trace at one of its panels; afterwards the page has said nothing and asked for nothing."""

    def open_at(trace, panel, patch="", brought=True, **options):
        numbers = encode(trace, "a test")
        html = bundle(numbers if brought else {**numbers, "exercises": []})
        if patch:
            start = html.rindex("startPage();")
            html = f"{html[:start]}{patch};\n{html[start:]}"
        page = browser_page.open_page(html, **options)
        page.evaluate("id => minigrad.side.choose(id)", panel)
        return page

    yield open_at
    assert browser_page.messages == [] and browser_page.requests == []


def settle(page):
    """Wait until what was asked for once per frame has been done."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def type_value(page, x):
    page.fill(".live-drag input[type=number]", repr(x))
    page.press(".live-drag input[type=number]", "Tab")
    settle(page)


def felt(page, row):
    return float(page.get_attribute(f".felt-{row} td", "data-number"))


def answer(page, text):
    """Type an answer to the question that stands: the name of the mistake, "right" or "unread"."""
    page.fill(".exercise-answer", text)
    page.press(".exercise-answer", "Enter")
    kind = page.get_attribute(".exercise-verdict", "class").split()[-1]
    return page.get_attribute(".exercise-verdict", "data-mistake") if kind == "wrong" else kind


# ---------------------------------------------------------------- live


def test_a_dragged_number_moves_everything_as_the_engine_would_and_the_gradient_foretells_it(show):
    before = mg.trace(neuron, 2.0, 0.3, -0.5)
    page = show(before, "live")
    number = "([id, what]) => minigrad.app[what](id).data[0]"
    for x in (2.6, 2.001):
        type_value(page, x)
        after = mg.trace(neuron, x, 0.3, -0.5)
        for value in after.values:
            assert page.evaluate(number, [value.id, "valueOf"]) == pytest.approx(value.data.item(), rel=1e-12)
            if value.grad is not None:
                now = page.evaluate(number, [value.id, "gradOf"])
                assert now == pytest.approx(value.grad.item(), rel=1e-12, abs=1e-14)
        true = after.output.data.item() - before.output.data.item()
        predicted = before.grads["w"].item() * (x - 2.0)
        assert felt(page, "predicted") == pytest.approx(predicted, rel=1e-9)
        assert felt(page, "true") == pytest.approx(true, rel=1e-9)
        assert felt(page, "difference") == pytest.approx(true - predicted, rel=1e-6)
    assert abs(felt(page, "difference")) < 0.01 * abs(felt(page, "true"))  # the smaller step is nearly straight
    page.click(".live-reset")
    settle(page)
    assert page.evaluate("minigrad.app.live === null && minigrad.app.valueOf(0).data[0] === 2")


@pytest.mark.slow
def test_steps_of_gradient_descent_are_the_engine_s_and_can_be_slid_over(show):
    page = show(mg.trace(recurrent, W, U), "live")
    page.fill(".live-steps input[type=number]", "0.5")
    page.click("text=10 steps")
    settle(page)
    w, u = W.copy(), U.copy()
    for _ in range(10):
        grads = mg.trace(recurrent, w, u).grads
        w, u = w - 0.5 * grads["W"], u - 0.5 * grads["U"]
    np.testing.assert_allclose(page.evaluate("[...minigrad.app.valueOf(0).data]"), w.ravel(), rtol=1e-12)
    page.press(".live-scrub input", "Home")
    settle(page)
    np.testing.assert_allclose(page.evaluate("[...minigrad.app.valueOf(0).data]"), W.ravel(), rtol=0)


@pytest.mark.slow
def test_what_lies_upstream_of_an_op_that_cannot_run_stays_and_the_rest_moves(show):
    def f(a, b):
        return mg.tanh(a) * b

    page = show(mg.trace(f, 0.5, 2.0), "live", patch="delete OPS.tanh")
    assert page.locator(".live-panel select").first.inner_text().split() == ["b", "(input)"]
    assert "tanh" in page.inner_text(".live-panel .quiet-text") and "a." in page.inner_text(".live-panel .quiet-text")
    type_value(page, 3.0)
    assert felt(page, "true") == pytest.approx(np.tanh(0.5), rel=1e-12)


# ---------------------------------------------------------------- predict, then reveal


@pytest.mark.parametrize("brought", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_wrong_answers_are_named(show, brought):
    """By the mistakes that the trace brings along, and without them by the page's own."""
    trace = mg.trace(neuron, 2.0, 0.3, -0.5)
    page = show(trace, "exercise", brought=brought)
    page.select_option(".exercise-panel select", "meet")
    page.click(".exercise-start")
    h = next(v for v in trace.values if v.name == "h")  # used twice
    true = h.grad.item()
    assert "∂loss/∂h" in page.inner_text(".exercise-question")
    assert page.evaluate("id => minigrad.app.isSecretValue(id)", h.id)
    first, last = (e.sent.item() for e in h.contributions)
    assert answer(page, repr(-true)) == "sign"
    assert answer(page, repr(2 * true)).startswith("stale")
    for share in (first, last):  # of two contributions the one is what = leaves, the other what it overwrites
        assert answer(page, repr(share)).startswith(("path left out", "assigned", "one path"))
    assert answer(page, "7.77") == ""
    assert answer(page, "7 +") == "unread"
    assert answer(page, f"{true:.4g}") == "right"
    assert not page.evaluate("id => minigrad.app.isSecretValue(id)", h.id)


@pytest.mark.slow
def test_answers_may_be_lists_and_expressions_and_shapes_are_checked(show):
    trace = mg.trace(broadcast, np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0]))
    page = show(trace, "exercise")
    page.select_option(".exercise-panel select", "value")
    page.click(".exercise-start")
    while "∂loss/∂b" not in page.inner_text(".exercise-question"):
        page.click("text=Show me")
        page.click("text=Next question")
    assert answer(page, "g") == "not summed over a broadcast axis"
    assert answer(page, "[1, 2, 3]") == "shape"
    assert answer(page, "g.sum(axis=0) / 3").startswith(("not summed", "averaged", "lost 1/n"))
    assert answer(page, str(trace.grads["b"].tolist())) == "right"


@pytest.mark.slow
def test_the_page_knows_the_mistakes_at_one_edge(show):
    trace = mg.trace(neuron, 2.0, 0.3, -0.5)
    page = show(trace, "exercise", brought=False)
    page.click(".exercise-start")
    wrong = {
        "tanh": {"-g * (1 - y**2)": "sign", "g": "missing local factor", "1 - y**2": "missing incoming gradient"}
        | {"g * (1 - x**2)": "local derivative taken wrongly", "g / (1 - y**2)": "divided by the local factor"},
        "mul": {"g * x": "multiplied with the wrong factor", "2 * g * w": "stale after a second backward"},
    }
    right = {"tanh": "g * (1 - y**2)", "mul": "g * w"}
    asked = "(({value, backward}) => [minigrad.app.index.maker.get(backward.value).op, minigrad.app.value(value).name])"
    while right:
        op, name = page.evaluate(f"{asked}(PANELS.find((p) => p.id === 'exercise').panel.question)")
        if op == "tanh" or (op, name) == ("mul", "x"):
            for text, mistake in wrong[op].items():
                assert answer(page, text) == mistake, text
            assert answer(page, right.pop(op)) == "right"
        else:
            page.click("text=Show me")
        if right:
            page.click("text=Next question")


@pytest.mark.slow
def test_of_a_large_array_one_element_is_asked_for_and_float32_may_round(show):
    mg.manual_seed(0)
    net = mg.nn.Sequential(mg.nn.Linear(6, 20), mg.nn.Tanh(), mg.nn.Linear(20, 1))
    page = show(mg.trace(lambda x: net(x).sum(), np.linspace(-1, 1, 12, dtype="float32").reshape(2, 6)), "exercise")
    page.click(".exercise-start")
    while "send to 2.weight" not in page.inner_text(".exercise-question"):
        page.click("text=Show me")
        page.click("text=Next question")
    assert "2.weight[0, " in page.inner_text(".exercise-question")
    assert answer(page, "-g.T @ x") == "sign"
    assert answer(page, "g.T @ x") == "right"


EXPRESSIONS = {
    "-2**2 + 3*(1 - .5)": -2.5,
    "[[1, 2], [3, 4]] @ [1, -1]": [-1, -1],
    "np.array([[1., 2.], [3., 4.]], dtype=np.float64).T[0] * h@3": [2, 6],
    "exp(0) + tanh(a.b) + max(1, 2)": 3,
    "[[1, 2], [3, 4]].sum(axis=0) − [[1, 2], [3, 4]].mean()": [1.5, 3.5],
}
REFUSED = ["", "1 +", "alert(1)", "constructor", "a.b.constructor", "[1, 2] + [1, 2, 3]", "(1", "1 2", "2^3", "[]"]


@pytest.mark.slow
def test_expressions_are_worked_out_without_eval(show):
    page = show(mg.trace(neuron, 2.0, 0.3, -0.5), "exercise")
    read = """text => {
      const number = (x) => ({shape: [], data: Float64Array.of(x)});
      try { return [...readAnswer(text, new Map([["h@3", number(2)], ["a.b", number(0)]])).data]; }
      catch (problem) { return problem.message; }
    }"""
    for text, value in EXPRESSIONS.items():
        np.testing.assert_allclose(page.evaluate(read, text), np.ravel(value), rtol=1e-15, err_msg=text)
    for text in REFUSED:
        assert isinstance(page.evaluate(read, text), str), text


# ---------------------------------------------------------------- time


@pytest.mark.slow
def test_contributions_over_time_sum_to_the_gradient_and_the_cut_leaves_the_early_ones_out(show):
    trace = mg.trace(recurrent, W, U)
    page = show(trace, "time")
    shares = [e.sent for e in trace["W"].contributions][::-1]  # oldest first
    for flat in range(4):
        bars = page.evaluate("flat => contributionBars(timeScopes(minigrad.app)[0], 0, flat).bars", flat)
        np.testing.assert_allclose(bars, [s.flat[flat] for s in shares], rtol=1e-14)
        assert sum(bars) == pytest.approx(trace.grads["W"].flat[flat], rel=1e-12)
    along = page.evaluate("contributionBars(timeScopes(minigrad.app)[0], 0, 'along').bars")
    assert sum(along) == pytest.approx(np.linalg.norm(trace.grads["W"]), rel=1e-12)
    for _ in range(4):
        page.press(".cut", "ArrowRight")
    kept = sum(shares[4:])
    told = page.evaluate("afterTheCut(contributionBars(timeScopes(minigrad.app)[0], 0, 'along'), 4)")
    assert told["kept"] == pytest.approx((kept * trace.grads["W"]).sum() / np.linalg.norm(trace.grads["W"]))
    assert page.get_attribute(".cut", "aria-valuenow") == "4"
    assert f"{100 * told['kept'] / told['total']:.3g} %" in page.inner_text(".bars-told")


@pytest.mark.slow
def test_the_grid_says_vanishing_or_exploding_by_the_true_norms(show):
    def chain(h, w):
        for _ in range(12):
            h = h * w
        return h

    for w, told in ((0.5, "vanishing"), (1.0, "steady"), (1.9, "exploding")):
        page = show(mg.trace(chain, 1.0, w), "time")
        assert page.inner_text(".verdict") == told
        assert f"×{w:g} a step" in page.inner_text(".time-verdicts")
    page.locator(".time-cell").nth(3).click()
    at = page.evaluate("minigrad.app.value(minigrad.app.selected).time")
    assert page.evaluate("minigrad.app.isComplete(minigrad.app.selected)")
    assert page.evaluate("minigrad.app.moment.phase") == "backward" and at == 3


def sequence_model(layer, dtype, **options):
    """The model, its input, and the loss of what comes out at every time step."""
    mg.manual_seed(0)
    model = layer(2, 3, **options).to(dtype=getattr(mg, dtype))
    x = np.sin(np.arange(20.0)).reshape(5, 2, 2).astype(dtype)
    return mg.trace(lambda x: (model(x)[0] ** 2).sum(), x)


def scope_of(page, output):
    """In the page: the scope that lies inside the op with this output."""
    return f"timeScopes(minigrad.app).find((scope) => scope.step?.output === {output.id})"


CASES = [
    (mg.nn.RNN, "float64", {}),
    pytest.param(mg.nn.LSTM, "float32", {"num_layers": 2, "bidirectional": True}, marks=pytest.mark.slow),
    pytest.param(mg.nn.LSTM, "float64", {"proj_size": 2}, marks=pytest.mark.slow),
    pytest.param(mg.nn.GRU, "float32", {}, marks=pytest.mark.slow),
]


@pytest.mark.slow
@pytest.mark.parametrize("layer, dtype, options", CASES)
def test_inside_a_fused_walk_norms_and_contributions_are_the_true_ones(show, layer, dtype, options):
    trace = sequence_model(layer, dtype, **options)
    page = show(trace, "time")
    for k in range(page.locator(".time-scope option").count()):  # two layers, each both ways: every second one back
        page.select_option(".time-scope", str(k))
        assert ("from the last step" in page.inner_text(".time-panel")) == (k % 2 == 1)
        assert page.locator(".row-name").all_text_contents()[:2] == ["h", "c"]
    exact = {"float32": 1e-6, "float64": 1e-12}[dtype]
    fused = [f.output for f in trace.forward if f.op.endswith("_sequence")]
    labels = page.evaluate("timeScopes(minigrad.app).filter((s) => s.step).map((s) => s.label)")
    assert labels == [f"inside {v.name}" for v in fused]
    for value in fused:
        inside, scope = trace.opened(value), scope_of(page, value)
        rows = page.evaluate(f"timeRows({scope}).map((row) => normsOfRow({scope}, row, 'gradient'))")
        assert {row["name"] for row in rows} == set(inside.sequences)
        for row in rows:
            for v in inside.sequences[row["name"]]:
                true = None if v.grad is None else np.linalg.norm(v.grad.astype(np.float64))
                assert row["norms"][v.time] == (true if true is None else pytest.approx(true, rel=1e-12))
        sent = {e.position: e.sent for b in trace.backward if b.value is value for e in b.edges}
        shared = page.evaluate(f"sharedValues({scope}).map(({{id}}) => id)")
        weights = [k for k, v in enumerate(value.made_by.inputs) if v and v.kind == "parameter"]
        assert {inside.inputs[k].id for k in weights} <= set(shared)
        for k in weights:
            whole, parts, off = page.evaluate(
                f"""id => (({{whole, parts}}) => [[...whole.data], parts.length,
                        differenceFromOutside({scope}, id, whole)])(contributionBars({scope}, id, "along"))""",
                inside.inputs[k].id,
            )
            assert parts == 5
            np.testing.assert_allclose(whole, sent[k].ravel(), rtol=0, atol=exact * abs(sent[k]).max())
            assert 0 <= off < exact


@pytest.mark.slow
def test_a_cell_inside_opens_its_op_and_dragged_numbers_reach_it(show):
    trace = sequence_model(mg.nn.GRU, "float64")
    page = show(trace, "time")
    value = next(f.output for f in trace.forward if f.op == "gru_sequence")
    scope = scope_of(page, value)
    at = page.evaluate("minigrad.app.at")
    page.locator(".time-cell:not(.unknown)").first.click()
    assert page.evaluate("[minigrad.app.selected, minigrad.app.at]") == [value.id, at]
    assert page.locator(".time-cell.now").count() == 1
    assert not page.evaluate(f"minigrad.app.folding.items.get('v{value.id}').inside.folded")
    page.press(".cut", "ArrowRight")
    assert "inside" in page.inner_text(".time-panel") and "gru_sequence itself sends" in page.inner_text(".bars-told")
    weight = next(v for v in trace.values if v.name.endswith("weight_hh_l0"))
    page.evaluate("id => minigrad.app.setHidden(new Set([`v${id}`]))", weight.id)  # an exercise asks for it
    assert page.locator(".time-cell").count() == 0 and "Hidden" in page.inner_text(".bars-told")
    page.evaluate("minigrad.app.setHidden(new Set())")
    changed = weight.data.copy()
    changed[0, 0] += 0.5
    page.evaluate(
        """([id, x]) => { const {app} = minigrad;
          app.setLive(rerun(app, withOverride(app, new Map(), id, 0, x))); }""",
        [weight.id, changed[0, 0]],
    )
    model = mg.nn.GRU(2, 3).to(dtype=mg.float64)
    for name, p in model.named_parameters():
        p.data = mg.tensor(changed if name == "weight_hh_l0" else trace[f"model.{name}"].data)
    x = trace["x"].data
    after = mg.trace(lambda x: (model(x)[0] ** 2).sum(), x).opened("gru_sequence")
    rows = page.evaluate(f"timeRows({scope}).map((row) => normsOfRow({scope}, row, 'gradient'))")
    for row in rows:
        for v in after.sequences[row["name"]]:
            if v.grad is not None:
                assert row["norms"][v.time] == pytest.approx(np.linalg.norm(v.grad), rel=1e-9)


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("replays", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_lane_holds_the_trace_s_bytes(show, replays):
    x, w = np.linspace(-1, 1, 6), np.linspace(0.5, 2, 6)
    trace = mg.trace(checkpointed, x, w) if replays else mg.trace(recurrent, W, U)
    page = show(trace, "memory")
    events = page.evaluate("memoryEvents(minigrad.app).map(({kind, live}) => [kind, live])")
    assert [live for _, live in events] == [row.live for row in trace.memory.rows]
    assert ("replay" in [kind for kind, _ in events]) == replays
    assert max(live for _, live in events) == trace.memory.peak
    assert (page.locator(".memory-area.replay").count() > 0) == replays
    page.press(".memory-picture", "Home")
    assert int(page.get_attribute(".memory-now", "data-bytes")) == trace.memory.rows[0].live
    page.press(".memory-picture", "End")
    assert int(page.get_attribute(".memory-now", "data-bytes")) == trace.memory.rows[-1].live == 0
    assert page.locator(".memory-table .held").count() == 0


# ---------------------------------------------------------------- heat maps


@pytest.mark.slow
def test_heat_maps_are_read_by_keys_and_copied_as_numpy(show):
    page = show(mg.trace(recurrent, W, U), "value")
    arrays = {
        "f4": np.float32([[0.1, -2.5e-8], [3.0, np.nan]]),
        "large": np.random.default_rng(0).normal(size=(2, 3, 11, 13)),
        "flags": np.array([[True, False]]),
    }
    put = """([shape, data, dtype]) => {
      const array = {shape, dtype, data: Float64Array.from(data.map((x) => (x === null ? NaN : x)))};
      document.querySelector(".panes").replaceChildren(showArray(array, {name: "x"}));
      return numpyText(array, "x");
    }"""
    for x in arrays.values():
        data = [None if np.isnan(v) else float(v) for v in x.ravel()]
        text = page.evaluate(put, [list(x.shape), data, str(x.dtype)])
        names = {"np": np}
        exec(text.replace("np.bool", "bool"), names)
        np.testing.assert_array_equal(names["x"], x, strict=True)
        maps = page.locator(".panes .array-maps")
        maps.press("End")
        maps.press("ArrowUp")
        place = (*(n - 1 for n in x.shape[:-2]), max(0, x.shape[-2] - 2), x.shape[-1] - 1)
        if x.shape[-2] > 1:
            told = page.inner_text(".panes output")
            assert told.startswith(f"[{', '.join(map(str, place))}] = ")
            assert x.dtype.type(told.split("= ")[1]) == x[place]
        assert str(x.shape) in page.get_attribute(".panes figure", "aria-label")


@pytest.mark.slow
@pytest.mark.parametrize("width, dark", [(1280, False), (400, True)])
def test_no_panel_overflows_sideways_or_complains(show, width, dark):
    for trace in (mg.trace(recurrent, W, U), mg.trace(checkpointed, np.linspace(-1, 1, 6), np.ones(6))):
        page = show(trace, "value", width=width, dark=dark)
        for panel in ("value", "source", "exercise", "live", "memory", "time"):
            page.evaluate("id => minigrad.side.choose(id)", panel)
            for at in (0, len(trace.forward), 10_000):
                page.evaluate("at => minigrad.app.go(at)", at)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), panel
            side = "(([side]) => side.scrollWidth <= side.clientWidth + 1)([...document.querySelectorAll('.side')])"
            assert page.evaluate(side), panel
