"""The stepper page, driven in a real browser: its numbers are the engine's, its keys and folds do what they say."""

import json
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.inspect.page.bundle import FOLDER, bundle
from minigrad.inspect.page.encode import encode

# ---------------------------------------------------------------- what is stepped through


def two_layers():
    """A network with two layers, every value a number but the features."""

    def network(phi, y, v1, v2, w1, w2):
        h1 = mg.sigmoid((v1 * phi).sum())
        h2 = mg.sigmoid((v2 * phi).sum())
        score = w1 * h1 + w2 * h2
        residual = score - y
        return residual * residual

    return mg.trace(network, [1.5, -0.7, 0.6], 1.8, [1.1, -1.0, -0.5], [2.0, 1.0, 1.2], 2.0, 0.6)


def meeting_paths():
    """Paths that meet: a is used four times."""

    def f(a):
        b = a + a
        c = b * a
        d = c + b
        return d * a

    return mg.trace(f, 1.5)


def small_net():
    mg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 1))
    x = mg.tensor(np.linspace(-1, 1, 6).reshape(2, 3).astype("float32"))
    return mg.trace(lambda x: (net(x) ** 2).mean(), x)


def long_chain(n):
    def f(h, w):
        for _ in range(n):
            h = mg.tanh(h * w)
        return h

    return mg.trace(f, 0.5, 0.999)


def html_of(trace, title="a test"):
    return bundle(encode(trace, title))


def opened(browser_page, trace, **options):
    return browser_page.open_page(html_of(trace), **options)


def quiet(browser_page):
    """The page said nothing on the console and asked the network for nothing."""
    return browser_page.messages == [] and browser_page.requests == []


def short(x):
    """A number as the page writes it: four digits that count."""
    x = float(x)
    if x == 0:
        return "0"
    if x == int(x) and abs(x) < 1e6:
        return str(int(x))
    if 1e-3 <= abs(x) < 1e5:
        return np.format_float_positional(float(f"{x:.4g}"), trim="-")
    front, power = f"{x:.2e}".split("e")
    return f"{np.format_float_positional(float(front), trim='-')}e{int(power)}"


def card(page, name):
    """The texts of the card of a value: {"value": ..., "gradient": ..., "terms": ...}."""
    return page.evaluate(
        """name => {
            const value = minigrad.app.graph.values.find((v) => v.name === name);
            const card = document.querySelector(`.card[data-key="v${value.id}"]`);
            const text = (kind) => card.querySelector(`text.${kind}:not(.row-label)`)?.textContent ?? null;
            return { value: text("value"), gradient: text("gradient"), terms: text("terms"), words: card.getAttribute("aria-label") };
        }""",
        name,
    )


def go(page, at):
    page.evaluate("at => minigrad.app.go(at)", at)


# ---------------------------------------------------------------- the file


def test_the_bundle_holds_every_script_and_nothing_that_ends_it_early():
    page = encode(meeting_paths(), "ends </script><b>& early {{scripts}}")
    text = bundle(page)
    assert text.count("</script>") == 2 and "sourceMappingURL" not in text
    assert "<title>ends &lt;/script&gt;&lt;b&gt;&amp; early {{scripts}}</title>" in text
    data = re.search(r'(?s)id="page">(.*?)</script>', text)[1]
    assert json.loads(data) == page
    for script in FOLDER.glob("*.js"):
        assert script.read_text(encoding="utf-8").splitlines()[0][:60] in text, script.name


def test_no_two_scripts_define_the_same_name():
    """They share one scope: a second definition would silently take the place of the first."""
    seen = {}
    for script in sorted(FOLDER.glob("*.js")):
        text = script.read_text(encoding="utf-8")
        for name in re.findall(r"(?m)^(?:async )?(?:function\*?|const|let|class) ([\w$]+)", text):
            assert name not in seen, f"{name} is defined in {seen[name]} and in {script.name}"
            seen[name] = script.name


def test_a_page_writes_down_what_it_says_and_asks_for(browser_page):
    page = browser_page.open_page("<p>hello</p><script>console.log('said')</script><img src='http://localhost:9/x'>")
    assert page.inner_text("p") == "hello"
    assert "log: said" in browser_page.messages
    assert browser_page.requests == ["http://localhost:9/x"]


# ---------------------------------------------------------------- numbers


def test_stepping_to_the_end_shows_the_engine_s_numbers(browser_page):
    trace = two_layers()
    page = opened(browser_page, trace)
    moments = page.evaluate("minigrad.app.moments.length")
    assert moments == len(trace.forward) + 1 + sum(max(1, len(b.edges)) for b in trace.backward)
    for _ in range(moments - 1):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("minigrad.app.at") == moments - 1
    scalars = [v for v in trace.values if v.data.size == 1 and v.kind != "constant"]
    assert len(scalars) >= 10
    for v in scalars:
        shown = card(page, v.name)
        assert (shown["value"], shown["gradient"]) == (short(v.data), short(v.grad)), v.name
    for v in trace.values:
        if v.grad is not None:
            known = page.evaluate("id => Array.from(minigrad.app.gradNow(id).data)", v.id)
            assert known == np.ravel(v.grad).tolist()
    assert quiet(browser_page)


