"""Exercises: right answers are right, planted mistakes are told by their names, and anything else by none."""

import numpy as np
import planted
import planted_again
import planted_more
import planted_notebooks
import pytest

import minigrad as mg
from minigrad.inspect.exercise import page_exercises
from minigrad.inspect.mistakes import Mistakes

EVERY = [t for file in (planted, planted_more, planted_again, planted_notebooks) for t in file.TOPICS]
QUICK = (planted.hinge, planted.linear_layer, planted.convolution, planted.tied_maximum, planted.shared, planted.gate)


def slow_unless(topics):
    return [
        pytest.param(t, marks=() if t in topics else pytest.mark.slow, id=f"{t.__module__}-{t.__name__}") for t in EVERY
    ]


def traced(topic):
    """The topic's trace and mistakes, and one question for each input that is asked for."""
    fn, inputs, wrong = topic()
    trace = mg.trace(fn, *inputs)
    return trace, wrong, {name: trace.exercise(name) for name, _, _ in wrong}


def test_at_least_a_hundred_mistakes_are_planted_over_the_notebooks_kinds_of_exercises():
    assert sum(len(topic()[2]) for topic in planted.TOPICS) >= 100


@pytest.mark.parametrize("topic", slow_unless([t for t in planted.TOPICS if t is not planted.vanilla_rnn]))
def test_planted_mistakes_are_told_by_name(topic):
    _, wrong, questions = traced(topic)
    told = [(name, family, questions[name].check(answer)) for name, family, answer in wrong]
    assert [(name, family, str(v)) for name, family, v in told if v.mistake != family] == []
    assert not any(v for _, _, v in told)


@pytest.mark.parametrize("topic", slow_unless(QUICK))
def test_right_answers_are_never_called_wrong(topic):
    trace, _, questions = traced(topic)
    for name, question in questions.items():
        truth = trace[name].grad
        for answer in (truth, truth.tolist(), mg.tensor(truth), truth.astype(np.float32), truth * (1 + 1e-9)):
            assert question.check(answer)
        if truth.size == 1:
            for digits in range(4, 9):
                assert question.check(float(f"{truth.item():.{digits}g}"))
                assert question.check(f"{truth.item():.{digits}g}")


@pytest.mark.parametrize("topic", slow_unless(QUICK))
def test_a_random_answer_is_given_no_name(topic):
    trace, _, questions = traced(topic)
    r = np.random.default_rng(5)
    for name, question in questions.items():
        truth = trace[name].grad
        scale = np.abs(truth).max() or 1.0
        for answer in (r.normal(size=truth.shape), scale * r.normal(size=truth.shape)):
            verdict = question.check(answer)
            assert not verdict
            assert verdict.mistake is None, verdict
            assert "no mistake that is known" in verdict.told


# ---------------------------------------------------------------- what is said


def tanh_question(name="w"):
    def neuron(w, x, b):
        a = w * x + b
        h = mg.tanh(a)
        return h**2

    return mg.trace(neuron, 2.0, 0.3, -0.5).exercise(name)


def test_the_sentence_names_op_factor_and_line():
    h = np.tanh(0.1)
    verdict = tanh_question().check(2 * h * 0.3)
    assert verdict.mistake == "missing local factor"
    assert verdict.told.startswith("not yet: the factor 1 − h² of tanh(a) (line ")
    assert "h = mg.tanh(a)" in verdict.told
    assert verdict.told.endswith("is missing")


def test_numbers_that_are_typed_may_be_rounded():
    h = np.tanh(0.1)
    truth, wrong = 2 * h * (1 - h * h) * 0.3, 2 * h * 0.3
    question = tanh_question()
    assert question.check(round(truth, 4))
    assert question.check(f"{truth:.5f}")
    assert question.check(round(wrong, 5)).mistake == "missing local factor"
    assert not question.check(0.06)
    assert question.check(truth + 1e-5).mistake is None  # as many digits as a computed one


def test_several_mistakes_that_agree_are_all_told_the_likeliest_first():
    verdict = mg.trace(lambda b: (b + b) * 5.0, 3.0).exercise("b").check(5.0)
    assert verdict.mistake == "assigned instead of added"
    assert any(told.startswith("a path is left out") for told in verdict.also)


