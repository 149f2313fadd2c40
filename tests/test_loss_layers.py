"""Losses, distances and linear maps as modules against PyTorch's: weights, repr, arguments, and what is refused."""

import inspect

import numpy as np
import pytest
from against_torch import both_reject, modules_agree
from loss_draws import Draws

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # PyTorch on its kl_div


# ---------------------------------------------------------------- layers


def layer_cases():
    d = Draws(5)
    x, y, s = d.n(4, 3), d.n(4, 3), d.signs(4)
    labels = d.labels(3, 4)
    weight = d.u(3)
    cases = {
        "MSELoss": [({}, x, y)], "L1Loss": [({"reduction": "sum"}, x, y)], "SmoothL1Loss": [({"beta": 0.5}, x, y)],
        "HuberLoss": [({"delta": 0.5}, x, y)], "PoissonNLLLoss": [({}, x, y), ({"log_input": False, "full": True, "eps": 1e-3, "reduction": "none"}, d.u(4, 3), d.u(4, 3))],
        "GaussianNLLLoss": [({"full": True, "eps": 0.2}, x, y, d.u(4, 3))], "KLDivLoss": [({"reduction": "batchmean"}, x, d.u(4, 3)), ({"reduction": "sum", "log_target": True}, x, y)],
        "BCELoss": [({}, d.u(4, 3), d.u(4, 3))], "BCEWithLogitsLoss": [({}, x, d.u(4, 3)), ({"weight": weight, "pos_weight": d.u(3)}, x, d.u(4, 3))],
        "NLLLoss": [({"weight": weight}, x, labels), ({"ignore_index": 1}, x, labels)],
        "CrossEntropyLoss": [({}, x, labels), ({"weight": weight, "label_smoothing": 0.1, "ignore_index": 0, "reduction": "sum"}, x, labels)],
        "SoftMarginLoss": [({}, x, d.signs(4, 3))], "HingeEmbeddingLoss": [({"margin": 0.5}, x, d.signs(4, 3))],
        "MarginRankingLoss": [({"margin": 0.5}, d.n(4), d.n(4), s)], "CosineEmbeddingLoss": [({"margin": 0.2}, x, y, s)],
        "MultiMarginLoss": [({}, x, labels), ({"p": 2, "margin": 0.5, "weight": weight}, x, labels)], "MultiLabelMarginLoss": [({}, x, d.labels(4, 4, 3) - 1)],
        "MultiLabelSoftMarginLoss": [({"weight": weight}, x, d.u(4, 3))], "TripletMarginLoss": [({"p": 3.0, "swap": True, "margin": 2.0}, x, y, d.n(4, 3))],
        "TripletMarginWithDistanceLoss": [({"margin": 0.5, "swap": True}, x, y, d.n(4, 3))], "CosineSimilarity": [({"dim": 0}, x, y)],
        "PairwiseDistance": [({"p": 1.0, "eps": 1e-3, "keepdim": True}, x, y)],
        "Bilinear": [({"in1_features": 3, "in2_features": 2, "out_features": 5}, x, d.n(4, 2)), ({"in1_features": 3, "in2_features": 3, "out_features": 1, "bias": False}, x, y)],
        "Linear": [({"in_features": 3, "out_features": 5}, x)],
        "LinearCrossEntropyLoss": [({"in_features": 3, "num_classes": 4}, x, labels), ({"in_features": 3, "num_classes": 4, "out_features": (2,), "bias": True, "ignore_index": 1, "label_smoothing": 0.1}, x, d.labels(4, 4, 2))],
    }  # fmt: skip
    return [(name, *case) for name, several in cases.items() for case in several]