@pytest.mark.slow
def test_every_moment_says_what_happens_in_a_sentence(browser_page):
    trace = two_layers()
    page = opened(browser_page, trace)
    seed = len(trace.forward)
    last = trace.forward[-1]
    go(page, seed - 1)
    said = page.inner_text(".sentence")
    assert page.get_attribute(".sentence", "aria-live") == "polite"
    assert last.output.name in said and short(last.output.data) in said
    go(page, seed)
    assert "gradient is 1" in page.inner_text(".sentence")
    at = seed + 1
    for step in trace.backward:
        for edge in step.edges:
            go(page, at)
            said = page.inner_text(".sentence")
            assert f"arriving at {step.value.name}" in said and edge.input.name in said
            if step.g.size == edge.sent.size == 1:
                assert short(step.g) in said and short(edge.sent) in said
            at += 1
        at += not step.edges
    assert quiet(browser_page)


@pytest.mark.slow
def test_a_rule_has_its_op_s_words_under_it(browser_page):
    trace = two_layers()
    page = opened(browser_page, trace)
    words = page.evaluate("minigrad.app.page.words.sigmoid")
    shown = {}
    for at in range(len(trace.forward) + 1, page.evaluate("minigrad.app.moments.length")):
        go(page, at)
        op = page.evaluate("minigrad.app.index.forward.get(minigrad.app.moment.forward)?.op ?? 'leaf'")
        shown[op] = page.locator(".rule-words").all_inner_texts()
    assert shown["sigmoid"] == [f"sigmoid: {words}."] and len(words) > 20
    assert shown["mul"] == shown["leaf"] == []  # the sentence on top has said it


@pytest.mark.slow
def test_paths_that_meet_are_added_before_the_reader_s_eyes(browser_page):
    trace = meeting_paths()
    page = opened(browser_page, trace)
    b = trace["b"]
    arrivals = page.evaluate("id => minigrad.app.index.arrivals.get(id).map((a) => a.moment)", b.id)
    first, second = (short(e.sent) for e in b.contributions)
    go(page, arrivals[0])
    assert card(page, "b")["terms"] == f"{first} + ?"
    assert page.inner_text(".gather li.current code") == f"b.grad = {first}"
    go(page, arrivals[1])
    assert card(page, "b")["terms"] == f"{first} + {second} ="
    assert card(page, "b")["gradient"] == short(b.grad)
    assert page.inner_text(".gather li.current code") == f"b.grad += {second}"
    assert page.inner_text(".gather .total") == f"b.grad is now {short(b.grad)}"


@pytest.mark.slow
def test_long_numbers_stay_on_their_cards(browser_page):
    def f(v1, v2, w1, w2, phi, y):
        score = w1 * mg.sigmoid(v1 * phi) + w2 * mg.sigmoid(v2 * phi)
        return (score - y) ** 2

    page = opened(browser_page, mg.trace(f, 0.31, -0.77, 1.3, 0.0451, -0.0123, 0.5))
    page.keyboard.press("End")
    overflowing = """() => [...document.querySelectorAll(".card text")].filter((text) => {
        const [inner, outer] = [text, text.closest(".card").querySelector(".card-frame")].map((e) => e.getBoundingClientRect());
        return text.textContent && (inner.left < outer.left || inner.right > outer.right);
    }).map((text) => text.textContent)"""
    assert page.locator(".card text.terms").count() == 1 and page.evaluate(overflowing) == []
    page.evaluate("minigrad.app.setLive(rerun(minigrad.app, new Map([[4, arrayOf([], [-1.2345e-7])], [0, arrayOf([], [8.76543e-9])]])))")
    assert page.evaluate(overflowing) == []


@pytest.mark.slow
def test_what_an_exercise_hides_is_a_question_mark(browser_page):
    trace = meeting_paths()
    page = opened(browser_page, trace)
    page.keyboard.press("End")
    a = trace["a"]
    page.evaluate("id => minigrad.app.setHidden(new Set([`v${id}`]))", a.id)
    assert card(page, "a")["gradient"] == "?"
    assert short(a.grad) not in page.inner_text(".rule") and short(a.grad) not in card(page, "a")["words"]
    page.evaluate("minigrad.app.setHidden(new Set())")
    assert card(page, "a")["gradient"] == short(a.grad)


# ---------------------------------------------------------------- keys and controls


