"""The ledger of copies, waits, launches and allocations; and that a training step makes no copy and no wait."""

import contextlib
import ctypes

import numpy as np
import pytest
from cuda_cases import watched

import minigrad as mg
from minigrad import nn
from minigrad.cuda import cupti, ledgers
from minigrad.engine.kernels import reference_mode

F = nn.functional


@pytest.fixture
def ledger(stand_in):
    """mg.cuda.ledger: under the stand-in from its account, on a GPU from CUPTI."""
    if not stand_in and cupti.missing():
        pytest.skip(cupti.missing())
    return mg.cuda.ledger


@pytest.fixture
def without(stand_in, monkeypatch):
    """As it is on a GPU without the stand-in's account."""
    monkeypatch.setattr(ledgers, "sources", [ledgers.best])


def test_every_event_has_its_line_and_op(ledger):
    x = mg.ones(3, device="cuda", requires_grad=True)
    with ledger() as seen:
        y = (x * x).sum()  # the line of the launches
        y.backward()
        y.item()
        mg.tensor([1.0], device="cuda")
    here = test_every_event_has_its_line_and_op.__code__.co_firstlineno
    lines = {(e.kind, int(e.line.rpartition(":")[2]) - here) for e in seen.events}
    assert {("launch", 3), ("launch", 4), ("d2h", 5), ("h2d", 6)} <= lines
    assert all(e.line.partition(":")[0].endswith("test_cuda_ledger.py") for e in seen.events)
    assert {"mul", "sum", "mul backward"} <= {e.op for e in seen.all("launch")}
    assert [e.size for e in seen.all("d2h")] == [4] and seen.count("h2d") == 1
    assert seen.all("alloc") and len(seen.transfers()) >= 2


def test_the_table_sums_up(ledger):
    x = mg.ones(1000, device="cuda")
    with ledger() as seen:
        for _ in range(3):
            x.tolist()
    (row,) = [line for line in str(seen).splitlines() if line.startswith("device to host")]
    assert row.split()[3:6] == ["3", "11.7", "KiB"] and "test_cuda_ledger.py:" in row
    assert str(seen).splitlines()[0].split() == ["kind", "count", "bytes", "op", "line"]
    with pytest.raises(ValueError, match=r"ledger: expected some of h2d, .* got 'copy'"):
        seen.count("copy")


def test_ledgers_nest_and_end(ledger):
    x = mg.ones(2, device="cuda")
    with ledger() as outer:
        x + x
        with ledger() as inner:
            x + x
    x + x
    assert inner.count("launch") * 2 == outer.count("launch") > 0


def test_without_a_gpu_the_table_says_so():
    if mg.cuda.is_available():
        pytest.skip("there is one")
    with mg.cuda.ledger() as seen:
        mg.ones(2) + 1.0
    assert str(seen).endswith("there is no GPU here") and not seen.events


# ---------------------------------------------------------------- without CUPTI


def test_python_sees_its_own_part_and_says_so(without, monkeypatch):
    monkeypatch.setattr(cupti, "missing", lambda: "CUPTI was not found")
    x = mg.ones((4, 4), device="cuda", requires_grad=True)
    with mg.cuda.ledger() as seen:
        y = F.relu(x).sum()
        y.item()
        mg.tensor([1.0, 2.0], device="cuda")
    assert any("Relu" in e.what and e.op == "relu" for e in seen.all("launch"))
    assert [e.size for e in seen.all("d2h")] == [4] and [e.size for e in seen.all("h2d")] == [8]
    assert 64 in {e.size for e in seen.all("alloc") if e.op == "relu"}
    assert "CuPy's are not seen without CUPTI (CUPTI was not found)" in str(seen)
    before = len(seen.events)
    F.relu(x).sum().item()
    assert len(seen.events) == before


# ---------------------------------------------------------------- CUPTI, its calls made by hand


