"""nn.utils.rnn: padding, packing and back, against PyTorch."""

import numpy as np
import pytest
from against_torch import agree, both_reject
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn.utils import rnn as ours

torch = pytest.importorskip("torch")
theirs = torch.nn.utils.rnn

few = settings(max_examples=25, deadline=None, derandomize=True)
lengths_of = st.lists(st.integers(1, 5), min_size=1, max_size=5)
rests = st.sampled_from([(), (2,), (2, 3)])


def numbers(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def values(t):
    return None if t is None else t.detach().cpu().numpy().tolist()


@few
@given(lengths_of, rests, st.booleans(), st.booleans(), st.integers(0, 2))
def test_pack_padded_sequence(lengths, rest, batch_first, enforce_sorted, spare):
    lengths = sorted(lengths, reverse=True) if enforce_sorted else lengths
    lead = (len(lengths), max(lengths) + spare) if batch_first else (max(lengths) + spare, len(lengths))
    x = numbers(*lead, *rest)
    agree(*[lambda x, lib=lib: lib.pack_padded_sequence(x, lengths, batch_first, enforce_sorted).data for lib in (ours, theirs)], x)
    a, b = ours.pack_padded_sequence(mg.tensor(x), lengths, batch_first, enforce_sorted), theirs.pack_padded_sequence(torch.tensor(x), lengths, batch_first, enforce_sorted)
    assert values(a.batch_sizes) == values(b.batch_sizes) and values(a.data) == values(b.data)
    assert (a.sorted_indices is None) == (b.sorted_indices is None)
    if a.sorted_indices is not None:
        assert [lengths[i] for i in values(a.sorted_indices)] == [lengths[i] for i in values(b.sorted_indices)]
        assert values(ours.invert_permutation(a.sorted_indices)) == values(a.unsorted_indices)
        assert sorted(values(a.unsorted_indices)) == list(range(len(lengths)))


@few
@given(lengths_of, rests, st.booleans(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, -1.5]))
def test_there_and_back(lengths, rest, batch_first, enforce_sorted, spare, padding_value):
    lengths = sorted(lengths, reverse=True) if enforce_sorted else lengths
    sequences = [numbers(n, *rest) for n in lengths]

    def run(lib):
        def f(*xs):
            packed = lib.pack_sequence(list(xs), enforce_sorted)
            total = None if spare == 0 else max(lengths) + spare
            padded, found = lib.pad_packed_sequence(packed, batch_first, padding_value, total)
            return padded, found, *lib.unpack_sequence(packed), *lib.unpad_sequence(padded * 1.0, found, batch_first)

        return f

    agree(run(ours), run(theirs), *sequences)
    back = ours.unpack_sequence(ours.pack_sequence([mg.tensor(s) for s in sequences], enforce_sorted))
    assert all(np.array_equal(a, b.cpu().numpy()) for a, b in zip(sequences, back, strict=True))


@few
@given(lengths_of, rests, st.booleans(), st.sampled_from([0.0, 2.5]), st.sampled_from(["left", "right"]))
def test_pad_sequence(lengths, rest, batch_first, padding_value, side):
    sequences = [numbers(n, *rest) for n in lengths]
    agree(*[lambda *xs, lib=lib: lib.pad_sequence(xs, batch_first, padding_value, side) for lib in (ours, theirs)], *sequences)
    labels = [np.arange(n) for n in lengths]
    got = ours.pad_sequence([mg.tensor(v) for v in labels], batch_first, -1, side)
    wanted = theirs.pad_sequence([torch.tensor(v) for v in labels], batch_first, -1, side)
    assert values(got) == values(wanted) and got.dtype == np.int64


def test_packing_gradient_reaches_what_is_kept_and_nothing_else():
    x = mg.ones(2, 3, 1).requires_grad_()
    packed = ours.pack_padded_sequence(x, [1, 3], batch_first=True, enforce_sorted=False)
    (packed.data * 2.0).sum().backward()
    assert x.grad[..., 0].tolist() == [[2, 0, 0], [2, 2, 2]]


