"""Devices, memory, streams, and what is wrong with numbers on a GPU: found there, told at the next read."""

import numpy as np
import pytest
from cuda_cases import watched
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine import flags
from minigrad.engine.kernels import reference_mode

F = mg.nn.functional


def there(data, dtype=None):
    return mg.tensor(data, dtype=dtype, device="cuda")


# ---------------------------------------------------------------- checks


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("reference", [False, True])
def test_the_first_fault_is_found(stand_in, dtype, reference):
    dtype, rng = mg.engine.backend.as_dtype(dtype), np.random.default_rng(0)
    signed = dtype.kind != "u"

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 3))
    def check(shape, wrong):
        good = rng.integers(0, 5, shape).astype(dtype)
        for place in rng.integers(0, good.size, wrong):
            good.reshape(-1)[place] = rng.choice([7, 100, -3, 7] if signed else [7, 100])
        x = mg.engine.tensor.Tensor(good, device="cuda")._data
        bad = np.argwhere((good < 0) | (good > 4))
        with watched("check_range") as made:
            flags.check_range(mg.device("cuda").xp, x, 0, 4, IndexError, "here: {value} at {place}, that is [{at}]")
        assert reference or made["check_range"] == [None]
        if not len(bad):
            flags.read()
            return
        place = tuple(bad[0].tolist())
        told = f"here: {good[place].item():g} at {place}, that is [{', '.join(map(str, place))}]"
        with pytest.raises(IndexError) as raised:
            flags.read()
        assert str(raised.value) == told and "found on the GPU" in raised.value.__notes__[0]
        flags.read()  # once is enough

    if reference:
        with reference_mode():
            check()
    else:
        check()


def test_what_a_range_is(stand_in):
    xp = mg.device("cuda").xp

    def fault(values, low, high, ignored=None):
        flags.check_range(xp, there(values)._data, low, high, ValueError, "{value}", ignored)
        try:
            flags.read()
        except ValueError as error:
            return str(error)

    assert fault([0.0, 1.0], 0.0, 1.0) is None and fault([0.5, np.nan], 0.0, 1.0) == "nan"
    assert fault([-1, 3, -100], 0, 3, -100) == "-1" and fault([2, -100], 0, 3, -100) is None
    assert fault([1 << 40], 0, 3) == f"{(1 << 31) - 1} (or beyond)" and fault([-(1 << 40)], 0, 3) == f"{-(1 << 31)} (or beyond)"
    assert fault([0, 1], 0.0, 1.0) is None and fault([0, 2], 0.0, 1.0) == "2" and fault([-1], 0.5, np.inf) == "-1"
    assert fault([], 0, 3) is None and fault(np.uint64([7]), 0, 3) == "7" and fault(np.ones((3, 3))[:, 1], 2, 3) == "1"


def test_another_stream_waits_for_clean_words(stand_in, monkeypatch):
    xp, one, other = mg.device("cuda").xp, there([9]), mg.cuda.Stream()
    flags.check_range(xp, one._data, 0, 10, ValueError, "first")
    board, waited = flags.boards[0], []
    kind = type(other.raw)
    monkeypatch.setattr(kind, "wait_event", lambda self, event, wait=kind.wait_event: (waited.append((self.ptr, event)), wait(self, event))[0])
    for _ in range(2):
        with mg.cuda.stream(other):
            flags.check_range(xp, one._data, 0, 8, ValueError, "second: {value}")
    assert waited == [(other.raw.ptr, board.clean)]
    with pytest.raises(ValueError, match="second: 9"):
        other.synchronize()


def test_places_of_checks_have_words_of_their_own(stand_in):
    xp = mg.device("cuda").xp
    for i in range(flags.PIECE + 3):
        flags.check_range(xp, there([i])._data, 0, flags.PIECE, ValueError, f"site {i}: {{value}}")
    with pytest.raises(ValueError, match=f"site {flags.PIECE + 1}: {flags.PIECE + 1}"):
        flags.read()
    flags.read()
    flags.replayed()
    flags.read()


