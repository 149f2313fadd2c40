"""The engine's classic traps: order, accumulation, lifetime, in-place changes, higher orders."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import op as op_module
from minigrad.engine.op import REGISTRY, op


def leaf(*values, shape=None):
    return mg.tensor(np.array(values, np.float64).reshape(shape or len(values)), requires_grad=True)


# ---------------------------------------------------------------- order and accumulation


def test_a_node_waits_for_all_its_users():
    a = mg.tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.item() == 4.0  # depth first, b would be passed twice, and a given 6 or more


def test_micrograds_longer_expression():
    a, b = leaf(-4.0), leaf(2.0)
    c = a + b
    d = a * b + b**3
    c = c + c + 1
    c = c + 1 + c + (-a)
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    f = (c - d) ** 2
    g = f / 2.0 + 10.0 / f
    g.backward()
    assert g.item() == pytest.approx(24.70408163265306)
    assert (a.grad.item(), b.grad.item()) == pytest.approx((138.83381924198252, 645.5772594752186))


def test_the_same_tensor_twice_in_one_op():
    x = leaf(3.0, 5.0)
    (x * x).sum().backward()
    assert x.grad.tolist() == [6.0, 10.0]
    y = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (y @ y).sum().backward()
    assert y.grad.tolist() == [[7.0, 11.0], [9.0, 13.0]]


def test_gradients_add_up_over_backwards_until_zeroed():
    x = leaf(2.0)
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad.tolist() == [12.0]
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [4.0]


def test_leaves_get_gradients_of_their_own():
    x, y = leaf(1.0), leaf(2.0)
    z = x + y
    seed = mg.tensor(np.array([1.0]))
    z.backward(seed)
    x.grad.data[0] = 7.0  # x's gradient must share its memory with nobody
    assert y.grad.tolist() == [1.0]
    assert seed.tolist() == [1.0]


def test_a_node_whose_only_use_is_an_index():
    x = leaf(3.0, 1.0, 2.0)
    order = (x * 2.0).argsort()
    assert not order.requires_grad
    x[order].sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_steps_come_newest_first_one_per_node():
    x = leaf(1.0, 2.0)
    y = (x * x + x).sum()
    steps = list(mg.backprop(y))
    numbers = [step.node.number for step in steps]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == len(set(numbers)) == 4
    assert [s.node.op.name if s.node.op else "leaf" for s in steps] == ["sum", "add", "mul", "leaf"]
    assert steps[-1].g.tolist() == [3.0, 5.0]


# ---------------------------------------------------------------- refusals


def test_a_second_backward_names_the_op():
    x = leaf(1.0)
    y = x.exp()
    y.backward()
    with pytest.raises(ValueError, match=r"graph through 'exp' was already used.*retain_graph"):
        y.backward()
    z = x.exp()
    z.backward(retain_graph=True)
    z.backward()


def test_backward_of_what_is_not_a_scalar():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"expected a scalar, got shape \(2,\)"):
        (x * 2.0).backward()
    with pytest.raises(ValueError, match=r"expected gradient of shape \(2,\), got \(3,\)"):
        (x * 2.0).backward(mg.ones(3))
    with pytest.raises(ValueError, match="no history"):
        mg.tensor([1.0]).backward()


def test_integers_carry_no_gradient():
    with pytest.raises(TypeError, match="only floating tensors carry gradients, got int64"):
        mg.tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match="only floating"):
        mg.arange(3).requires_grad_()
    assert not leaf(1.5).astype("int64").requires_grad


# ---------------------------------------------------------------- in-place changes


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.detach().__setitem__(0, 9.0),
        lambda x: setattr(x, "data", x.data.__isub__(1.0)),
        lambda x: x[1:].detach().fill_(3.0),
        lambda x: mg.optim.SGD([x], lr=1.0).step(),
        lambda x: mg.nn.init.zeros_(x),
    ],
    ids=["setitem", "data -=", "through a view", "an optimiser's step", "an initialiser"],
)
def test_a_saved_array_that_changed_is_an_error(change):
    x = leaf(1.0, 2.0)
    x.grad = mg.ones(2, dtype="float64")
    y = (x * x).sum()
    with mg.no_grad():
        change(x)
    with pytest.raises(ValueError, match=r"'mul' saved a \(2,\), which was changed in place"):
        y.backward()


def test_a_change_before_the_op_or_of_what_is_not_saved_is_fine():
    x = leaf(1.0, 2.0)
    x.data -= 1.0
    y = (x + x).sum()  # add saves nothing
    with mg.no_grad():
        x -= 1.0
    y.backward()
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.cpu  # NumPy's arrays can be locked, CuPy's cannot
def test_a_computed_tensors_data_is_read_only():
    y = leaf(1.0, 2.0).exp()
    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 5.0


def test_in_place_on_a_leaf_while_recording_is_refused():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match="a leaf that requires grad cannot be changed in place"):
        x += 1.0
    with pytest.raises(ValueError, match="a leaf that requires grad"):
        x[0] = 3.0


def test_in_place_on_a_computed_tensor_keeps_its_history_right():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2.0
    before = y
    view = y[0:2]
    y += x
    y[0] = x[2] * 10.0
    assert y is before
    assert view.tolist() == [2.0, 4.0]  # taken before: nothing was overwritten under it
    (y.sum() + view.sum()).backward()
    assert x.grad.tolist() == [2.0, 5.0, 13.0]


# ---------------------------------------------------------------- hooks, retain_grad, grad()


def test_hooks_replace_and_come_off():
    x = leaf(1.0, 2.0)
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    y = x * 3.0
    y.register_hook(lambda g: g * 10.0)
    y.sum().backward()
    assert seen == [[30.0, 30.0]]
    handle.remove()
    x.sum().backward()
    assert len(seen) == 1
    y = x * 1.0
    y.register_hook(lambda g: mg.ones(5))
    with pytest.raises(ValueError, match=r"hook: expected a gradient of shape \(2,\)"):
        y.sum().backward()


def test_retain_grad_keeps_a_computed_tensors_gradient():
    x = leaf(2.0)
    y = (x * x).retain_grad()
    (y * 3.0).sum().backward()
    assert y.grad.tolist() == [3.0]
    assert (x * x).grad is None


def test_grad_changes_no_grad_and_knows_what_is_unused():
    x, w = leaf(2.0), leaf(5.0)
    mid = x * x
    y = (mid * 3.0).sum()
    g_mid, g_x = mg.grad(y, [mid, x], retain_graph=True)
    assert (g_mid.tolist(), g_x.tolist(), x.grad) == ([3.0], [12.0], None)
    with pytest.raises(ValueError, match=r"does not depend on xs\[1\]"):
        mg.grad(y, [x, w], retain_graph=True)
    assert mg.grad(y, [x, w], allow_unused=True)[1] is None


def test_derivatives_of_order_three():
    x = leaf(2.0)
    y = x**4
    for value in (32.0, 48.0, 48.0):
        y = mg.grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(value)


def test_vjp_jvp_jacobian_hessian():
    a = mg.tensor(np.arange(1.0, 4.0))
    f = lambda x: mg.stack([x.prod(), (x * x).sum()])
    jacobian = mg.jacobian(f, a)
    assert jacobian.tolist() == [[6.0, 3.0, 2.0], [2.0, 4.0, 6.0]]
    _, back = mg.vjp(f, a)
    assert back(mg.tensor(np.array([1.0, 1.0]))).tolist() == [8.0, 7.0, 8.0]
    assert mg.jvp(f, a, mg.tensor(np.array([1.0, 0.0, 1.0])))[1].tolist() == [8.0, 8.0]
    assert mg.hessian(lambda x: x.prod(), a).tolist() == [[0, 3, 2], [3, 0, 1], [2, 1, 0]]
    with pytest.raises(ValueError, match="scalar function"):
        mg.hessian(f, a)


def test_second_derivatives_through_transposes_and_jacobians():
    a = mg.tensor(np.arange(6.0).reshape(1, 2, 3))
    turned = lambda x: mg.transpose(x, (-1, 0, -2)) ** 2 * mg.tensor(np.arange(6.0).reshape(3, 1, 2))
    assert mg.gradcheck(turned, a, order=2)
    x = leaf(1.0, 2.0)
    rows = mg.jacobian(lambda t: t * t * t, x, create_graph=True)
    (second,) = mg.grad(rows.sum(), [x])
    assert second.tolist() == [6.0, 12.0]


# ---------------------------------------------------------------- fused ops


@pytest.fixture
def fused():
    """x * t in one op, whose reference is written in plain ops."""

    def joint(g, needs, a, b):
        return g * b, g * a

    @op(joint=joint, reference=lambda a, b: a * b)
    def fused_product(xp, a, b):
        return a * b

    yield fused_product
    del REGISTRY["fused_product"]


def test_a_fused_op_counts_a_shared_input_once(fused):
    for f in (lambda x: x * mg.tanh(x), lambda x: fused(x, mg.tanh(x))):
        x = leaf(0.7)
        first = mg.grad(f(x).sum(), x, create_graph=True)
        second = mg.grad(first.sum(), x)
        t = np.tanh(0.7)
        assert first.item() == pytest.approx(t + 0.7 * (1 - t * t), rel=1e-14)
        assert second.item() == pytest.approx(2 * (1 - t * t) - 2 * 0.7 * t * (1 - t * t), rel=1e-14)


def test_an_op_is_read_when_it_is_declared():
    with pytest.raises(TypeError, match=r"VJPs missing for \['b'\]"):
        op(a=lambda g: g)(lambda xp, a, b: a + b)
    with pytest.raises(TypeError, match="names 'c'"):
        op(a=lambda g, c: g)(lambda xp, a: a)
    with pytest.raises(TypeError, match="first parameter is g"):
        op(a=lambda grad: grad)(lambda xp, a: a)


def test_a_plain_op_must_return_the_exact_shape():
    @op(x=lambda g: g)
    def shrinks(xp, x):
        return x.sum(axis=0)

    try:
        with pytest.raises(
            ValueError, match=r"shrinks: the VJP of x must return its shape \(2, 3\), got \(3,\)"
        ):
            shrinks(mg.ones((2, 3), requires_grad=True)).sum().backward()
    finally:
        del REGISTRY["shrinks"]


@pytest.mark.cpu
def test_a_kernel_takes_the_job_declines_it_or_is_turned_off():
    exp = REGISTRY["exp"]
    exp.kernels["cpu"] = lambda x: x * 0 + 42.0 if x.size == 2 else NotImplemented
    try:
        assert mg.exp(mg.zeros(2)).tolist() == [42.0, 42.0]
        assert mg.exp(mg.zeros(1)).tolist() == [1.0]
        with mg.reference_mode():
            assert mg.exp(mg.zeros(2)).tolist() == [1.0, 1.0]
    finally:
        del exp.kernels["cpu"]
    assert op_module.REGISTRY is REGISTRY


# ---------------------------------------------------------------- no_grad and checkpoint


def test_no_grad_is_per_thread_and_restores():
    x = leaf(1.0)
    seen = []
    with mg.no_grad():
        assert not (x * x).requires_grad
        thread = threading.Thread(target=lambda: seen.append((x * x).requires_grad))
        thread.start()
        thread.join()
        with mg.enable_grad():
            assert (x * x).requires_grad
    assert seen == [True]
    assert mg.is_grad_enabled()
    with mg.set_grad_enabled(False):
        assert not mg.is_grad_enabled()
    mg.set_grad_enabled(False)
    assert not (x * x).requires_grad
    mg.set_grad_enabled(True)

    @mg.no_grad()
    def decorated(t):
        return (t * t).requires_grad

    assert not decorated(x)
    with pytest.raises(RuntimeError), mg.no_grad():
        raise RuntimeError
    assert mg.is_grad_enabled()


def test_checkpoint_gives_the_same_gradients_and_saves_less():
    mg.manual_seed(3)
    w = mg.randn(20, 20, dtype="float64", requires_grad=True)
    x = mg.randn(5, 20, dtype="float64", requires_grad=True)

    def block(h):
        return mg.dropout(mg.tanh(h @ w), p=0.3)

    state = mg.get_state()
    plain = mg.grad(block(block(x)).sum(), [x, w])
    mg.set_state(state)
    y = mg.checkpoint(block, mg.checkpoint(block, x))
    assert not any(isinstance(v, np.ndarray) and v is w.data for v in y.node.saved)
    found = mg.grad(y.sum(), [x, w])
    for a, b in zip(plain, found, strict=True):
        np.testing.assert_array_equal(a.cpu().numpy(), b.cpu().numpy())
    assert y.node.inputs[0].op.name == "checkpoint"


def test_checkpoint_needs_one_tensor():
    with pytest.raises(TypeError, match="f must return one Tensor"):
        mg.checkpoint(lambda x: (x, x), leaf(1.0))


# ---------------------------------------------------------------- lifetime and depth


@pytest.mark.cpu  # tracemalloc sees NumPy's memory
def test_memory_dies_with_the_last_name_without_the_collector():
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = x * 2.0
        z = (y * y).sum()
        gone = weakref.ref(y)
        del y
        assert gone() is None  # nodes hold arrays, not Tensors
        big = mg.zeros(1000, requires_grad=True)
        tracemalloc.start()
        for step in range(2300):
            if step == 2000:  # what NumPy and Python keep for reuse is there by now
                before = tracemalloc.get_traced_memory()[0]
            loss = (big.exp() * big).sum()
            loss.backward()
            del loss
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert after - before < 2_000
        assert z.requires_grad
    finally:
        gc.enable()


def test_adding_up_losses_under_no_grad_keeps_no_graph():
    w = leaf(1.0)
    total = mg.tensor(0.0, dtype="float64")
    for _ in range(50):
        loss = (w * w).sum()
        with mg.no_grad():
            total = total + loss
    assert total.node is None
    assert total.item() == 50.0


def test_a_graph_of_100000_nodes_needs_no_recursion():
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 100_001.0
    del y  # and none when it is taken down


# ---------------------------------------------------------------- anomalies, and arrays of another library


def test_detect_anomaly_names_the_op_that_made_the_first_nan():
    x = leaf(1.0, 0.0)
    with (
        mg.detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"log \(at .*test_backprop.py.*-inf at index \(1,\)"),
    ):
        mg.log(x)
    with mg.detect_anomaly():
        y = (x * x).sum()
        x.data[0] = 7.0  # unannounced: only here is it seen
        with pytest.raises(ValueError, match="was written to"):
            y.backward()


class Elsewhere:
    """Stands for an array of another library."""

    __cuda_array_interface__ = {}
    dtype, shape, ndim, size, base = np.dtype("float32"), (2,), 1, 2, None


def test_arrays_of_two_devices_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(op_module, "xp_of", lambda a: "gpu" if isinstance(a, Elsewhere) else np)
    x = mg.ones(2)
    with pytest.raises(TypeError, match=r"add: expected all arrays on one device, got a on cpu, b on cuda"):
        mg.add(x, Elsewhere())