def calling(subscription, domain, site, name, params=b"", symbol=None):
    room = ctypes.create_string_buffer(params, max(len(params), 1))
    data = cupti.CallbackData(site=site, function=name, params=ctypes.addressof(room), symbol=symbol)
    subscription.called(None, domain, 0, ctypes.pointer(data))


def words(*values):
    return b"".join(int(v).to_bytes(8, "little") for v in values)


class Nvidias:
    """What the library would do: note that it was asked."""

    def __init__(self, status=0):
        self.asked, self.status = [], status

    def __getattr__(self, name):
        def call(*args):
            if name == "cuptiGetResultString":
                ctypes.cast(args[1], ctypes.POINTER(ctypes.c_char_p))[0] = b"CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED"
                return 0
            self.asked.append(name)
            return self.status

        return call


def test_calls_of_cuda_are_understood(monkeypatch):
    library, found = Nvidias(), []
    monkeypatch.setattr(cupti, "library", lambda: library)
    watch = cupti.Subscription(found.append)
    runtime, driver, enter, leave = cupti.RUNTIME, cupti.DRIVER, cupti.ENTER, cupti.EXIT
    for name, *rest in ((b"cudaMemcpyAsync_v3020", 40, 1), (b"cudaMemcpyAsync_ptsz_v7000", 8, 2)):
        for site in (enter, leave):
            calling(watch, runtime, site, name, words(0, 0, *rest))
    calling(watch, runtime, enter, b"cudaLaunchKernel_v7000", symbol=b"add")
    calling(watch, driver, enter, b"cuLaunchKernel", symbol=b"add")  # the runtime's own
    calling(watch, driver, leave, b"cuLaunchKernel", symbol=b"add")
    calling(watch, runtime, leave, b"cudaLaunchKernel_v7000", symbol=b"add")
    calling(watch, driver, enter, b"cuLaunchKernel", symbol=b"relu")
    calling(watch, driver, enter, b"cuMemcpyHtoDAsync_v2", words(0, 0, 16))
    calling(watch, driver, enter, b"cuMemcpyDtoH_v2", words(0, 0, 24))
    calling(watch, runtime, enter, b"cudaStreamSynchronize_v3020")
    calling(watch, runtime, leave, b"cudaStreamSynchronize_v3020")
    calling(watch, driver, enter, b"cudaMemcpy2DAsync_v3020", words(0, 0, 0, 0, 3, 5, 3))
    calling(watch, driver, enter, b"cuGraphLaunch")
    calling(watch, driver, enter, b"cuDeviceGet")
    watch.end()
    assert [(c.kind, c.size) for c in found] == [
        ("h2d", 40), ("d2h", 8), ("launch", 0), ("launch", 0), ("h2d", 16), ("d2h", 24), ("wait", 0), ("d2d", 15), ("launch", 0), ("", 0),
    ]  # fmt: skip
    assert [c.name for c in found if c.kind == "launch"] == ["add", "relu", "cuGraphLaunch"]
    assert library.asked == ["cuptiSubscribe", "cuptiEnableDomain", "cuptiEnableDomain", "cuptiUnsubscribe"]


def test_where_another_profiler_runs_python_looks(stand_in, without, monkeypatch):
    if not stand_in:
        pytest.skip("the real library is asked there")
    monkeypatch.setattr(cupti, "library", lambda: Nvidias(status=39))
    with mg.cuda.ledger() as seen:
        mg.ones(3, device="cuda").tolist()
    assert "MULTIPLE_SUBSCRIBERS" in str(seen) and seen.count("d2h") == 1


def test_the_ledger_listens_to_cupti(stand_in, without, monkeypatch):
    if not stand_in:
        pytest.skip("the real library is asked there")
    open_ = []
    monkeypatch.setattr(cupti, "library", Nvidias)
    monkeypatch.setattr(cupti.Subscription, "__init__", lambda self, tell: open_.append(self) or self.__dict__.update(tell=tell, handle=None))
    with mg.cuda.ledger() as seen:
        x = mg.ones(3, device="cuda")
        for kind in ("h2d", "d2h", "wait", "launch", "malloc", ""):
            open_[0].tell(cupti.Call(kind, "name", 1))
    assert [e.kind for e in seen.events if e.what == "name"] == ["h2d", "d2h", "wait", "launch"]
    assert seen.count("alloc") == 1 and x.shape == (3,) and not seen.notes