FAULTS = [
    ("take", IndexError, "index: index 3 is out of range for axis 0 of size 3", lambda: there([1.0, 2.0, 3.0])[there([0, 3])]),
    ("take along", IndexError, "axis 1 of size 2", lambda: mg.take(mg.ones((3, 2), device="cuda"), there([0, -3]), 1)),
    ("gather", IndexError, "index 5 is out of range for axis 1 of size 2", lambda: mg.gather(mg.ones((2, 2), device="cuda"), 1, there([[0], [5]]))),
    ("ellipsis", IndexError, "index 4 is out of range for axis 2 of size 4", lambda: mg.ones((2, 3, 4), device="cuda")[..., there([4])]),
    ("scatter_add", IndexError, "index 9 is out of range for axis 0 of size 3", lambda: mg.scatter_add(mg.zeros(3, device="cuda"), 0, there([0, 9]), there([1.0, 2.0]))),
    ("write", IndexError, "index 9 is out of range", lambda: mg.zeros(3, device="cuda").__setitem__(there([9]), 1.0)),
    ("embedding", IndexError, r"embedding: expected indices in \[0, 3\) \(num_embeddings=3\), got 3 at \(1, 0\)", lambda: F.embedding(there([[0], [3]]), mg.ones((3, 2), device="cuda"))),
    ("labels", ValueError, r"cross_entropy: target\[1\] = 2, expected 0 <= target < 2", lambda: F.cross_entropy(mg.zeros((2, 2), device="cuda"), there([0, 2]))),
    ("nll", ValueError, r"nll_loss: target\[0\] = -1, expected 0 <= target < 2", lambda: F.nll_loss(mg.zeros((2, 2), device="cuda"), there([-1, 1]))),
    ("one_hot", ValueError, r"one_hot: target\[0\] = 7, expected 0 <= target < 3", lambda: F.one_hot(there([7]), 3)),
    ("probabilities", ValueError, r"binary_cross_entropy: expected probabilities in \[0, 1\] \(input\)", lambda: F.binary_cross_entropy(there([1.5]), there([1.0]))),
    ("variances", ValueError, "gaussian_nll_loss: expected variances >= 0, got -1", lambda: F.gaussian_nll_loss(there([1.0]), there([1.0]), there([-1.0]))),
    ("bernoulli", ValueError, r"bernoulli: expected probabilities in \[0, 1\], got 2 at \(0,\)", lambda: mg.bernoulli(there([2.0]))),
    ("unpool", ValueError, r"max_unpool1d: expected indices in \[0, 4\)", lambda: F.max_unpool1d(mg.ones((1, 1, 2), device="cuda"), there([[[0, 4]]]), 2)),
    ("bags", ValueError, "embedding_bag: expected offsets that rise", lambda: F.embedding_bag(there([0, 1, 0]), mg.ones((2, 2), device="cuda"), there([0, 2, 1]))),
]  # fmt: skip


@pytest.mark.parametrize("name, error, match, call", FAULTS, ids=[row[0] for row in FAULTS])
@pytest.mark.parametrize("reference", [False, True])
def test_an_op_tells_at_the_next_read(stand_in, name, error, match, call, reference):
    """In the op's own words, as on the CPU, and without having waited for the device."""
    with reference_mode() if reference else mg.enable_grad():
        y = call()
    if stand_in:
        assert not stand_in.ledger.all("sync", "d2h")
    with pytest.raises(error, match=match):
        mg.cuda.synchronize() if y is None else y.cpu()
    mg.cuda.synchronize()


def test_every_read_tells(stand_in):
    reads = (
        lambda t: t.item(), lambda t: t.tolist(), lambda t: t.cpu(), repr, bool, float, lambda t: 1.0 in t, lambda t: t.to("cpu"),
        lambda t: mg.cuda.synchronize(),
    )  # fmt: skip
    for read in reads:
        t = F.embedding(there([5]), mg.ones((2, 1), device="cuda"))
        with pytest.raises(IndexError, match="got 5"):
            read(t)
        read(mg.ones(1, device="cuda"))