@pytest.mark.slow
def test_keys(browser_page):
    trace = two_layers()
    page = opened(browser_page, trace)
    at = lambda: page.evaluate("minigrad.app.at")
    press = page.keyboard.press
    press("ArrowRight"), press("ArrowRight"), press("ArrowLeft")
    assert at() == 1
    press("End")
    assert at() == page.evaluate("minigrad.app.moments.length - 1")
    press("Home")
    assert at() == 0
    press("/")
    page.keyboard.type("h1 ", delay=0)
    press("ArrowLeft")  # moves in the field, not in time
    press("Enter")
    assert at() == 0 and page.evaluate("minigrad.app.selected") == trace["h1"].id
    press("j")
    assert page.evaluate("minigrad.app.moment.forward") == trace["h1"].made_by.id
    press("j")
    assert page.evaluate("minigrad.app.index.backward.get(minigrad.app.moment.backward).value") == trace["h1"].id
    press("Escape")
    assert page.evaluate("minigrad.app.selected") is None
    scale = page.evaluate("minigrad.view.camera.scale")
    press("+"), press("+")
    assert page.evaluate("minigrad.view.camera.scale") > scale
    press("0")
    fitted = page.evaluate("minigrad.view.camera.scale")
    press("-")
    assert page.evaluate("minigrad.view.camera.scale") < fitted
    press("?")
    assert page.is_visible("dialog.help")
    press("Escape")
    assert not page.is_visible("dialog.help")
    assert quiet(browser_page)


@pytest.mark.slow
def test_play_runs_to_the_end_and_stops(browser_page):
    page = opened(browser_page, meeting_paths())
    page.select_option(".speed", "8")
    page.keyboard.press("Space")
    assert page.get_attribute(".step.play", "aria-label") == "Pause"
    page.wait_for_function("minigrad.app.at === minigrad.app.moments.length - 1")
    page.wait_for_function("document.querySelector('.step.play').ariaLabel === 'Play'")
    page.click(".step.first")
    assert page.evaluate("minigrad.app.at") == 0
    page.fill(".timeline", "5")
    assert page.evaluate("minigrad.app.at") == 5