@pytest.mark.parametrize("case", layer_cases(), ids=lambda c: c[0])
def test_layers(case):
    name, how, *arrays = case
    make = lambda lib, tensor: getattr(lib, name)(**{k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in how.items()})
    constants = {i: a for i, a in enumerate(arrays) if i and name in ("CosineEmbeddingLoss", "MarginRankingLoss", "SoftMarginLoss", "HingeEmbeddingLoss") and i == len(arrays) - 1}
    inputs = [a for i, a in enumerate(arrays) if i not in constants]
    pick = lambda xs, lib: [*xs, *[lib.tensor(a) for a in constants.values()]]
    no_order2 = ("MultiMarginLoss", "MultiLabelMarginLoss")
    modules_agree(
        make(nn, mg.tensor), make(torch.nn, torch.tensor), *inputs,
        call=lambda m, *xs: m(*pick(xs, mg if isinstance(m, nn.Module) else torch)), order2=name not in no_order2, float32=False,
    )  # fmt: skip


NAMES = [n for file in ("losses", "margin_losses", "distance", "linear", "adaptive") for n in getattr(nn, file).__all__ if n != "LinearCrossEntropyOptions"]


def test_every_layer_and_function_has_pytorchs_arguments():
    """The deprecated size_average and reduce left out."""
    old = ("size_average", "reduce")
    told = lambda f: [(p.name, p.default) for p in inspect.signature(f).parameters.values() if p.name not in old]
    for name in NAMES:
        assert told(getattr(nn, name)) == told(getattr(torch.nn, name)), name
        ours, theirs = told(getattr(nn, name).forward), told(getattr(torch.nn, name).forward)
        assert ours == theirs, name
    for name in [n for file in ("loss", "class_loss", "margin_loss", "ctc") for n in getattr(F, file).__all__]:
        assert told(getattr(F, name)) == told(getattr(TF, name)), name
    assert told(nn.LinearCrossEntropyOptions) == told(torch.nn.LinearCrossEntropyOptions)
    assert repr(nn.LinearCrossEntropyOptions()) == repr(torch.nn.LinearCrossEntropyOptions())


# ---------------------------------------------------------------- refused

