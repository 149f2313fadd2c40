"""What CuPy 13.6 and 14.2 lack or do in their own way (read in their sources), as the stand-in has it."""

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture
def older(stand_in, monkeypatch):
    if not stand_in:
        pytest.skip("needs the stand-in")
    monkeypatch.setattr(stand_in.cupy, "__version__", "13.6.0")


def bfloat16(*shape):
    pytest.importorskip("ml_dtypes")
    x = np.random.default_rng(0).standard_normal(shape).astype("f")
    return mg.tensor(x).to("bfloat16")


@pytest.mark.parametrize("f", [
    lambda x: mg.where(x > 0, x, 0.0), lambda x: mg.tril(x), lambda x: mg.triu(x, 1), lambda x: mg.argsort(x, 0),
    lambda x: mg.sort(x), lambda x: mg.maximum(x, 0.5), lambda x: 2.1 * x - 0.1, lambda x: 1.0 / x, lambda x: x > 0.1,
])  # fmt: skip
def test_what_cupy_gives_in_float32_stays_bfloat16(stand_in, f):
    x = bfloat16(5, 5)
    there, here = f(x.to("cuda")), f(x)
    assert there.dtype == here.dtype
    assert (there.cpu().numpy() == here.numpy()).all()


def test_gradients_of_where_stay_bfloat16(stand_in):
    x = bfloat16(7).to("cuda").requires_grad_()
    with mg.reference_mode():
        mg.where(x > 0, x, 0.0).sum().backward()
        x.maximum(0.5).sum().backward()
    assert x.grad.dtype == x.dtype


def test_cupy_13_has_no_bfloat16(older):
    x = bfloat16(3)
    for make in (
        lambda: x.to("cuda"), lambda: mg.zeros(3, dtype="bfloat16", device="cuda"),
        lambda: mg.ones(3, device="cuda").to("bfloat16"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="needs CuPy 14"):
            make()
    assert not mg.cuda.is_bf16_supported()


def test_streams_of_cupy_13_have_no_priority(older):
    with mg.cuda.stream(mg.cuda.Stream(priority=-1)):
        assert (mg.ones(3, device="cuda") + 1).sum().item() == 6


def test_sparse_numbers_with_cupy_13(older):
    x = mg.nn.init.sparse_(mg.zeros(10, 3, device="cuda"), 0.25)
    assert ((x == 0).sum(0).cpu().numpy() == 3).all()


def test_many_arrays_are_joined_without_a_copy_from_the_host(stand_in):
    def step(x):
        parts = [x * i for i in range(12)]
        y = mg.concatenate(parts, -1).sum() + mg.stack(parts, 1).square().sum()
        y.backward()
        return mg.nn.utils.clip_grad_norm_([x] * 9, 1.0)

    x = np.arange(6, dtype="f").reshape(2, 3)
    here, there = (mg.tensor(x, device=place, requires_grad=True) for place in ("cpu", "cuda"))
    if stand_in:
        stand_in.ledger.clear()
    got = step(there)
    if stand_in:
        assert not stand_in.ledger.transfers()
    np.testing.assert_allclose(got.cpu().numpy(), step(here).numpy(), rtol=1e-5)
    np.testing.assert_allclose(there.grad.cpu().numpy(), here.grad.numpy(), rtol=1e-5)


def test_cupy_itself_sends_addresses(stand_in):
    if not stand_in:
        pytest.skip("needs the stand-in")
    cupy = stand_in.cupy
    parts = [cupy.ones(3) for _ in range(9)]
    stand_in.ledger.clear()
    cupy.concatenate(parts[:8])
    assert not stand_in.ledger.transfers()
    cupy.concatenate(parts)
    assert stand_in.ledger.count("h2d") == 1


def test_small_whole_numbers_and_a_float_are_float64(older):
    x = np.array([1, 2, 250], np.uint8)
    for make in (lambda t: t / 255.0, lambda t: 0.1 * t, lambda t: (t > 1) * 0.3, lambda t: t > 1.5):
        here, there = make(mg.tensor(x)), make(mg.tensor(x, device="cuda"))
        assert here.dtype == there.dtype
        assert (here.numpy() == there.cpu().numpy()).all()


def test_the_users_allocator_stays(stand_in, monkeypatch):
    if not stand_in:
        pytest.skip("needs the stand-in")
    from minigrad.engine import gpu

    pool = stand_in.cupy.cuda.MemoryPool()
    stand_in.cupy.cuda.set_allocator(pool.malloc)
    monkeypatch.setattr(gpu._Process, "cupy", None)
    x = mg.ones(100, device="cuda")
    assert pool.used_bytes() >= x._data.nbytes
    with stand_in.cupy.cuda.using_allocator(pool.malloc):
        monkeypatch.setattr(gpu._Process, "cupy", None)
        assert (x + 1).sum().item() == 200
