"""Textbook examples with exact answers: graph blocks, the hinge, a two-layer net, convolution and pooling by hand."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.models import LeNet5, resnet20
from minigrad.nn import functional as F

IMAGE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
NINE = np.arange(1.0, 10.0).reshape(3, 3).tolist()


def conv(image, kernel, padding):
    return F.conv2d(
        mg.tensor([[image]], dtype="float64"), mg.tensor([[kernel]], dtype="float64"), padding=padding
    )[0, 0].tolist()


def number(value):
    return mg.tensor(np.array(value, dtype=np.float64), requires_grad=True)


def test_graph_blocks():
    a, b = number(3.0), number(-2.0)
    s = 1 / (1 + np.exp(-3.0))
    blocks = [
        (a + b, [1.0, 1.0]),
        (a - b, [1.0, -1.0]),
        (a * b, [-2.0, 3.0]),
        (mg.maximum(a, b), [1.0, 0.0]),
        (mg.maximum(b, a), [1.0, 0.0]),
        (mg.sigmoid(a) + 0.0 * b, [s * (1 - s), 0.0]),
    ]
    for block, local in blocks:
        assert [g.item() for g in mg.grad(block, [a, b])] == pytest.approx(local, rel=1e-15, abs=0)


def test_where_the_blocks_leave_the_slope_open():
    """At a tie the printed 1[a > b] and 1[a < b] are both 0: here each side gets half. ReLU at 0 gets 0, and below."""
    a, b = number(1.5), number(1.5)
    assert [g.item() for g in mg.grad(mg.maximum(a, b), [a, b])] == [0.5, 0.5]
    z = number([-1.0, 0.0, 1.0])
    mg.relu(z).sum().backward()
    assert z.grad.tolist() == [0.0, 0.0, 1.0]


def test_a_chain_is_the_product_of_its_edges():
    """Forward f_i, backward g_i: sigma(max(a b, c)) - d, its gradients received at every node."""
    trace = mg.trace(lambda a, b: mg.sigmoid(mg.maximum(a * b, 1.0)) - 0.25, 3.0, 0.5)
    s = 1 / (1 + np.exp(-1.5))
    assert trace.loss.data == pytest.approx(s - 0.25, rel=1e-15)
    assert trace["a"].grad == pytest.approx(1.0 * s * (1 - s) * 1.0 * 0.5, rel=1e-15)
    assert trace["b"].grad == pytest.approx(1.0 * s * (1 - s) * 1.0 * 3.0, rel=1e-15)


@pytest.mark.parametrize(
    ("w", "y", "margin"), [([2.0, -1.0], 1.0, 0.0), ([9.0, 1.0], 1.0, 5.5), ([9.0, 1.0], -1.0, -5.5)]
)
def test_hinge(w, y, margin):
    phi = np.array([0.5, 1.0])
    w = number(w)
    loss = mg.maximum(1.0 - (w * mg.tensor(phi)).sum() * y, 0.0)
    loss.backward()
    assert loss.item() == max(1 - margin, 0)
    assert w.grad.tolist() == (-(margin < 1) * phi * y).tolist()


def test_two_layer_net():
    """Every printed digit, in float64."""
    phi, y, v1, v2, w = map(number, ([1.5, -0.7, 0.6], 1.8, [1.1, -1.0, -0.5], [2.0, 1.0, 1.2], [2.0, 0.6]))
    z = mg.stack([v1 @ phi, v2 @ phi])
    hidden = mg.sigmoid(z)
    score = w @ hidden
    residual = score - y
    loss = residual**2
    slope = mg.grad(hidden, [z], mg.ones(2, dtype="float64"), retain_graph=True)[0]
    to_score = mg.grad(loss, [score], retain_graph=True)[0]
    loss.backward()
    near = lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=1e-15, atol=5e-17)
    near(z.tolist(), [2.05, 3.02])
    near(hidden.tolist(), [0.8859476187202091, 0.9534695254852685])
    near(slope.tolist(), [0.1010444356042001, 0.0443653894561654])
    near(score.item(), 2.3439769527315795)
    near(residual.item(), 0.5439769527315795)
    near(loss.item(), 0.2959109251031350)
    near(to_score.item(), 1.0879539054631590)
    near(y.grad.item(), -1.0879539054631590)
    near(w.grad.tolist(), [0.9638701718224371, 1.0373308939918027])
    near(v1.grad.tolist(), [0.3297950650227304, -0.1539043636772742, 0.1319180260090922])
    near(v2.grad.tolist(), [0.0434407488536063, -0.0202723494650163, 0.0173762995414425])
    near(phi.grad.tolist(), [0.2997707128214774, -0.1909028774460828, -0.0751790892580251])
    h1 = hidden[0].item()
    near(v1.grad.tolist(), 2 * residual.item() * 2.0 * h1 * (1 - h1) * np.array([1.5, -0.7, 0.6]))


def test_padding_by_hand():
    kernel = [[10, 20, 30], [40, 50, 60], [30, 20, 10]]
    assert conv(NINE, kernel, 1) == [[300, 600, 500], [800, 1370, 1000], [1060, 1540, 940]]


def test_valid_same_and_full():
    assert conv(IMAGE, CROSS, "valid") == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert conv(IMAGE, CROSS, "same") == [
        [2, 2, 3, 1, 1],
        [1, 4, 3, 4, 1],
        [1, 2, 4, 3, 3],
        [1, 2, 3, 4, 1],
        [0, 2, 2, 1, 1],
    ]
    full = ["1121100", "0223110", "1143411", "0124330", "0123411", "0022110", "0111100"]
    assert conv(IMAGE, CROSS, "full") == [[int(c) for c in row] for row in full]


def test_the_classic_kernels():
    kernels = [
        [[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 0, -1], [0, 0, 0], [-1, 0, 1]], [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
        [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    ]  # fmt: skip
    assert [conv(NINE, k, 1)[1][1] for k in kernels] == [5, 0, 0, 0, 5]
    assert conv(NINE, kernels[4], 1) == [[-1, 1, 7], [7, 5, 13], [23, 19, 31]]
    assert conv(NINE, kernels[2], 1) == [[2, 1, -4], [-3, 0, -7], [-16, -11, -22]]
    assert conv(NINE, np.full((3, 3), 1 / 9).tolist(), 1)[0][0] == pytest.approx(4 / 3)


def test_a_volume_and_a_stride():
    x = mg.tensor([[[[3.0, 1], [4, 1]], [[2, -1], [-3, 1]], [[1, -1], [2, -1]]]])
    w = mg.tensor([[[[-2.0, 3], [5, -1]]] * 3])
    assert F.conv2d(x, w, mg.tensor([-2.0])).item() == -3.0
    assert F.conv2d(mg.zeros(1, 1, 16, 16), mg.zeros(1, 1, 3, 3), stride=2, padding=1).shape == (1, 1, 8, 8)
    assert F.conv2d(mg.zeros(1, 1, 55, 55), mg.zeros(1, 1, 11, 11), padding=5).shape == (1, 1, 55, 55)


def test_max_pooling():
    x = mg.tensor([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    assert F.max_pool2d(x, 2)[0, 0].tolist() == [[6, 8], [3, 4]]


def test_parameter_counts():
    count = lambda m: sum(p.size for p in m.parameters())
    assert count(mg.nn.Conv2d(3, 96, 11)) == 34_944
    assert count(mg.nn.Conv2d(3, 2, 5)) == 152
    assert (count(LeNet5()), count(resnet20())) == (61_706, 269_722)


def test_three_by_three_edges_have_three_nonzeros_a_row_and_shifts_commute():
    jacobian = mg.jacobian(lambda x: F.conv1d(x, mg.ones(1, 1, 3)), mg.ones(1, 1, 6)).reshape(4, 6).cpu().numpy()
    assert ((jacobian != 0).sum(axis=1) == 3).all()
    x, w = (mg.randint(-9, 9, shape).float() for shape in ((1, 1, 9, 9), (1, 1, 3, 3)))  # whole numbers: sums are exact
    shifted = F.conv2d(mg.roll(x, 1, 3), w).cpu().numpy()[..., 1:]
    np.testing.assert_array_equal(shifted, F.conv2d(x, w).cpu().numpy()[..., :-1])


def test_softmax_cross_entropy_of_uniform_scores_is_ln_k():
    assert F.cross_entropy(mg.zeros(1, 7, dtype="float64"), mg.tensor([3])).item() == pytest.approx(
        np.log(7), rel=1e-15
    )


@pytest.mark.parametrize(("kind", "count"), [("RNN", 104), ("GRU", 312), ("LSTM", 416)])
def test_sizes_of_recurrent_layers(kind, count):
    assert sum(p.size for p in getattr(mg.nn, kind)(3, 8).parameters()) == count


def test_which_of_two_equal_scorers_each_penalty_prefers():
    x = mg.ones(4)
    w1, w2 = mg.tensor([1.0, 0.0, 0.0, 0.0]), mg.full(4, 0.25)
    assert (w1 @ x).item() == (w2 @ x).item() == 1.0
    assert [mg.nn.l2_penalty([w], 1.0).item() for w in (w1, w2)] == [1.0, 0.25], "L2 spreads"
    assert [mg.nn.l1_penalty([w], 1.0).item() for w in (w1, w2)] == [1.0, 1.0], "a tie for L1"
    assert [mg.nn.elastic_net_penalty([w], 1.0, 1.0).item() for w in (w1, w2)] == [2.0, 1.25]


@pytest.mark.parametrize(("p", "value"), [(1, 7.0), (2, 5.0), (3, 91 ** (1 / 3)), (np.inf, 4.0)])
def test_p_norms(p, value):
    """(sum |x|^p)^(1/p) of (3, -4, 0)."""
    assert mg.norm(mg.tensor([3.0, -4.0, 0.0], dtype="float64"), p).item() == pytest.approx(value, rel=1e-15)


def descend(penalty, x, y, steps=4000, lr=0.05):
    w = mg.zeros(x.shape[1], dtype="float64", requires_grad=True)
    optimiser = mg.optim.SGD([w], lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        (((mg.tensor(x) @ w - mg.tensor(y)) ** 2).mean() + penalty(w)).backward()
        optimiser.step()
    return w.detach().cpu().numpy()


def test_ridge_is_its_closed_form_and_the_lasso_drops_what_is_useless():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 40))
    y = x[:, :3] @ [2.0, -1.5, 1.0] + 0.1 * rng.normal(size=200)
    ridge = descend(lambda w: mg.nn.l2_penalty([w], 0.3), x, y, steps=800)
    closed = np.linalg.solve(x.T @ x / 200 + 0.3 * np.eye(40), x.T @ y / 200)
    np.testing.assert_allclose(ridge, closed, rtol=1e-9, atol=1e-12)
    lasso = descend(lambda w: mg.nn.l1_penalty([w], 0.2), x, y, steps=2000, lr=0.002)
    assert (np.abs(lasso[3:]) < 1e-3).mean() > 0.9 and (np.abs(ridge[3:]) < 1e-3).mean() < 0.3
    assert (np.abs(lasso[:3]) > 0.7).all()