OK = [[1.0, 2.0], [3.0, 4.0]]
REFUSED = {
    "soft ignore": lambda n, f, t: f.cross_entropy(t(OK), t(OK), ignore_index=1),
    "mse reduction": lambda n, f, t: f.mse_loss(t(OK), t(OK), reduction="avg"),
    "mse weight": lambda n, f, t: f.mse_loss(t(OK), t(OK), weight=t([1.0, 2.0])),
    "l1 weight": lambda n, f, t: f.l1_loss(t(OK), t(OK), weight=t([1.0])),
    "huber weight": lambda n, f, t: f.huber_loss(t(OK), t(OK), weight=t([1.0])),
    "huber delta": lambda n, f, t: f.huber_loss(t(OK), t(OK), delta=0.0),
    "smooth beta": lambda n, f, t: f.smooth_l1_loss(t(OK), t(OK), beta=-1.0),
    "mse shapes": lambda n, f, t: f.mse_loss(t(OK), t([1.0, 2.0, 3.0])),
    "bce shapes": lambda n, f, t: f.binary_cross_entropy(t([0.5]), t([[0.5]])),
    "bce range": lambda n, f, t: f.binary_cross_entropy(t([1.5]), t([0.5])),
    "bce target": lambda n, f, t: f.binary_cross_entropy(t([0.5]), t([2.0])),
    "bce nan": lambda n, f, t: f.binary_cross_entropy(t([float("nan")]), t([0.5])),
    "bce weight": lambda n, f, t: f.binary_cross_entropy(t([0.5, 0.5]), t([0.5, 0.5]), t([1.0, 1.0, 1.0])),
    "logits shapes": lambda n, f, t: f.binary_cross_entropy_with_logits(t([0.5]), t([[0.5]])),
    "logits pos_weight": lambda n, f, t: f.binary_cross_entropy_with_logits(t(OK), t(OK), pos_weight=t([1.0, 1.0, 1.0])),
    "kl reduction": lambda n, f, t: f.kl_div(t(OK), t(OK), reduction="batch"),
    "poisson reduction": lambda n, f, t: f.poisson_nll_loss(t(OK), t(OK), reduction="batchmean"),
    "gaussian negative": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), t([[1.0, -1.0], [1.0, 1.0]])),
    "gaussian number": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), -1.0),
    "gaussian shape": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), t([1.0, 1.0, 1.0])),
    "gaussian reduction": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), t(OK), reduction="batchmean"),
    "nll label": lambda n, f, t: f.nll_loss(t(OK), t([0, 2])),
    "nll negative": lambda n, f, t: f.nll_loss(t(OK), t([0, -1])),
    "nll float labels": lambda n, f, t: f.nll_loss(t(OK), t([0.0, 1.0])),
    "nll weight": lambda n, f, t: f.nll_loss(t(OK), t([0, 1]), t([1.0])),
    "nll shape": lambda n, f, t: f.nll_loss(t(OK), t([[0, 1]])),
    "ce smoothing": lambda n, f, t: f.cross_entropy(t(OK), t([0, 1]), label_smoothing=1.5),
    "ce weight": lambda n, f, t: f.cross_entropy(t(OK), t([0, 1]), t([1.0, 1.0, 1.0])),
    "ce soft weight": lambda n, f, t: f.cross_entropy(t(OK), t(OK), t([1.0, 1.0, 1.0])),
    "ce int of the scores' shape": lambda n, f, t: f.cross_entropy(t(OK), t([[0, 1], [1, 0]])),
    "ce reduction": lambda n, f, t: f.cross_entropy(t(OK), t([0, 1]), reduction="batchmean"),
    "linear ce widths": lambda n, f, t: f.linear_cross_entropy(t(OK), t([[1.0, 2.0, 3.0]]), t([0, 0])),
    "linear ce bias": lambda n, f, t: f.linear_cross_entropy(t(OK), t(OK), t([0, 0]), linear_bias=t([1.0])),
    "linear ce axes": lambda n, f, t: f.linear_cross_entropy(t([OK]), t(OK), t([0])),
    "linear ce lone": lambda n, f, t: f.linear_cross_entropy(t([1.0, 2.0]), t([OK]), t([0, 0])),
    "linear ce ignore": lambda n, f, t: f.linear_cross_entropy(t(OK), t(OK), t(OK), ignore_index=1),
    "linear ce label": lambda n, f, t: f.linear_cross_entropy(t(OK), t(OK), t([0, 5]), options=n.LinearCrossEntropyOptions()),
    "options method": lambda n, f, t: n.LinearCrossEntropyOptions(chunking_method="aspect"),
    "options factor": lambda n, f, t: n.LinearCrossEntropyOptions(chunking_method="aspect_ratio:0"),
    "options policy": lambda n, f, t: n.LinearCrossEntropyOptions(acc_policy="fast"),
    "options size": lambda n, f, t: n.LinearCrossEntropyOptions(batch_chunk_size=0),
    "options dtype": lambda n, f, t: n.LinearCrossEntropyOptions(acc_dtype="int64"),
    "options both": lambda n, f, t: f.linear_cross_entropy(t(OK * 8), t(OK), t([0] * 16), options=n.LinearCrossEntropyOptions(batch_chunk_size=1, chunking_method="aspect_ratio")),
    "linear ce layer": lambda n, f, t: n.LinearCrossEntropyLoss(2, 3, weight=t([1.0, 1.0])),
    "linear ce layer smoothing": lambda n, f, t: n.LinearCrossEntropyLoss(2, 3, label_smoothing=-0.1),
    "multi margin p": lambda n, f, t: f.multi_margin_loss(t(OK), t([0, 1]), p=3),
    "multi margin weight": lambda n, f, t: f.multi_margin_loss(t(OK), t([0, 1]), weight=t(OK)),
    "multi margin label": lambda n, f, t: f.multi_margin_loss(t(OK), t([0, 2])),
    "multi margin shape": lambda n, f, t: f.multi_margin_loss(t(OK), t([0])),
    "multi margin layer": lambda n, f, t: n.MultiMarginLoss(p=3),
    "multi margin layer weight": lambda n, f, t: n.MultiMarginLoss(weight=t(OK)),
    "multilabel shape": lambda n, f, t: f.multilabel_margin_loss(t(OK), t([0, 1])),
    "multilabel label": lambda n, f, t: f.multilabel_margin_loss(t(OK), t([[0, 2], [0, 1]])),
    "multilabel below -1": lambda n, f, t: f.multilabel_margin_loss(t(OK), t([[0, -2], [0, 1]])),
    "soft multilabel reduction": lambda n, f, t: f.multilabel_soft_margin_loss(t(OK), t(OK), reduction="batchmean"),
    "ranking axes": lambda n, f, t: f.margin_ranking_loss(t(OK), t(OK), t([1.0, -1.0])),
    "cosine embedding target": lambda n, f, t: f.cosine_embedding_loss(t(OK), t(OK), t(OK)),
    "cosine embedding axes": lambda n, f, t: f.cosine_embedding_loss(t([OK]), t([OK]), t([1.0])),
    "triplet margin": lambda n, f, t: f.triplet_margin_loss(t(OK), t(OK), t(OK), margin=0.0),
    "triplet axes": lambda n, f, t: f.triplet_margin_loss(t(OK), t(OK), t([1.0, 2.0])),
    "triplet layer": lambda n, f, t: n.TripletMarginLoss(margin=-1.0),
    "triplet distance margin": lambda n, f, t: n.TripletMarginWithDistanceLoss(margin=0.0),
    "triplet distance reduction": lambda n, f, t: f.triplet_margin_with_distance_loss(t(OK), t(OK), t(OK), reduction="batch"),
    "cosine shapes": lambda n, f, t: f.cosine_similarity(t(OK), t([[1.0, 2.0, 3.0]])),
    "cosine axis": lambda n, f, t: f.cosine_similarity(t(OK), t(OK), dim=2),
    "distance shapes": lambda n, f, t: f.pairwise_distance(t(OK), t([[1.0, 2.0, 3.0]])),
    "pdist axes": lambda n, f, t: f.pdist(t([OK])),
    "pdist p": lambda n, f, t: f.pdist(t(OK), p=-1.0),
    "bilinear width": lambda n, f, t: f.bilinear(t(OK), t(OK), t([[[1.0, 2.0, 3.0]]])),
    "bilinear rows": lambda n, f, t: f.bilinear(t(OK), t([[1.0, 2.0]]), t([OK])),
    "bilinear bias": lambda n, f, t: f.bilinear(t(OK), t(OK), t([OK]), t([1.0, 2.0])),
    "bilinear layer": lambda n, f, t: n.Bilinear(0, 2, 3),
    "linear width": lambda n, f, t: f.linear(t(OK), t([[1.0, 2.0, 3.0]])),
    "adaptive no cutoffs": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, []),
    "adaptive order": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [5, 3]),
    "adaptive end": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [12]),
    "adaptive twice": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 3]),
    "adaptive zero": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [0, 3]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused(name):
    call = REFUSED[name]
    both_reject(lambda: call(nn, F, mg.tensor), lambda: call(torch.nn, TF, torch.tensor))


def test_refused_when_made_not_when_used():
    for make in (
        lambda: nn.MSELoss("avg"), lambda: nn.HuberLoss(delta=-1.0), lambda: nn.SmoothL1Loss(beta=-1.0), lambda: nn.CrossEntropyLoss(label_smoothing=2.0),
        lambda: nn.KLDivLoss("batch"), lambda: nn.CTCLoss(reduction="batchmean"), lambda: nn.GaussianNLLLoss(eps=0.0), lambda: nn.MixtureNLLLoss("all"),
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 12, [2, 4, 6]), lambda: nn.Bilinear(2, 2, 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=":"):
            make()