def test_two_mistakes_at_once_are_found():
    h = np.tanh(0.1)
    verdict = tanh_question().check(h * 0.3)  # neither the 2 of the square nor the slope of tanh
    assert verdict.told.count(" is missing") == 2


def test_the_right_numbers_in_another_shape():
    question = mg.trace(lambda x: (x**2).sum(), [1.0, 2.0, 3.0]).exercise("x")
    verdict = question.check([[2.0], [4.0], [6.0]])
    assert verdict.told == "not yet: the numbers are right, their shape (3, 1) is not (3,)"
    assert "3 · x²" not in question.check([[1.0, 2.0, 3.0]]).told
    assert question.check([[1.0, 2.0, 3.0]]).mistake == "power not lowered"
    assert question.check([1.0, 2.0]).mistake == "shape"


def test_what_is_no_answer_raises_nothing():
    question = tanh_question()
    assert question.check(...).told.startswith("not answered yet")
    assert question.check(None).told.startswith("not answered yet")
    for odd in ("two", object(), {"w": 1}, [1.0, [2.0]]):
        assert "expected numbers" in question.check(odd).told
    assert question.check(float("nan")).mistake is None


def test_hints_lead_to_the_rule_and_reveal_shows_the_gradient():
    question = tanh_question()
    assert "∂L/∂w = ?" in repr(question)
    first, second, third, fourth = (question.hint() for _ in range(4))
    assert first == "w goes into mul = w · x"
    assert second == "∂L/∂w = ∂L/∂mul · x"
    assert third.startswith("what comes in: ∂L/∂mul = 0.197")
    assert fourth == third
    assert question.reveal().gradient == question.value.grad
    assert "∂L/∂w = ∂L/∂mul · x" in repr(question.reveal())


def test_every_value_on_the_way_can_be_asked_for():
    trace = mg.trace(lambda w, x: mg.tanh(w * x) ** 2, 2.0, 0.3)
    for value in trace.values:
        if value.grad is not None:
            assert trace.exercise(value.name).check(value.grad)
    assert "starts with" in trace.exercise(trace.output.name).hint()


def test_a_value_without_gradient_cannot_be_asked_for():
    trace = mg.trace(lambda w: w * 2.0, 3.0)
    with pytest.raises(ValueError, match="exercise: no gradient reaches '2'"):
        trace.exercise("2")
    with pytest.raises(KeyError, match="no value 'v'"):
        trace.exercise("v")


def test_checking_changes_nothing_in_the_trace():
    fn, inputs, wrong = planted.two_layers()
    trace = mg.trace(fn, *inputs)
    before = {v.name: np.copy(v.grad) for v in trace.values if v.grad is not None}
    for name, _, answer in wrong:
        trace.exercise(name).check(answer)
    trace.exercise("v1").check(np.ones(3) * 7.7)
    assert all(np.array_equal(before[name], trace[name].grad) for name in before)
    assert trace.check()


# ---------------------------------------------------------------- for the page


def test_the_pages_exercises_are_small_and_true():
    fn, inputs, _ = planted.two_layers()
    trace = mg.trace(fn, *inputs)
    exercises = page_exercises(trace)
    assert 0 < len(exercises) <= 25
    by_id = {v.id: v for v in trace.values}
    for exercise in exercises:
        value = by_id[exercise["value"]]
        assert 0 < len(exercise["answers"]) <= 40
        for answer in exercise["answers"]:
            assert answer["array"].shape == value.shape
            assert answer["name"]
            assert answer["told"]
            assert np.abs(answer["array"] - value.grad).max() > 0


def test_the_pages_exercises_of_a_long_recurrence_are_limited():
    w, x = mg.tensor([0.5, -0.4]), mg.tensor(np.linspace(-1, 1, 20).reshape(10, 2))

    def loss(w):
        h = 0.0
        for t in range(10):
            h = mg.tanh(w * x[t] + h)
        return h.sum()

    trace = mg.trace(loss, w.requires_grad_())
    mistakes = Mistakes(trace, trace["w"], budget=500)
    assert mistakes.singles
    assert mistakes.rerun.work < 700
    assert page_exercises(trace)
