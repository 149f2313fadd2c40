"""Textbook examples on images with exact answers: the formula with its indices, stamps, patches, sizes, LeNet-5's 60,000."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.models import LeNet5
from minigrad.nn import functional as F

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
TEE = np.array([[1, 1, 1], [0, 1, 0], [0, 1, 0]])
NINE = np.arange(1.0, 10.0).reshape(3, 3)
KERNELS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "diagonal edges": [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
    "Laplacian of 4": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "Laplacian of 8": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box": np.full((3, 3), 1 / 9),
    "Gauss": np.outer([1, 2, 1], [1, 2, 1]) / 16,
    "difference": [[1, -1]],
}


def conv(image, kernel, bias=None, **options):
    """The cross-correlation of one array with one kernel, in as many axes as they have, in float64."""
    image, kernel = (mg.tensor(np.asarray(a, dtype=np.float64)[None, None]) for a in (image, kernel))
    bias = None if bias is None else mg.tensor([bias], dtype="float64")
    return (F.conv1d, F.conv2d, F.conv3d)[image.ndim - 3](image, kernel, bias, **options)[0, 0].cpu().numpy()


def near(found, wanted, tolerance=1e-14):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize("kernel_shape", [(2, 2), (2, 3)])
def test_the_sum_has_the_printed_indices(kernel_shape):
    """S(i, j) = sum of I(i + m, j + n) K(m, n): pixel and weight of each product are read off the second derivative."""
    k, l = kernel_shape
    image, kernel = mg.zeros(1, 1, 4, 4, dtype="float64"), mg.zeros(1, 1, k, l, dtype="float64")
    for i, j in [(0, 0), (0, 1), (1, 0)]:
        unit = mg.zeros(1, 1, 5 - k, 5 - l, dtype="float64")
        unit[0, 0, i, j] = 1.0

        def weights_of(x, unit=unit):
            w = kernel.detach().requires_grad_()
            return mg.grad((F.conv2d(x, w) * unit).sum(), [w], create_graph=True)[0]

        products = mg.jacobian(weights_of, image).reshape(k, l, 4, 4).cpu().numpy()
        met = {(m, n): [tuple(map(int, p)) for p in np.argwhere(products[m, n])] for m, n in np.ndindex(k, l)}
        assert met == {(m, n): [(i + m, j + n)] for m, n in np.ndindex(k, l)}
        assert products.max() == products.sum() / (k * l) == 1.0


def test_the_kernel_is_not_turned_and_the_three_paddings_agree_on_that():
    signal, kernel = np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 0.0, 1.0])
    valid, same, full = (conv(signal, kernel, padding=p) for p in ("valid", "same", "full"))
    assert valid.tolist() == [13.0, 24.0]  # 10 * 1 + 3, 10 * 2 + 4; a true convolution says 31, 42
    assert np.convolve(signal, kernel, "valid").tolist() == [31.0, 42.0]
    assert full.tolist() == np.correlate(signal, kernel, "full").tolist()
    assert same.tolist() == full[1:-1].tolist() and valid.tolist() == full[2:-2].tolist()


# ---------------------------------------------------------------- stamps and patches


def test_stamps_in_one_two_and_three_dimensions():
    image, stamp = [[0.3, 0.1], [0.3, 0.3]], [[0.7, 0.2], [0.4, 0.3]]
    image_behind, stamp_behind = [[0.3, 0.4], [0.7, 0.2]], [[0.4, 0.6], [0.4, 0.3]]
    near(conv([0.3, 0.1], [0.7, 0.2], 1.0), [1.23])
    near(conv(image, stamp, 1.0), [[1.44]])
    near(np.ravel(image_behind) * np.ravel(stamp_behind), [0.12, 0.24, 0.28, 0.06])
    near(conv([image, image_behind], [stamp, stamp_behind], 1.0), [[[2.14]]])


def test_the_cross_the_t_and_the_kernel_that_the_slide_prints():
    """As printed, the kernel cannot tell a T from the cross: 12 and 12. The 9 belongs to the learned one."""
    printed = np.array([[0, 2, 3], [2, 4, 1], [0, 3, 0]])
    learned = np.array([[0, 2, 0], [2, 4, 1], [0, 3, 0]])
    assert (printed * CROSS).sum(0).tolist() == [2, 9, 1]
    assert [conv(x, printed).item() for x in (CROSS, TEE)] == [12.0, 12.0]
    assert [conv(x, learned).item() for x in (CROSS, TEE)] == [12.0, 9.0]
    assert (learned * TEE).sum(0).tolist() == [0, 9, 0]


def test_a_volume_channel_by_channel():
    volume = np.array([[[3.0, 1], [4, 1]], [[2, -1], [-3, 1]], [[1, -1], [2, -1]]])
    slice_ = [[-2.0, 3], [5, -1]]
    assert [conv(channel, slice_).item() for channel in volume] == [16.0, -23.0, 6.0]
    weight = mg.tensor(np.broadcast_to(slice_, (1, 3, 2, 2)).copy())
    assert F.conv2d(mg.tensor(volume[None]), weight, mg.tensor(np.array([-2.0]))).item() == -3.0


# ---------------------------------------------------------------- classic kernels


def test_sums_of_the_kernels_and_what_they_leave_of_one_to_nine():
    near([np.sum(k) for k in KERNELS.values()], [1, 0, 0, 0, 1, 1, 1, 0])
    seen = {name: conv(NINE, k, padding=1) for name, k in KERNELS.items() if name != "difference"}
    near([x[1, 1] for x in seen.values()], [5, 0, 0, 0, 5, 5, 5])
    near([seen["box"][0, 0], seen["Gauss"][0, 0]], [12 / 9, 21 / 16])
    assert (round(12 / 9, 4), 21 / 16) == (1.3333, 1.3125)
    assert (conv(NINE, KERNELS["difference"]) == -1).all()


@pytest.mark.parametrize("name", [name for name, k in KERNELS.items() if abs(np.sum(k)) < 1e-9])
def test_edge_kernels_are_zero_inside_constant_regions(name):
    step = np.repeat([[2.0] * 5 + [7.0] * 5], 9, axis=0)
    out = conv(step, KERNELS[name])
    width = np.shape(KERNELS[name])[1]
    assert (out[:, : 6 - width] == 0).all() and (out[:, 5:] == 0).all()
    if name != "diagonal edges":  # a kernel of rank 1 that is blind for a straight border
        assert (out[:, 6 - width : 5] != 0).all()


@pytest.mark.parametrize("name", ["box", "Gauss"])
def test_blurs_keep_the_mean(name):
    image = np.random.default_rng(0).normal(size=(7, 8))
    near(conv(image, KERNELS[name], padding="full").sum(), image.sum(), 1e-12)


# ---------------------------------------------------------------- sizes and parameters


@pytest.mark.parametrize(
    ("n", "k", "p", "s", "size"), [(16, 3, 1, 2, 8), (4, 2, 0, 1, 3), (55, 11, 5, 1, 55), (25, 5, 2, 1, 25)]
)
def test_output_sizes(n, k, p, s, size):
    assert int((n + 2 * p - k) / s + 1) == size
    assert F.conv2d(mg.zeros(1, 1, n, n), mg.zeros(1, 1, k, k), padding=p, stride=s).shape == (1, 1, size, size)


def test_the_fraction_that_is_rounded_down():
    assert (16 + 2 * 1 - 3) / 2 + 1 == 8.5


def test_a_dense_layer_counts_every_pair_a_convolution_every_weight():
    count = lambda layer: sum(p.size for p in layer.parameters())
    assert count(nn.Linear(1000, 1000, bias=False)) == 1_000_000
    assert count(nn.Conv2d(3, 2, 5, padding=2)) == 2 * (75 + 1) == 152
    assert count(nn.Conv2d(3, 96, 11, padding=5)) == 96 * (3 * 11 * 11 + 1) == 34_944
    inputs, outputs = 55 * 55 * 3, 55 * 55 * 96  # as a layer it would take 10 GB: n inputs, m outputs, by small ones
    formula = [count(nn.Linear(n, m)) == (n + 1) * m for n, m in [(3, 4), (7, 2), (30, 50)]]
    assert all(formula) and (inputs + 1) * outputs == 2_635_670_400 and inputs * outputs == 2_635_380_000


def test_a_stack_of_three_costs_27_of_49_and_sees_as_much():
    count = lambda layers: sum(p.size for layer in layers for p in layer.parameters())
    one = [nn.Conv2d(64, 64, 7, bias=False)]
    three = [nn.Conv2d(64, 64, 3, bias=False) for _ in range(3)]
    assert (count(one), count(three)) == (200_704, 110_592) == (49 * 64**2, 27 * 64**2)
    assert nn.receptive_field(nn.Sequential(*one)).size == nn.receptive_field(nn.Sequential(*three)).size == (7, 7)


# Table I of the paper: which of the six maps of S2 each of the sixteen of C3 sees.
SEEN_BY_C3 = (
    [{i % 6, (i + 1) % 6, (i + 2) % 6} for i in range(6)]
    + [{(i + d) % 6 for d in range(4)} for i in range(6)]
    + [{0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, set(range(6))]
)


def test_lenet5_has_60_000_parameters_as_printed_and_61_706_where_c3_sees_all():
    """The 60,000: sparse C3, a coefficient and a bias for each map of S2 and S4, an output that is not trained."""
    net = LeNet5()
    count = lambda layer: sum(p.size for p in layer.parameters())
    assert count(net) == 61_706
    sparse = [nn.Conv2d(len(maps), 1, 5) for maps in SEEN_BY_C3]
    assert sum(map(count, sparse)) == 1_516 and sum(map(len, SEEN_BY_C3)) == 60
    subsampling = 2 * 6 + 2 * 16
    assert count(net) - count(net.C3) + 1_516 + subsampling - count(net.output) == 60_000

    x = mg.rand(2, 6, 14, 14)  # and the sparse layer is the dense one with weights of 0
    dense = nn.Conv2d(6, 16, 5)
    with mg.no_grad():
        dense.weight[...] = 0.0
        for m, (maps, layer) in enumerate(zip(SEEN_BY_C3, sparse)):
            dense.weight[m, sorted(maps)] = layer.weight[0]
            dense.bias[m] = layer.bias[0]
    parts = [layer(x[:, sorted(maps)]) for maps, layer in zip(SEEN_BY_C3, sparse)]
    near(mg.concatenate(parts, axis=1).detach().cpu().numpy(), dense(x).detach().cpu().numpy(), 1e-5)
