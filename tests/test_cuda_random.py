"""Random numbers on a GPU: the bits of the CPU, made by random.cu."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, took, watched

import minigrad as mg
from minigrad.engine import live, random
from minigrad.engine.random import Generator


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 1023, (1 << 40) + 1])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 257, 1500])
def test_words_are_those_of_the_cpu(stand_in, start, n):
    xp, found = mg.device("cuda").xp, []
    for library in (np, xp):
        g = Generator(5)
        g.key, g.position = (123456789012345678, 987654321), start
        found.append(g.bits(n, library))
        assert g.position == start + n
    assert (from_gpu(found[1]) == found[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_uniform_numbers_are_those_of_the_cpu(stand_in, dtype):
    dtype, xp = mg.engine.backend.as_dtype(dtype), mg.device("cuda").xp
    here, there, text = Generator(1), Generator(1), Generator(1)
    for shape in ((), (1,), (7,), (3, 5), (0, 2), (33, 65)):
        with watched("random_uniform") as made:
            new = there.random(shape, dtype, xp)
        with mg.engine.kernels.reference_mode():
            spelled = text.random(shape, dtype, xp)
        old = here.random(shape, dtype)
        assert took(made) or not old.size
        assert (
            from_gpu(new).dtype == dtype and (from_gpu(new) == old).all() and (from_gpu(spelled) == old).all()
        )
        assert here.position == there.position == text.position


def test_numbers_that_round_up_to_one_are_held_below(stand_in):
    xp = mg.device("cuda").xp
    for dtype in ("float16", "bfloat16"):
        u = Generator(3).random((40_000,), mg.engine.backend.as_dtype(dtype), xp)
        assert float(from_gpu(u).astype(np.float32).max()) < 1.0


def test_other_draws_are_those_of_the_cpu(stand_in):
    xp = mg.device("cuda").xp
    draws = (
        lambda g, lib: g.integers(-3, 9, (50,), lib),
        lambda g, lib: g.bernoulli(0.3, (50,), lib),
        lambda g, lib: g.uniform(-1.0, 2.0, (51,), np.float32, lib),
    )
    for draw in draws:
        assert (from_gpu(draw(Generator(2), xp)) == draw(Generator(2), np)).all()
    normal = Generator(2).standard_normal((51,), np.float64, xp)
    np.testing.assert_allclose(from_gpu(normal), Generator(2).standard_normal((51,)), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_has_the_mask_of_the_cpu(stand_in, dtype, p):
    for shape in ((1,), (6,), (5, 13), (2, 0), (1000,)):
        raw = np.linspace(-2, 2, max(int(np.prod(shape)), 1))[: int(np.prod(shape))].reshape(shape)
        results = []
        for name in ("cpu", "cuda"):
            mg.manual_seed(4)
            _ = mg.rand(3)  # the mask begins inside of a block of words
            x = mg.tensor(raw, dtype=dtype, device=name).requires_grad_()
            with watched("dropout") as made:
                y = mg.nn.functional.dropout(x, p)
            y.sum().backward()
            results.append((y, x.grad, random.get_state()))
            if name == "cuda" and x.size:
                assert any(r is not NotImplemented for r in made["dropout"])
        (y0, g0, s0), (y1, g1, s1) = results
        assert s0 == s1 and y1.dtype == y0.dtype
        for here, there in ((y0, y1), (g0, g1)):
            assert ((from_gpu(there._data) == 0) == (here._data == 0)).all()
            if dtype.endswith("16"):  # the CPU makes them in float32, mask and all, and rounds once
                close(from_gpu(there._data), here._data, dtype)
            else:
                assert (from_gpu(there._data) == here._data).all()


def test_dropout_of_a_view_and_of_a_generator(stand_in):
    raw = np.arange(24.0, dtype=np.float32).reshape(4, 6) + 1
    for cut in (lambda a: a.T, lambda a: a[:, ::2], lambda a: a.reshape(-1)[1:]):
        found = []
        for name in ("cpu", "cuda"):
            x = cut(mg.tensor(raw, device=name))
            found.append(mg.dropout(x, p=0.5, generator=Generator(9)).cpu())
        assert (found[0]._data == found[1]._data).all()
    x = mg.ones(4, device="cuda")
    with pytest.raises(ValueError, match=r"dropout: .* \(p=1.5\)"):
        mg.dropout(x, p=1.5)
    assert mg.dropout(x, p=0.0).tolist() == [1.0] * 4 and mg.dropout(x, p=1.0).tolist() == [0.0] * 4


def test_a_captured_draw_takes_its_place_from_the_device(stand_in):
    """What a captured step does: the kernels get an array, which is filled before every replay."""
    xp, places = mg.device("cuda").xp, []

    def keep(make, shape, dtype):
        places.append((make, xp.zeros(shape, dtype)))
        places[-1][1].set(make())
        return places[-1][1]

    g, h = Generator(7), Generator(7)
    _ = g.bits(1), h.bits(1)
    with live.kept(keep):
        there = [g.random((5, 3), np.float32, xp), g.bits(6, xp), g.random((4,), np.float64, xp)]
        dropped = mg.dropout(mg.ones((3, 3), device="cuda"), p=0.5, generator=g)
    here = [h.random((5, 3), np.float32), h.bits(6), h.random((4,), np.float64)]
    assert len(places) == 4 and g.position == h.position + 5
    assert all((from_gpu(a) == b).all() for a, b in zip(there, here, strict=True))
    assert (dropped.cpu()._data == mg.dropout(mg.ones((3, 3)), p=0.5, generator=h)._data).all()