# ---------------------------------------------------------------- training steps


def mlp():
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 5))
    return model, mg.optim.Adam(model.parameters()), mg.rand(8, 12), mg.randint(0, 5, (8,))


def conv_net():
    convolution = (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    model = nn.Sequential(*convolution, nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.Flatten(), nn.Linear(16, 5))
    return model, mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), mg.rand(4, 1, 8, 8), mg.randint(0, 5, (4,))


class Reader(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding, self.sequence, self.head = nn.Embedding(7, 6), kind(6, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.sequence(self.embedding(x))[0][:, -1])


def lstm():
    model = Reader(nn.LSTM)
    return model, mg.optim.Adam(model.parameters()), mg.randint(0, 7, (3, 5)), mg.randint(0, 5, (3,))


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.embedding, self.place, self.layers = nn.Embedding(7, 8), nn.SinusoidalPositions(8), nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(8, 7)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return self.head(self.layers(self.place(self.embedding(x)), mask=mask)).reshape(-1, 7)


def transformer():
    return (model := Writer()), mg.optim.AdamW(model.parameters()), mg.randint(0, 7, (2, 6)), mg.randint(0, 7, (12,))


@pytest.mark.parametrize("make", [mlp, conv_net, lstm, transformer])
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "text"])
def test_a_training_step_neither_copies_nor_waits(ledger, make, kernels):
    """And its losses are those of the CPU."""
    losses = {"cpu": [], "cuda": []}
    for device, told in losses.items():
        with mg.device(device), contextlib.nullcontext() if kernels else reference_mode():
            mg.manual_seed(0)
            model, optimiser, x, y = make()
            for _ in range(2):
                optimiser.zero_grad()
                with ledger() as seen:
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimiser.step()
                told.append(loss.item())
        assert device == "cpu" or seen.count("launch") > 5
        assert not seen.transfers(), f"\n{seen}"
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=2e-5)


def test_a_fault_is_found_in_such_a_step(ledger):
    """The test above can fail: a value read in the middle is seen, with its line."""
    x = mg.ones(3, device="cuda")
    with ledger() as seen:
        if (x.sum() > 2.0).item():
            x = x + 1.0
    assert [e.kind for e in seen.transfers()][:1] == ["d2h"]


def test_checks_cost_a_launch_and_no_wait(ledger):
    w, labels = mg.ones((3, 4), device="cuda", requires_grad=True), mg.tensor([0, 1, 2], device="cuda")
    F.cross_entropy(w, labels).item()
    with ledger() as seen, watched("check_range") as made:
        loss = F.cross_entropy(w, labels)
    assert made["check_range"] == [None] and not seen.transfers()
    with ledger() as seen:
        loss.item()
    assert seen.count("d2h") == 2  # the number, and the words of the checks


def test_a_captured_step_tells_of_wrong_labels(ledger):
    w = mg.ones((3, 4), device="cuda", requires_grad=True)

    def step(labels):
        loss = F.cross_entropy(w, labels)
        loss.backward()
        return loss

    fast = mg.capture(step)
    for labels in ([0, 1, 2], [3, 1, 2], [0, 0, 0]):
        fast(mg.tensor(labels, device="cuda")).item()
    with ledger() as seen:
        loss = fast(mg.tensor([0, 9, 0], device="cuda"))
    assert seen.count("d2h") == 0
    with pytest.raises(ValueError, match=r"cross_entropy: target\[1\] = 9, expected 0 <= target < 4"):
        loss.item()
    fast(mg.tensor([0, 1, 2], device="cuda")).item()
