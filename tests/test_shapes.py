"""explain_shapes and the calculators: numbers worked out by hand, from papers and lectures, and PyTorch's sizes."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.models.lenet5 import LeNet5
from minigrad.models.resnet import resnet20

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def shapes(table):
    return {row.name: row.output_shape for row in table.rows}


# ---------------------------------------------------------------- calculators


@pytest.mark.parametrize("args, size", [
    ((16, 3, 2, 1), 8),  # (16 + 2 - 3)/2 + 1 = 8.5, rounded down
    ((4, 2), 3), ((55, 11, 1, 5), 55), ((32, 5), 28), ((224, 7, 2, 3), 112), ((227, 11, 4), 55), ((10, 3, 1, "same"), 10),
    ((10, 4, 1, "same", 3), 10), ((10, 3, 1, "full"), 12), ((10, 3, 2, "causal", 4), 5), ((10, 3, 3, "valid"), 3),
])  # fmt: skip
def test_conv_output_size(args, size):
    found = nn.conv_output_size(*args)
    assert found == size and isinstance(found, int) and str(found) == str(size)
    assert repr(found).endswith(f" = {size}")


def test_the_working_is_shown():
    assert repr(nn.conv_output_size(32, 5)) == "floor((32 + 2*0 - 1*(5 - 1) - 1)/1) + 1 = 28"
    assert nn.conv_output_size(9, 3, padding="causal", dilation=2).formula == "floor((9 + 4 + 0 - 2*(3 - 1) - 1)/1) + 1 = 9"
    assert nn.conv_output_size((32, 20), (5, 3), 2) == (14, 9)
    assert repr(nn.pool_output_size(5, 2, 4, ceil_mode=True)).startswith("ceil((5 + 2*0 - 1*(2 - 1) - 1)/4) + 1 = 2")
    assert repr(nn.pool_output_size(5, 1, 5, 0, 1, True)).endswith("- 1 that would begin beyond the input = 1")
    assert repr(nn.conv_transpose_output_size(14, 4, 2, 1)) == "2*(14 - 1) + 1*(4 - 1) + 1 - 2*1 + 0 = 28"


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.booleans(), st.integers(0, 3))
@QUICK
def test_sizes_are_those_of_the_layers(n, k, s, p, d, ceil, extra):
    assume(n + 2 * p >= d * (k - 1) + 1)
    x = mg.zeros(1, 1, n)
    size = nn.conv_output_size(n, k, s, p, d)
    assert F.conv1d(x, mg.zeros(1, 1, k), None, s, p, d).shape[2] == size
    assert eval(size.formula.split(" = ")[0], {"floor": lambda v: int(v // 1)}) == size
    if p <= k // 2:
        size = nn.pool_output_size(n, k, s, p, d, ceil)
        assert F.max_pool1d(x, k, s, p, d, ceil).shape[2] == size
        counted = size.formula.split(" = ")[0].replace("that would begin beyond the input", "")
        assert eval(counted, {"floor": lambda v: int(v // 1), "ceil": lambda v: -int(-v // 1)}) == size
    if extra < max(s, d) and s * (n - 1) + d * (k - 1) + 1 - 2 * p > 0:
        size = nn.conv_transpose_output_size(n, k, s, p, extra, d)
        assert F.conv_transpose1d(x, mg.zeros(1, 1, k), None, s, p, extra, 1, d).shape[2] == size
        assert eval(size.formula.split(" = ")[0]) == size


@pytest.mark.parametrize("make", [
    lambda: nn.conv_output_size(4, 7), lambda: nn.conv_output_size(0, 1), lambda: nn.conv_output_size(8, 3, 0),
    lambda: nn.conv_output_size(8, 3, 2, "same"), lambda: nn.conv_output_size((8, 8), 3, padding="causal"), lambda: nn.pool_output_size(2, 3),
    lambda: nn.conv_transpose_output_size(4, 3, output_padding=1), lambda: nn.conv_transpose_output_size((4, 1), 2, padding=1), lambda: nn.conv_output_size((8, 8), (3, 3, 3)),
    lambda: nn.receptive_field(nn.Sequential(nn.ReLU())), lambda: nn.receptive_field(nn.Sequential(nn.Conv1d(1, 1, 3), nn.Flatten())),
    lambda: nn.receptive_field(nn.Sequential(nn.Conv1d(1, 1, 3), nn.Conv2d(1, 1, 3))),
])  # fmt: skip
def test_what_cannot_be_is_refused(make):
    with pytest.raises(ValueError, match=r"(conv|pool|conv_transpose|receptive)_\w+: "):
        make()


# ---------------------------------------------------------------- receptive fields


def test_three_small_kernels_see_what_one_large_one_sees():
    c = 64
    small = nn.Sequential(*[nn.Conv2d(c, c, 3, bias=False) for _ in range(3)])
    large = nn.Conv2d(c, c, 7, bias=False)
    assert nn.receptive_field(small).size == nn.receptive_field(large).size == (7, 7)
    assert nn.explain_shapes(small, (1, c, 9, 9)).parameters == 27 * c**2 == 110_592
    assert nn.explain_shapes(large, (1, c, 9, 9)).parameters == 49 * c**2 == 200_704


def test_wavenets_field_doubles_with_each_layer():
    stack = lambda: [nn.Conv1d(1, 1, 2, padding="causal", dilation=2**i) for i in range(10)]
    assert nn.receptive_field(nn.Sequential(*stack())).size == (1024,)
    assert nn.receptive_field(nn.Sequential(*stack(), *stack(), *stack())).size == (3070,)


@st.composite
def stacks(draw):
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        k, s = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        layers.append(nn.Conv1d(1, 1, k, s, dilation=draw(st.integers(1, 2)), bias=False) if draw(st.booleans()) else nn.AvgPool1d(k, s))
    return nn.Sequential(*layers)


@given(stacks())
@QUICK
def test_the_field_is_the_gradients_footprint(stack):
    for p in stack.parameters():
        p._data[...] = 1.0
    field = nn.receptive_field(stack)
    x = mg.zeros(1, 1, field.size[0] + field.jump[0], requires_grad=True)
    y = stack(x)
    assert y.shape[2] == 2
    reached = []
    for i in (0, 1):
        x.grad = None
        y[0, 0, i].backward(retain_graph=True)
        reached.append(np.flatnonzero(x.grad.cpu().numpy()))
    assert reached[0][0] == 0 and reached[0][-1] == field.size[0] - 1
    assert reached[1][0] == field.jump[0]
    row = nn.explain_shapes(stack, x.shape).rows[-1]
    assert (row.receptive_field, row.jump) == (field.size, field.jump)


def test_the_working_of_a_field():
    stack = nn.Sequential(nn.Conv2d(1, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(8, 8, (3, 1))))
    field = nn.receptive_field(stack)
    assert field.size == (10, 6) and field.jump == (2, 2)
    assert str(field).splitlines() == [
        "0 Conv2d     1 + 1*(5 - 1)*1 = 5, step 1*1 = 1",
        "3 MaxPool2d  5 + 1*(2 - 1)*1 = 6, step 1*2 = 2",
        "4.0 Conv2d   6 + 1*(3 - 1)*2 = 10, step 2*1 = 2; 6 + 1*(1 - 1)*2 = 6, step 2*1 = 2",
    ]


# ---------------------------------------------------------------- known networks


def test_lenet5():
    table = nn.explain_shapes(LeNet5(), (1, 1, 32, 32))
    rows = {row.name: row for row in table.rows if row.name != "squash"}
    assert [row.name for row in table.rows] == ["C1", "squash", "S2", "C3", "squash", "S4", "C5", "squash", "F6", "squash", "output"]
    assert {name: row.output_shape[1:] for name, row in rows.items()} == {
        "C1": (6, 28, 28), "S2": (6, 14, 14), "C3": (16, 10, 10), "S4": (16, 5, 5), "C5": (120, 1, 1), "F6": (84,), "output": (10,)
    }  # fmt: skip
    assert [row.parameters for row in rows.values()] == [156, 0, 2_416, 0, 48_120, 10_164, 850]
    assert [row.multiply_adds for row in rows.values()] == [28 * 28 * 6 * 25, 0, 10 * 10 * 16 * 150, 0, 120 * 400, 120 * 84, 84 * 10]
    assert [row.receptive_field for row in rows.values()] == [(5, 5), (6, 6), (14, 14), (16, 16), (32, 32), None, None]
    assert [row.jump for row in rows.values()] == [(1, 1), (2, 2), (2, 2), (4, 4), (4, 4), None, None]
    assert table.parameters == 61_706 and table.multiply_adds == 416_520
    assert "H' = floor((32 + 2*0 - 1*(5 - 1) - 1)/1) + 1 = 28, W' the same; 6*(1*5*5 + 1) = 156 parameters" in str(table)
    assert str(table).splitlines()[-1] == "61,706 parameters, 416,520 multiply-adds"


def test_resnet20():
    table = nn.explain_shapes(resnet20(), (1, 3, 32, 32))
    convs = [row for row in table.rows if row.kind == "Conv2d"]
    assert table.parameters == sum(row.parameters for row in table.rows) == 269_722
    # 3 -> 16 at 32x32; 6 of 16 -> 16; halved and doubled; 5 of 32 -> 32; and again; 64 -> 10.
    by_hand = 9 * (3 * 16 * 1024 + 6 * 256 * 1024 + 512 * 256 + 5 * 1024 * 256 + 2048 * 64 + 5 * 4096 * 64) + 640
    assert table.multiply_adds == by_hand == 40_551_040
    # Each of 7 kernels at full size adds 2 (the first at half size too), then 4, then 8.
    sizes = [3, *range(5, 16, 2), 17, *range(21, 38, 4), 41, *range(49, 82, 8)]
    assert [row.receptive_field for row in convs] == [(n, n) for n in sizes]
    assert [row.jump[0] for row in convs] == [1] * 7 + [2] * 6 + [4] * 6
    assert shapes(table)["blocks.8.conv2"] == (1, 64, 8, 8) and table.rows[-1].receptive_field is None


def test_the_convolutions_of_vgg16():
    layers, before = [], 3
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        layers += [nn.MaxPool2d(2)] if width == "M" else [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
        before = before if width == "M" else width
    model = nn.Sequential(*layers)
    table = nn.explain_shapes(model, (1, 3, 32, 32))
    head = 4096 * (512 * 7 * 7 + 1) + 4096 * (4096 + 1) + 1000 * (4096 + 1)
    assert table.parameters == 14_714_688 and table.parameters + head == 138_357_544
    assert table.multiply_adds * 49 == 15_346_630_656  # 224 = 7 * 32 in both directions
    assert table.rows[-1].output_shape == (1, 512, 1, 1)
    assert (table.rows[-1].receptive_field, table.rows[-1].jump) == ((212, 212), (32, 32))
    assert table.rows[-3].receptive_field == (196, 196) == nn.receptive_field(model[:-1]).size


def test_the_convolutions_of_alexnet_in_two_groups():
    model = nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    table = nn.explain_shapes(model, (1, 3, 227, 227))
    assert table.rows[0].parameters == 96 * (3 * 11 * 11 + 1) == 34_944
    assert [row.output_shape[2] for row in table.rows if row.kind != "ReLU"] == [55, 27, 27, 13, 13, 13, 13, 6]
    assert table.parameters + 4096 * (9216 + 1) + 4096 * (4096 + 1) + 1000 * (4096 + 1) == 60_965_224
    assert (table.rows[-1].receptive_field, table.rows[-1].jump) == ((195, 195), (32, 32))


def test_the_1x1_reduction_of_inception():
    naive = nn.explain_shapes(nn.Conv2d(192, 32, 5, padding=2), (1, 192, 28, 28))
    reduced = nn.explain_shapes(nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2)), (1, 192, 28, 28))
    assert naive.multiply_adds == 120_422_400 and reduced.multiply_adds == 2_408_448 + 10_035_200


def test_two_filters_over_a_25x25x3_picture():
    table = nn.explain_shapes(nn.Conv2d(3, 2, 5, padding="same"), (1, 3, 25, 25))
    assert table.rows[0].output_shape == (1, 2, 25, 25) and table.parameters == 152
    assert "2*(3*5*5 + 1) = 152 parameters" in table.rows[0].formula


# ---------------------------------------------------------------- any model


class Branches(nn.Module):
    """Two paths of different reach, joined; a shortcut that skips; arithmetic between the layers."""

    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 5, padding=2)
        self.after = nn.Conv2d(6, 6, 3, padding=1)
        self.half = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x):
        both = mg.concatenate([F.relu(self.near(x)), self.far(x)], 1)
        both = both + self.after(both) * 2.0
        return self.half(F.max_pool2d(both[:, :, :, ::2], 2))


def test_branches_meet_in_the_widest_field():
    rows = {row.name: row for row in nn.explain_shapes(Branches(), (1, 2, 8, 8)).rows}
    assert [rows[n].receptive_field for n in ("near", "far", "after")] == [(1, 1), (5, 5), (7, 7)]
    # pooling adds 1 and 1*2 (every second column was left), the last kernel 2*2 and 2*4
    assert rows["half"].receptive_field == (7 + 1 + 4, 7 + 2 + 8) and rows["half"].jump == (2, 4)


class Odd(nn.Module):
    """What no table knows: parameters of its own, a layer that never runs, one that runs twice, a tied weight."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(mg.ones(4))
        self.once, self.never, self.twin = nn.Linear(4, 4), nn.Linear(4, 7), nn.Linear(4, 4, bias=False)
        self.twin.weight = self.once.weight

    def forward(self, x, y):
        return self.twin(self.once(self.once(x * self.scale))) @ y