def test_it_can_be_told_where_it_happens(stand_in, monkeypatch):
    """With CUDA_LAUNCH_BLOCKING=1."""
    monkeypatch.setattr(flags, "at_once", True)
    for _, error, match, call in FAULTS:
        with pytest.raises(error, match=match):
            call()
    mg.cuda.synchronize()


def test_the_reference_of_cross_entropy_runs_there(stand_in):
    x = there(rows_of(0, 4, 3))
    x.requires_grad_()
    (slope,) = mg.grad(F.cross_entropy(x, there([0, 2, 1, 1])), [x], create_graph=True)
    assert mg.grad((slope * slope).sum(), x).shape == (4, 3)


def test_parameters_are_as_they_were_where_labels_are_wrong(stand_in):
    """A wrong label reads no other's memory: the step is made with what the modulus gives, then it is told."""
    w = mg.ones((2, 3), device="cuda", requires_grad=True)
    loss = F.cross_entropy(w, there([0, 17]))
    loss.backward()
    with pytest.raises(ValueError, match="17"):
        loss.item()
    assert w.tolist() == [[1.0] * 3] * 2


def test_an_index_of_the_host_is_told_at_once(stand_in):
    with pytest.raises(IndexError, match="index 9 is out of range for axis 0 of size 3"):
        mg.ones(3, device="cuda")[[0, 9]]
    assert mg.ones(3, device="cuda")[[0, -3]].tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- no wait inside ops