@pytest.mark.slow
def test_cards_are_reached_by_tab_and_say_what_they_hold(browser_page):
    trace = meeting_paths()
    page = opened(browser_page, trace)
    page.keyboard.press("End")
    page.focus(f'.card[data-key="v{trace["a"].id}"]')
    words = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert words == f"a, input, 1.5, gradient {short(trace['a'].grad)}"
    page.keyboard.press("Enter")
    assert page.evaluate("minigrad.app.selected") == trace["a"].id
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, select, [role=button]')].filter(
            (e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.title || e.closest('label'))).length"""
    )
    assert unnamed == 0


# ---------------------------------------------------------------- folding


@pytest.mark.slow
def test_modules_fold_and_unfold(browser_page):
    trace = small_net()
    page = opened(browser_page, trace)
    cards = lambda: page.evaluate("minigrad.view.cards.size")
    whole = cards()
    page.click("text=Fold all")
    folded = cards()
    assert folded < whole and page.locator(".card.group").count() >= 4
    page.locator(".card.group").first.focus()
    page.keyboard.press("Enter")
    assert cards() > folded
    page.keyboard.press("f")  # the focus has gone to the box's title, which folds it again
    assert cards() == folded
    page.click("text=Unfold all")
    assert cards() == whole
    page.locator(".box-title").first.click()
    assert cards() < whole
    assert quiet(browser_page)


@pytest.mark.slow
def test_a_fused_op_opens_and_shows_what_happens_inside(browser_page):
    trace = small_net()
    page = opened(browser_page, trace)
    norm = next(f for f in trace.forward if f.op == "normalise")
    before = page.evaluate("minigrad.view.cards.size")
    page.evaluate("id => minigrad.folding.toggle(`in:v${id}`)", norm.output.id)
    inside = page.evaluate(
        "id => [...minigrad.view.cards.keys()].filter((key) => key.startsWith(`v${id}/`)).length", norm.output.id
    )
    assert inside >= 5 and page.evaluate("minigrad.view.cards.size") == before + inside
    key = f'[data-key^="v{norm.output.id}/"]'
    assert "not computed yet" in page.get_attribute(f".card.result{key} >> nth=0", "aria-label")
    page.keyboard.press("End")
    assert "gradient" in page.get_attribute(f".card.result{key} >> nth=0", "aria-label")
    assert quiet(browser_page)


@pytest.mark.slow
def test_a_long_graph_opens_as_a_few_groups(browser_page):
    trace = long_chain(1200)
    page = opened(browser_page, trace)
    assert len(trace.values) > 2400 and page.evaluate("minigrad.view.cards.size") <= 60
    assert page.evaluate("minigrad.folding.unfoldAll()") is False  # as far as a picture stays readable
    assert page.evaluate("minigrad.view.cards.size") <= 310
    go(page, 1300)
    made = page.evaluate("minigrad.app.index.forward.get(minigrad.app.moment.forward).output")
    assert page.locator(".card.current").count() == 1
    page.evaluate("id => minigrad.view.find(id)", made)
    assert page.locator(f'.card[data-key="v{made}"]').count() == 1
    page.keyboard.press("End")
    assert page.evaluate("minigrad.app.gradNow(0).data[0]") == trace.values[0].grad.item()
    assert quiet(browser_page)


# ---------------------------------------------------------------- looks


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_overflows_sideways(browser_page, width, dark):
    for trace in (two_layers(), small_net()):
        page = opened(browser_page, trace, width=width, dark=dark)
        moments = page.evaluate("minigrad.app.moments.length")
        for at in range(0, moments, max(1, moments // 8)):
            go(page, at)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, at
        for tab in page.locator(".tabs button").all():
            tab.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, tab.inner_text()
    assert quiet(browser_page)


@pytest.mark.slow
def test_light_and_dark(browser_page):
    page = opened(browser_page, meeting_paths(), dark=True)
    paper = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = paper()
    page.click(".top-button.theme")
    assert paper() != dark
    page.click(".top-button.theme")
    assert paper() == dark


@pytest.mark.slow
def test_formulas_are_set_as_mathematics(browser_page):
    page = opened(browser_page, meeting_paths())
    shape = "text => { const tag = (n) => n.localName + (n.children.length ? `(${[...n.children].map(tag).join()})` : ''); return tag(mathOf(text)); }"
    partial = "mrow(mo,mi)"
    assert page.evaluate(shape, "∂L/∂a = b²") == f"math(mfrac({partial},{partial}),mo,msup(mi,mn))"
    assert page.evaluate(shape, "1 / (2 · y)") == "math(mfrac(mn,mrow(mn,mo,mi)))"
    assert page.evaluate(shape, "a bᵀ") == "math(mi,mspace,msup(mi,mi))"
    assert page.evaluate(shape, "√(x + 1) · h@3") == "math(msqrt(mrow(mi,mo,mn)),mo,msub(mi,mn))"
    assert page.evaluate(shape, ")(] ^ _") is not None  # nothing that a formula holds can stop the page


@pytest.mark.slow
def test_the_page_lives_in_a_notebook_s_frame(browser_page):
    inner = escape(html_of(meeting_paths()), quote=True)
    page = browser_page.open_page(f'<iframe srcdoc="{inner}" style="width: 900px; height: 600px"></iframe>')
    frame = page.frame_locator("iframe")
    frame.locator(".step.next").click()
    assert frame.locator(".counter").inner_text().startswith("2 of")
    page.keyboard.press("ArrowRight")  # the focus is inside now
    assert frame.locator(".counter").inner_text().startswith("3 of")
    assert quiet(browser_page)


def test_files_are_small():
    """Each script is one idea: about 400 lines at most."""
    long = {f.name for f in Path(FOLDER).glob("*.js") if len(f.read_text().splitlines()) > 400}
    assert long == set()


LIVE_INSIDE = """() => {
  const app = minigrad.app, x = app.graph.values.find((v) => v.name === "x"), a = app.valueOf(x.id);
  const data = Float64Array.from(a.data);
  data[0] += 0.5;
  const run = runGraph(app.graph, new Map([[x.id, { shape: a.shape, dtype: a.dtype, data }]]), app.arrays);
  const back = backGraph(app.graph, run, undefined, app.arrays);
  app.setLive({ values: run.values, grads: back.grads, sent: back.sent, run, back });
  const forward = app.graph.forward.find((f) => f.inside), scope = { opened: { forward, scope: { opened: null } } };
  const { id } = forward.inside.values.find((v) => v.name === "h@2");
  return ["run", "back"].map((way) => {
    const live = liveInScope(app, scope, way);
    return Array.from((live.values ?? live.grads).get(id).data);
  });
}"""


@pytest.mark.slow
def test_a_drag_moves_the_numbers_inside_a_fused_op_too(browser_page):
    lstm = mg.nn.LSTM(2, 3).double()
    x = np.random.default_rng(0).normal(size=(3, 1, 2))
    page = opened(browser_page, mg.trace(lambda x: (lstm(x)[0] ** 2).sum(), x))
    value, grad = page.evaluate(LIVE_INSIDE)
    x[0, 0, 0] += 0.5
    there = mg.trace(lambda x: (lstm(x)[0] ** 2).sum(), x).opened("lstm_sequence")["h@2"]
    np.testing.assert_allclose(value, there.data.ravel(), rtol=1e-12)
    np.testing.assert_allclose(grad, there.grad.ravel(), rtol=1e-12)