class Named(nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        return {"scores": y, "both": (x, y)}


def test_results_by_name():
    assert nn.explain_shapes(Named(4, 3), (2, 4)).rows[0].output_shape == {"scores": (2, 3), "both": ((2, 4), (2, 3))}


def test_layers_that_no_table_knows():
    table = nn.explain_shapes(Odd(), [(2, 4), mg.ones(4, 3)])
    assert [(row.name, row.kind, row.output_shape, row.parameters, row.multiply_adds) for row in table.rows] == [
        ("", "Odd", (2, 3), 4 + 35, 24), ("once", "Linear", (2, 4), 20, 32), ("once", "Linear", (2, 4), 0, 32), ("twin", "Linear", (2, 4), 0, 32)
    ]  # fmt: skip
    assert table.rows[0].input_shape == ((2, 4), (4, 3)) and table.rows[0].receptive_field is None
    assert table.parameters == 4 + 20 + 35 and table.multiply_adds == 120
    assert table.rows[1].formula == "4*(4 + 1) = 20 parameters" and table.rows[2].formula == ""


class Loose(nn.Module):
    """A product between layers, and a layer outside: neither belongs to a row."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x):
        y = self.used(x)
        return y @ y.T


def test_what_no_row_holds_is_told():
    text = str(nn.explain_shapes(Loose(), (2, 3))).splitlines()
    assert text[-2:] == ["16 parameters, 30 multiply-adds", "of these outside the layers above: 4 and 12"]


def test_tokens_recurrence_and_attention():
    model = nn.Sequential(nn.Embedding(10, 4), nn.LSTM(4, 8))
    for frozen in (False, True):
        table = nn.explain_shapes(model.requires_grad_(not frozen), (5, 2), dtype="int64")
        assert [row.multiply_adds for row in table.rows] == [0, 5 * 2 * 4 * 8 * (4 + 8)]
        assert [row.parameters for row in table.rows] == [40, 4 * 8 * (4 + 8 + 2)]
        assert any(p.requires_grad for p in model.parameters()) != frozen
    length, width = 6, 8
    table = nn.explain_shapes(nn.TransformerEncoderLayer(width, 2, 16), (length, 1, width))
    attention = next(row for row in table.rows if row.kind == "MultiheadAttention")
    assert attention.parameters == 4 * width * (width + 1)
    assert attention.multiply_adds == length * 4 * width**2 + 2 * length**2 * width


def test_other_layers_say_their_size():
    model = nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.ConvTranspose2d(1, 2, 4, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten())
    formulas = [row.formula for row in nn.explain_shapes(model, (1, 1, 5, 4)).rows]
    assert formulas[0] == "H' = 0 + 5 + 3 = 8; W' = 1 + 4 + 2 = 7"
    assert formulas[1].startswith("H' = 2*(8 - 1) + 1*(4 - 1) + 1 - 2*1 + 0 = 16; W' = 2*(7 - 1)") and formulas[1].endswith("1*2*4*4 + 2 = 34 parameters")
    assert formulas[2].startswith("H' = ceil((16 + 2*0 - 1*(3 - 1) - 1)/2) + 1 = 8")
    assert formulas[3] == "H' = output_size = 2; W' = output_size = 3" and formulas[4] == "2*2*3 = 12"


def test_without_a_batch_and_in_one_dimension():
    table = nn.explain_shapes(nn.Sequential(nn.Conv1d(2, 4, 3, stride=2), nn.ReLU(), nn.MaxPool1d(2)), (2, 9))
    assert [row.output_shape for row in table.rows] == [(4, 4), (4, 4), (4, 2)]
    assert table.rows[-1].receptive_field == (5,) and table.rows[-1].jump == (4,)
    assert table.rows[0].formula.startswith("L' = floor((9 + 2*0 - 1*(3 - 1) - 1)/2) + 1 = 4")


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(8, 2))
    model[2].eval()
    model[0].requires_grad_(False)
    before = {k: v.cpu().numpy().copy() for k, v in model.state_dict().items()}
    for shape, works in (((1, 1, 4, 4), True), ((1, 1, 5, 5), False)):
        if works:
            nn.explain_shapes(model, shape)
        else:
            with pytest.raises(ValueError, match=r"explain_shapes: 4 \(Linear\) cannot take shape \(1, 18\)"):
                nn.explain_shapes(model, shape)
        assert [m.training for m in model.modules()] == [True, True, True, False, True, True]
        assert [p.requires_grad for p in model.parameters()] == [False, False, True, True, True, True]
        assert all(np.array_equal(v.cpu().numpy(), before[k]) for k, v in model.state_dict().items())
        assert all(p.grad is None for p in model.parameters()) and mg.is_grad_enabled()
        assert not any(hooks for m in model.modules() for hooks in m._hooks.values())


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="expected a Module"):
        nn.explain_shapes(F.relu, (1,))
    for shape in (3, (1, -1), (1, 2.5), "a"):
        with pytest.raises(ValueError, match="input_shape="):
            nn.explain_shapes(nn.ReLU(), shape)