def rows_of(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


LABELS = np.array([0, 2, 1, -100, 2])
UNWAITED = {
    "cross_entropy": lambda x, i: F.cross_entropy(x, i),
    "cross_entropy weighted": lambda x, i: F.cross_entropy(x, i, weight=x.detach()[0] * 0.0 + 0.5),
    "cross_entropy of nothing": lambda x, i: F.cross_entropy(x, i * 0 - 100),
    "linear_cross_entropy": lambda x, i: F.linear_cross_entropy(x, x.detach(), i * (i >= 0)),
    "embedding limited": lambda x, i: F.embedding(i * (i > 0), x, max_norm=0.5, scale_grad_by_freq=True, padding_idx=1).sum(),
    "bags, mean": lambda x, i: F.embedding_bag(i * (i > 0), x, i * 0 + mg.tensor([0, 1, 1, 3, 4]).to(i.device), mode="mean").sum(),
    "bags, max": lambda x, i: (F.embedding_bag(i * (i > 0), x, i * 0 + mg.tensor([0, 1, 1, 3, 4]).to(i.device), mode="max") ** 2).sum(),
    "rows": lambda x, i: (x[i * (i > 0)] ** 2).sum(),
    "gather": lambda x, i: (mg.gather(x, 0, (i * (i > 0)).reshape(-1, 1)) ** 2).sum(),
    "clip": lambda x, i: F.multi_margin_loss(x, i * (i > 0)),
    "multilabel": lambda x, i: F.multilabel_margin_loss(x[0], (i * (i > 0))[:3] * 0 + mg.tensor([1, 2, -1]).to(i.device)),
    "interpolate": lambda x, i: (F.interpolate(x.reshape(1, 1, 5, 3), size=(7, 5), mode="bilinear") ** 2).sum(),
}  # fmt: skip


@pytest.mark.parametrize("name", UNWAITED)
def test_ops_do_not_wait(stand_in, name):
    """The same numbers as on the CPU, and nothing read in between (after the first call, which sends tables over)."""
    raw, f, found = rows_of(0, 5, 3), UNWAITED[name], []
    for device in ("cpu", "cuda"):
        for _ in range(2):
            x, i = mg.tensor(raw, device=device, requires_grad=True), mg.tensor(LABELS, device=device)
            steps = mg.tensor([0, 1, 1, 3, 4]), mg.tensor([1, 2, -1])
            there_ = [s.to(device) for s in steps]
            before = mg.tensor
            mg.tensor = lambda data, there_=there_: there_[0 if len(data) == 5 else 1]
            try:
                if stand_in:
                    stand_in.ledger.clear()
                y = f(x, i)
                y.backward()
                waits = stand_in.ledger.transfers() if stand_in else []
            finally:
                mg.tensor = before
        found.append((y.item(), x.grad.cpu()._data, x.detach().cpu()._data))
        assert not waits, waits
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=2e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(found[1][2], found[0][2], rtol=2e-6)


@pytest.mark.parametrize("make", [lambda p: mg.optim.Adafactor(p), lambda p: mg.optim.Muon(p, lr=0.1)])
def test_optimisers_do_not_wait(stand_in, make):
    found = []
    for device in ("cpu", "cuda"):
        p = mg.tensor(rows_of(1, 4, 6), device=device, requires_grad=True)
        optimiser = make([p])
        for _ in range(3):
            if stand_in:
                stand_in.ledger.clear()
            optimiser.zero_grad()
            (p * p).sum().backward()
            optimiser.step()
            assert not stand_in or not stand_in.ledger.transfers()
        found.append(p.detach().cpu()._data)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_batch_norm_with_a_plain_average_does_not_wait(stand_in):
    found = []
    for device in ("cpu", "cuda"):
        layer = mg.nn.BatchNorm1d(3, momentum=None).to(device)
        for seed in range(3):
            x = mg.tensor(rows_of(seed, 4, 3), device=device)
            if stand_in:
                stand_in.ledger.clear()
            layer(x)
            assert not stand_in or not stand_in.ledger.transfers()
        found.append(layer.running_mean.cpu()._data)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------- devices


def test_devices_are_numbered(stand_in):
    if stand_in:
        stand_in.settings.devices = 3
    assert mg.cuda.is_available() and mg.cuda.device_count() >= 1
    last = mg.cuda.device_count() - 1
    x = mg.ones(2, device=f"cuda:{last}")
    assert str(x.device) == f"cuda:{last}" and (x + x).device == x.device
    with pytest.raises(TypeError, match=f"device: there is no 'cuda:{last + 1}'; the GPUs here end with 'cuda:{last}'"):
        mg.ones(2, device=f"cuda:{last + 1}")
    with mg.device(f"cuda:{last}"):
        assert str(mg.zeros(3).device) == str(mg.tensor([1.0]).device) == str(mg.rand(2).device) == f"cuda:{last}"
    assert mg.zeros(1).device.kind == mg.engine.backend.default_device().kind


def test_tensors_move_between_gpus(stand_in):
    if stand_in:
        stand_in.settings.devices = 2
    if mg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    w = mg.tensor([1.0, 2.0], device="cuda:0", requires_grad=True)
    y = (w * 3.0).to("cuda:1")
    (y * y).sum().backward()
    assert str(y.device) == "cuda:1" and str(w.grad.device) == "cuda:0" and w.grad.tolist() == [18.0, 36.0]


def test_the_current_gpu(stand_in):
    if stand_in:
        stand_in.settings.devices = 2
    last = mg.cuda.device_count() - 1
    try:
        mg.cuda.set_device(last)
        assert mg.cuda.current_device() == last and str(mg.device("cuda")) == f"cuda:{last}"
        assert str(mg.ones(1, device="cuda").device) == f"cuda:{last}"
    finally:
        mg.cuda.set_device(0)
    with mg.cuda.device(last):
        assert mg.cuda.current_device() == last
    assert mg.cuda.current_device() == 0
    for wrong in ("cpu", last + 1):
        with pytest.raises((ValueError, TypeError), match="cuda"):
            mg.cuda.set_device(wrong)


def test_what_a_gpu_is(stand_in):
    told = mg.cuda.get_device_properties("cuda:0")
    assert mg.cuda.get_device_name() == told.name and mg.cuda.get_device_capability(0) == (told.major, told.minor)
    assert told.total_memory > 0 and told.multi_processor_count > 0 and mg.cuda.is_bf16_supported()
    state = mg.cuda.get_rng_state()
    a = mg.rand(3, device="cuda").tolist()
    mg.cuda.set_rng_state(state)
    assert mg.rand(3, device="cuda").tolist() == a


def test_without_a_gpu_one_error_says_what_to_do():
    if mg.cuda.is_available():
        pytest.skip("there is one")
    assert mg.cuda.device_count() == 0 and not mg.cuda.is_bf16_supported()
    mg.cuda.synchronize()
    mg.cuda.empty_cache()
    mg.cuda.manual_seed(3)
    asked = (
        mg.cuda.current_device, mg.cuda.get_device_name, mg.cuda.memory_allocated, mg.cuda.mem_get_info, mg.cuda.Stream, mg.cuda.Event,
        mg.cuda.current_stream, mg.cuda.reset_peak_memory_stats, mg.ones(1).pin_memory, lambda: mg.cuda.set_device(0),
        lambda: mg.cuda.set_per_process_memory_fraction(0.5), lambda: mg.data.prefetch([]), lambda: mg.ones(1).to("cuda:1", non_blocking=True),
    )  # fmt: skip
    for question in asked:
        with pytest.raises(TypeError, match="`minigrad doctor`"):
            question()
    assert len(list(mg.data.DataLoader(mg.data.TensorDataset(np.arange(3)), pin_memory=True))) == 3


# ---------------------------------------------------------------- memory


def test_memory_is_counted(stand_in):
    mg.cuda.empty_cache()
    before = mg.cuda.memory_allocated()
    mg.cuda.reset_peak_memory_stats()
    x = mg.zeros(1000, 256, device="cuda")
    assert mg.cuda.memory_allocated() - before >= x.nbytes and mg.cuda.memory_reserved() >= mg.cuda.memory_allocated()
    y = x + 1.0
    peak = mg.cuda.max_memory_allocated()
    assert peak - before >= x.nbytes + y.nbytes
    del x, y
    assert mg.cuda.max_memory_allocated() == peak and mg.cuda.memory_allocated() == before
    free, total = mg.cuda.mem_get_info()
    assert 0 < free <= total
    assert mg.cuda.memory_stats()["allocated_bytes.all.peak"] == peak and "bytes.all.peak" in mg.cuda.memory_summary()
    mg.cuda.reset_peak_memory_stats()
    assert mg.cuda.max_memory_allocated() == mg.cuda.memory_allocated()


@pytest.fixture
def small(stand_in):
    """A GPU of 64 MiB, or what there is."""
    if stand_in:
        stand_in.settings.memory = 64 << 20
    mg.cuda.empty_cache()
    return stand_in


def test_out_of_memory_is_one_clear_error(small):
    free = mg.cuda.mem_get_info()[0]
    w = mg.ones(4, device="cuda", requires_grad=True)
    optimiser = mg.optim.SGD([w], lr=0.1)
    kept = mg.zeros(1 << 10, device="cuda")
    with pytest.raises(mg.cuda.OutOfMemoryError) as raised:
        loss = (mg.ones(1, free, device="cuda") * w.sum()).sum()
        loss.backward()
        optimiser.step()
    told = str(raised.value)
    assert "the GPU has no room for" in told and "test_cuda_backend.py:" in told and "Nothing was changed" in told
    assert w.tolist() == [1.0] * 4 and w.grad is None and kept.sum().item() == 0.0
    assert isinstance(raised.value, RuntimeError) and isinstance(raised.value, MemoryError)


def test_the_op_that_found_no_room_is_named(small):
    _, total = mg.cuda.mem_get_info()
    mg.cuda.set_per_process_memory_fraction(0.25)
    try:
        n = int((total * 0.25 - mg.cuda.memory_allocated()) / 8 * 0.6)
        x = mg.engine.tensor.wrap(mg.device("cuda").xp.empty(n, np.float64), None)
        with pytest.raises(mg.cuda.OutOfMemoryError, match=r"^add: the GPU has no room for .* limited to .*"):
            x + 1.0
        del x
        mg.zeros(8, device="cuda")
    finally:
        mg.cuda.set_per_process_memory_fraction(0.0)
    with pytest.raises(ValueError, match=r"fraction=2"):
        mg.cuda.set_per_process_memory_fraction(2)


def test_what_is_free_goes_back_before_it_fails(small):
    """Blocks that the pool holds for no array, of another stream, say, are given up and the array is made."""
    xp = mg.device("cuda").xp
    _, total = mg.cuda.mem_get_info()
    mg.cuda.set_per_process_memory_fraction(0.25)
    size = int(total * 0.25 * 0.6)
    try:
        with mg.cuda.stream(mg.cuda.Stream()):
            held = xp.empty(size, np.uint8)
            del held
        assert xp.empty(size, np.uint8).nbytes == size
    finally:
        mg.cuda.set_per_process_memory_fraction(0.0)


# ---------------------------------------------------------------- streams, pinned memory, prefetch


def test_streams_and_events(stand_in):
    s, x = mg.cuda.Stream(), mg.ones(8, device="cuda")
    s.wait_stream(mg.cuda.current_stream())
    start, end = mg.cuda.Event(enable_timing=True), mg.cuda.Event(enable_timing=True)
    with mg.cuda.stream(s):
        assert mg.cuda.current_stream() == s != mg.cuda.default_stream()
        start.record()
        y = x + 1.0
        end.record()
    end.wait()
    end.synchronize()
    assert end.query() and s.query() and start.elapsed_time(end) >= 0.0 and y.tolist() == [2.0] * 8
    assert mg.cuda.current_stream() == mg.cuda.default_stream() and hash(s) == hash(s) and "cuda:0" in repr(s)
    with mg.cuda.stream(None):
        pass
    with pytest.raises(ValueError, match="enable_timing=True"):
        mg.cuda.Event().elapsed_time(end)
    F.embedding(there([5]), mg.ones((2, 1), device="cuda"))
    with pytest.raises(IndexError, match="got 5"):
        mg.cuda.current_stream().synchronize()


def test_pinned_memory(stand_in):
    x = mg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    p = x.detach().pin_memory()
    assert p.is_pinned() and not x.is_pinned() and p.pin_memory() is p and p.tolist() == x.tolist()
    if stand_in:
        stand_in.ledger.clear()
    y = p.to("cuda", non_blocking=True)
    assert not stand_in or [e.what for e in stand_in.ledger.transfers()] == ["memcpyAsync"]
    assert y.tolist() == x.tolist() and p.T.to("cuda", non_blocking=True).tolist() == x.T.tolist()
    assert x.to("cuda", "float64", True).dtype == np.float64
    x.to("cuda", non_blocking=True).sum().backward()
    assert x.grad.tolist() == [[1.0] * 3] * 2
    with pytest.raises(TypeError, match="pin_memory: expected a tensor on the CPU, got one on cuda:0"):
        y.pin_memory()


def batches(workers=0, **how):
    data = mg.data.TensorDataset(rows_of(0, 11, 3), np.arange(11))
    return mg.data.DataLoader(data, batch_size=3, shuffle=True, generator=mg.engine.random.Generator(1), num_workers=workers, **how)


@pytest.mark.parametrize("ahead, pin_memory, workers", [(1, False, 0), (2, True, 0), (2, True, 2), (9, True, 0)])
def test_prefetched_batches_are_those_of_the_loader(stand_in, ahead, pin_memory, workers):
    plain, wanted = batches(), mg.data.prefetch(batches(workers, pin_memory=pin_memory), "cuda", ahead)
    assert len(wanted) == len(plain)
    for _ in range(2):
        for (x, i), (y, j) in zip(plain, wanted, strict=True):
            assert y.device.kind == j.device.kind == "cuda"
            assert x.tolist() == y.tolist() and i.tolist() == j.tolist()


def test_nobody_waits_for_a_prefetched_batch(stand_in):
    if not stand_in:
        pytest.skip("counted by the stand-in")
    loader = mg.data.prefetch(batches(pin_memory=True), "cuda")
    for (x, _), (_, _) in zip(loader, loader, strict=False):
        x * 2.0
    seen = stand_in.ledger.all("h2d", "d2h", "sync")
    assert {e.what for e in seen} == {"memcpyAsync"} and not stand_in.ledger.all("sync")


def test_a_prefetch_can_be_left_early(stand_in, monkeypatch):
    """What is still on its way is waited for by the stream that may reuse its memory."""
    waited, wait = [], mg.cuda.Stream.wait_stream
    monkeypatch.setattr(mg.cuda.Stream, "wait_stream", lambda self, other: (waited.append((self, other)), wait(self, other))[0])
    for _ in mg.data.prefetch(batches(pin_memory=True), "cuda"):
        break
    assert waited[-1][0] == mg.cuda.current_stream() != waited[-1][1]


def test_a_prefetch_knows_where_the_program_stands(stand_in):
    loader = mg.data.prefetch(batches(), "cuda")
    walk, first = iter(loader), []
    for _ in range(2):
        first.append(next(walk)[1].tolist())
    state, rest = loader.state_dict(), [i.tolist() for _, i in walk]
    again = mg.data.prefetch(batches(), "cuda")
    again.load_state_dict(state)
    assert [i.tolist() for _, i in again] == rest and state["position"] == 2
    with pytest.raises(ValueError, match="ahead=0"):
        mg.data.prefetch(batches(), "cuda", 0)


def test_batches_of_any_structure_go_over(stand_in):
    made = [{"x": mg.ones(2), "more": [mg.zeros(1), "word", 3]}, {"x": mg.ones(0), "more": (mg.ones(1, device="cuda"),)}]
    for there_, here in zip(mg.data.prefetch(made, "cuda"), made, strict=True):
        assert there_["x"].device.kind == "cuda" and there_["x"].tolist() == here["x"].tolist()
        assert type(there_["more"]) is type(here["more"]) and there_["more"][1:] == here["more"][1:]


def test_branches_on_two_gpus(stand_in):
    """Backward goes from one to the other and back; every gradient is made where its input is."""
    if stand_in:
        stand_in.settings.devices = 2
    if mg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    raw, found = rows_of(0, 3, 4), []
    for places in (("cpu", "cpu"), ("cuda:0", "cuda:1")):
        a, b = (mg.tensor(raw, device=place, requires_grad=True) for place in places)
        here, there_ = a, b
        for _ in range(3):
            here, there_ = mg.tanh(here * 2.0), F.softmax(there_, 1) * 3.0
        y = (here + there_.to(places[0]) * a).sum()
        y.backward()
        assert [str(t.grad.device) for t in (a, b)] == list(places)
        found.append([y.item(), a.grad.cpu()._data, b.grad.cpu()._data])
        optimiser = mg.optim.SGD([a, b], lr=0.1)
        optimiser.step()
        found[-1] += [a.detach().cpu()._data, b.detach().cpu()._data]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- doctor


@pytest.mark.parametrize(
    "driver, packages, advice",
    [
        ("12.4", {"cupy-cuda12x": "13.6.0"}, ""),
        ("13.0", {"cupy-cuda12x": "14.2.0"}, ""),  # a newer driver runs what was made for an older CUDA
        ("12.4", {"cupy-cuda13x": "14.2.0"}, "pip uninstall -y cupy-cuda13x && pip install 'cupy-cuda12x[ctk]'"),
        ("12.4", {"cupy-cuda12x": "13.3.0"}, "pip install 'cupy-cuda12x[ctk]' --upgrade"),
        ("12.4", {"cupy-cuda11x": "12.0.0"}, "pip install 'cupy-cuda12x[ctk]' --upgrade"),
        ("12.4", {"cupy": "14.0.0", "cupy-cuda12x": "14.0.0"}, "pip uninstall -y cupy cupy-cuda12x && pip install 'cupy-cuda12x[ctk]'"),
    ],
)
def test_doctor_sees_a_cupy_that_does_not_fit(driver, packages, advice):
    from minigrad import doctor

    told = doctor.cupy_advice(driver, packages)
    assert told.startswith(advice) and bool(told) == bool(advice)


def test_doctor_of_a_gpu(stand_in, monkeypatch):
    from minigrad import doctor

    if stand_in:
        monkeypatch.setattr(doctor, "cuda_driver", lambda: "12.8")
    found = {finding.what: finding.state for finding in doctor.examine()}
    assert found["GPU"].startswith("ready: ") and "free" in found["GPU"] and found["kernels"].endswith("CUDA kernels")
    monkeypatch.setattr(doctor, "cuda_is_available", lambda: False)
    missing = next(finding for finding in doctor.examine() if finding.what == "GPU")
    assert "missing or not working" in missing.state and missing.advice.startswith("pip ")


def test_warming_up_compiles_every_kernel_once(stand_in, monkeypatch):
    from minigrad import doctor
    from minigrad_kernels.cuda import launch, names

    every, made, told = doctor.instances(), [], []
    assert {file for file, _ in every} == set(names()) and len(set(every)) == len(every)

    def compiled(library, device, file, expression):
        made.append((file, expression))
        if expression.startswith("random_words"):
            raise RuntimeError("first line\nsecond")

    monkeypatch.setattr(launch, "_loaded", compiled)
    failed = doctor.warm_up(lambda done, of, name: told.append((done, of, name)))
    assert sorted(made) == sorted(every) and failed == ["random: random_words: first line"]
    assert [done for done, _, _ in told] == list(range(1, len(every) + 1)) and told[-1][1] == len(every)


def test_tables_go_over_once(stand_in):
    for layer in (mg.nn.SinusoidalPositions(4), mg.nn.RotaryPositions(4).turn, lambda x: F.interpolate(x[None], size=7, mode="linear")):
        here = mg.tensor(rows_of(0, 3, 5, 4))
        there_ = here.to("cuda")
        first = layer(there_[0])
        if stand_in:
            stand_in.ledger.clear()
        second = layer(there_[1])
        assert not stand_in or not stand_in.ledger.transfers()
        np.testing.assert_allclose(first.cpu()._data, layer(here[0])._data, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(second.cpu()._data, layer(here[1])._data, rtol=1e-6, atol=1e-6)


def test_tables_that_a_graph_knows_are_kept(stand_in, monkeypatch):
    from minigrad.engine import backend, live

    monkeypatch.setattr(backend, "CONSTANTS", 1)
    backend._constants.clear()
    xp = mg.device("cuda").xp
    with live.kept(lambda *how: None):
        held = backend.constant(xp, np.arange(3))
    backend.constant(xp, np.arange(4))
    assert any(a is held for a in backend._captured.values()) and len(backend._constants) == 1
    assert backend.constant(np, np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("raw", [[2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0], [[1.0, 2.0], [0.0, 3.0]], [5.0], [[]], [1.5, -2.0, 0.0, 3.0, 0.5, 0.0, 2.0]])
def test_products_do_not_ask_for_zeros(stand_in, raw):
    for f in (lambda x: x.prod(), lambda x: (x.prod(-1) * 2.0).sum(), lambda x: (mg.cumprod(x, -1) ** 2).sum()):
        found = []
        for device in ("cpu", "cuda"):
            x = mg.tensor(raw, device=device, requires_grad=True)
            if stand_in:
                stand_in.ledger.clear()
            f(x).backward()
            assert not stand_in or not stand_in.ledger.transfers()
            (slope,) = mg.grad(f(x), [x], create_graph=True)
            found.append([x.grad.cpu()._data, mg.grad((slope * slope).sum(), x).cpu()._data])
        for here, there_ in zip(*found, strict=True):
            np.testing.assert_allclose(there_, here, rtol=1e-5)