def test_the_words_of_the_docstring():
    packed = ours.pack_sequence([mg.tensor([ord(c) for c in "abc"]), mg.tensor([ord("x")])])
    assert "".join(map(chr, packed.data.tolist())) == "axbc" and packed.batch_sizes.tolist() == [2, 1, 1]


def test_a_packed_sequence_is_a_tuple_with_names():
    packed = ours.pack_sequence([mg.ones(1), mg.ones(3)], enforce_sorted=False)
    data, batch_sizes, order, back = packed
    assert data is packed.data and batch_sizes is packed.batch_sizes and order is packed.sorted_indices and back is packed.unsorted_indices
    assert packed._fields == ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
    assert repr(packed).startswith("PackedSequence(data=tensor(")
    assert packed.to("float32") is packed and packed.to(data.device) is packed and packed.is_cuda == (data.device.kind == "cuda")
    kinds = {"double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16", "char": "int8", "byte": "uint8"}
    for name, dtype in kinds.items():
        other = getattr(packed, name)()
        assert other.data.dtype == dtype and other.batch_sizes is batch_sizes and values(other.sorted_indices) == values(order)
    assert packed.double().float().data.dtype == np.float32
    by_pair = ours.PackedSequence((data, batch_sizes), sorted_indices=order)
    assert by_pair.data is data and values(by_pair.unsorted_indices) == values(back)
    assert ours.invert_permutation(None) is None


@pytest.mark.parametrize("reject", [
    lambda rnn, lib: rnn.pack_padded_sequence(lib.ones(3, 2), [2, 3]),
    lambda rnn, lib: rnn.pack_padded_sequence(lib.ones(3, 2), [3, 0]),
    lambda rnn, lib: rnn.pack_padded_sequence(lib.ones(3, 2), [3]),
    lambda rnn, lib: rnn.pack_padded_sequence(lib.ones(3, 2), [[3, 2]]),
    lambda rnn, lib: rnn.pack_padded_sequence(lib.ones(3), [3]),
    lambda rnn, lib: rnn.pack_padded_sequence(lib.ones(3, 0), []),
    lambda rnn, lib: rnn.pack_sequence([]),
    lambda rnn, lib: rnn.pack_sequence([lib.ones(1), lib.ones(2)]),
    lambda rnn, lib: rnn.pad_packed_sequence(rnn.pack_sequence([lib.ones(3)]), total_length=2),
    lambda rnn, lib: rnn.pad_packed_sequence(lib.ones(3)),
    lambda rnn, lib: rnn.pad_sequence([]),
    lambda rnn, lib: rnn.pad_sequence([lib.ones(2, 2), lib.ones(2, 3)]),
    lambda rnn, lib: rnn.pad_sequence([lib.ones(2)], padding_side="middle"),
    lambda rnn, lib: rnn.unpad_sequence(lib.ones(2, 3), lib.tensor([1])),
    lambda rnn, lib: rnn.PackedSequence(lib.ones(3)),
])  # fmt: skip
def test_what_pytorch_rejects_is_rejected(reject):
    both_reject(lambda: reject(ours, mg), lambda: reject(theirs, torch))


def test_lengths_beyond_the_input_are_rejected():
    with pytest.raises(ValueError, match=r"^pack_padded_sequence: expected lengths from 1 to 3"):
        ours.pack_padded_sequence(mg.ones(3, 2), [4, 1])  # PyTorch: 4 numbers whose batch sizes sum to 5


def test_nothing_given_is_changed():
    x = mg.ones(3, 2)
    before = x.shape, x.tolist()
    ours.unpad_sequence(x, mg.tensor([3, 1]))  # PyTorch transposes its argument in place here
    ours.pack_padded_sequence(x, mg.tensor([1, 3]), enforce_sorted=False)
    assert (x.shape, x.tolist()) == before
