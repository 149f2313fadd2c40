"""EarlyStopping in a loop of one's own; tests/test_train.py has the trainer's."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.early_stopping import EarlyStopping

RNG = np.random.default_rng(0)


def plain(values, patience, min_delta, sign):
    """Where it stops, by looking back over all values each time; None if nowhere."""
    best = None
    for i, v in enumerate(values):
        if v == v and (best is None or sign * (values[best] - v) > min_delta):
            best = i
        if i - (-1 if best is None else best) >= patience:
            return i
    return None


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("min_delta", [0.0, 0.3])
def test_it_stops_where_it_should(mode, min_delta):
    for _ in range(200):
        values = RNG.normal(size=12).round(1)
        values[RNG.random(12) < 0.1] = np.nan
        patience = int(RNG.integers(1, 6))
        stopper = EarlyStopping(patience, min_delta, mode)
        said = [stopper.step(v) for v in values]
        wanted = plain(values.tolist(), patience, min_delta, 1 if mode == "min" else -1)
        assert (said.index(True) if True in said else None) == wanted


def test_ties_and_nan_are_no_improvement():
    stopper = EarlyStopping(2)
    assert [stopper.step(v) for v in (1.0, 1.0)] == [False, False] and not stopper.improved
    assert stopper.step(float("nan")) and stopper.best == 1.0
    stopper = EarlyStopping(2)
    assert stopper.step(mg.tensor(0.5)) is False and stopper.improved and stopper.best == 0.5
    stopper = EarlyStopping(2)
    assert [stopper.step(np.nan), stopper.step(np.nan)] == [False, True] and stopper.best is None


def test_the_best_weights_come_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    stopper = EarlyStopping(3, mode="max", restore_best=True)
    best = None
    for k, value in enumerate((0.1, 0.7, 0.3)):
        with mg.no_grad():
            for t in model.state_dict().values():
                t.fill_(k)
        stopper.step(value, model)
        best = {name: t.cpu().numpy().copy() for name, t in model.state_dict().items()} if k == 1 else best
    kept = EarlyStopping(3, mode="max", restore_best=True)
    kept.load_state_dict(stopper.state_dict())
    for one in (stopper, kept):
        with mg.no_grad():
            for t in model.state_dict().values():
                t.fill_(9)
        one.restore(model)
        assert all(np.array_equal(t.cpu().numpy(), best[name]) for name, t in model.state_dict().items())
        one.restore(model)
    assert kept.step(0.2, model) is False and kept.step(0.2, model) is True


def test_a_run_taken_up_again_stops_at_the_same_step():
    values = [3.0, 2.0, 2.5, 2.4, 2.3]
    whole = EarlyStopping(3)
    said = [whole.step(v) for v in values]
    for cut in range(len(values)):
        first, second = EarlyStopping(3), EarlyStopping(3)
        before = [first.step(v) for v in values[:cut]]
        second.load_state_dict(first.state_dict())
        assert before + [second.step(v) for v in values[cut:]] == said


def test_what_cannot_be_meant():
    for words, call in (
        ("patience=0", lambda: EarlyStopping(0)), ("patience=1.5", lambda: EarlyStopping(1.5)), ("min_delta=-1", lambda: EarlyStopping(1, -1)),
        ("mode='low'", lambda: EarlyStopping(1, mode="low")), ("restore_best", lambda: EarlyStopping(1, restore_best=True).step(1.0)),
        ("no weights", lambda: EarlyStopping(1).restore(nn.Linear(1, 1))), ("state of its own", lambda: EarlyStopping(1).load_state_dict({"best": 1})),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            call()
