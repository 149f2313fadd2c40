"""A row for every name of torch.nn, nn.functional and optim that is here: what to run in both libraries.

`MODULES[name]`: constructor calls and input arrays; `FUNCTIONS[name]`: calls and input arrays; `OPTIMISERS[name]`:
settings. test_torch_names.py runs them all, and `.ci/torch_names.py` writes the table of names: a name is
"here and equal" if its signature is PyTorch's and its row passes. The random options of each layer are
explored by the file of its topic (test_conv.py and so on); these rows see that no name is forgotten.
"""

import numpy as np

RNG = np.random.default_rng(5)
N = lambda *shape: RNG.normal(size=shape)
U = lambda low, high, *shape: RNG.uniform(low, high, size=shape)
X = N(4, 6) * 2
LINE, IMAGE, VOLUME = N(2, 4, 9), N(2, 4, 8, 7), N(2, 4, 5, 6, 5)
SHAPES = {1: LINE, 2: IMAGE, 3: VOLUME}
EVEN = {1: N(2, 4, 8), 2: N(2, 4, 8, 6), 3: N(2, 4, 4, 6, 4)}
P, Q = U(0.05, 0.95, 4, 6), U(0.05, 0.95, 4, 6)
CLASSES = np.array([1, 5, 0, 2])
SIGNS = np.sign(N(4, 6))
SEQUENCE = N(5, 3, 4)  # (T, N, features)
TOKENS = np.array([[1, 2, 0], [4, 4, 3]])


def sizes(dims):
    return SHAPES[dims]


MODULES: dict[str, list] = {}
FUNCTIONS: dict[str, list] = {}


def module(name, *arrays, make=None, call=None, **how):
    """One more row: make(nn, lib) builds the module; call(m, *tensors) runs it."""
    make = make or (lambda nn, lib: getattr(nn, name)())
    MODULES.setdefault(name, []).append((make, call, arrays, how))


def function(name, call, *arrays, **how):
    """One more row: call(F, lib, *tensors)."""
    FUNCTIONS.setdefault(name, []).append((call, arrays, how))


# ---------------------------------------------------------------- activations

for name in (
    "ReLU ReLU6 ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardshrink Hardtanh LeakyReLU LogSigmoid PReLU "
    "Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink GLU Identity Flatten"
).split():
    module(name, X, **({"atol": 2e-7, "order2": False} if name == "Hardsigmoid" else {}))  # PyTorch's slope is 1/6 in float32
module("RReLU", X, make=lambda nn, lib: nn.RReLU(0.2, 0.2))
module("Threshold", X, make=lambda nn, lib: nn.Threshold(0.1, 2.0))
module("GELU", X, make=lambda nn, lib: nn.GELU(approximate="tanh"))
module("PReLU", IMAGE, make=lambda nn, lib: nn.PReLU(4, 0.3))
for name in ("Softmax", "Softmin", "LogSoftmax"):
    module(name, X, make=lambda nn, lib, name=name: getattr(nn, name)(dim=1))
module("Softmax2d", IMAGE)
module("Unflatten", X, make=lambda nn, lib: nn.Unflatten(1, (2, 3)))
ACTIVATIONS = (
    "celu elu gelu glu hardshrink hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu sigmoid "
    "silu softplus softshrink softsign tanh tanhshrink"
).split()
for name in ACTIVATIONS:
    function(name, lambda F, lib, x, name=name: getattr(F, name)(x), X)
function("hardsigmoid", lambda F, lib, x: F.hardsigmoid(x), X, atol=2e-7, order2=False)
for name in "celu elu hardtanh leaky_relu relu selu".split():
    function(name + "_", lambda F, lib, x, name=name: getattr(F, name + "_")(x * 1.0), X)
    function(name, lambda F, lib, x, name=name: getattr(F, name)(x * 1.0, inplace=True), X)
function("threshold", lambda F, lib, x: F.threshold(x, 0.1, 2.0), X)
function("threshold_", lambda F, lib, x: F.threshold_(x * 1.0, 0.1, 2.0), X)
function("rrelu", lambda F, lib, x: F.rrelu(x, 0.1, 0.3), X)
function("rrelu_", lambda F, lib, x: F.rrelu_(x * 1.0, 0.1, 0.3), X)
function("prelu", lambda F, lib, x, w: F.prelu(x, w), X, U(0.1, 0.4, 6))
for name in ("softmax", "softmin", "log_softmax"):
    function(name, lambda F, lib, x, name=name: getattr(F, name)(x, dim=1), X)
function("gumbel_softmax", lambda F, lib, x: F.gumbel_softmax(x * 1e4, hard=True).detach(), X)  # random: its limit

# ---------------------------------------------------------------- linear, convolution, folding, padding

module("Linear", X, make=lambda nn, lib: nn.Linear(6, 3))
module("Bilinear", N(4, 3), N(4, 2), make=lambda nn, lib: nn.Bilinear(3, 2, 5))
function("linear", lambda F, lib, x, w, b: F.linear(x, w, b), X, N(3, 6), N(3))
function("bilinear", lambda F, lib, *xs: F.bilinear(*xs), N(4, 3), N(4, 2), N(5, 3, 2), N(5))
STRIDED = {"stride": 2, "padding": 1, "groups": 2}
for d in (1, 2, 3):
    module(f"Conv{d}d", sizes(d), make=lambda nn, lib, d=d: getattr(nn, f"Conv{d}d")(4, 6, 3, **STRIDED))
    module(f"ConvTranspose{d}d", sizes(d), make=lambda nn, lib, d=d: getattr(nn, f"ConvTranspose{d}d")(4, 6, 3, output_padding=1, **STRIDED))
    function(f"conv{d}d", lambda F, lib, x, w, b, d=d: getattr(F, f"conv{d}d")(x, w, b, dilation=2, padding="same"), sizes(d), N(3, 4, *[2] * d), N(3))
    function(f"conv_transpose{d}d", lambda F, lib, x, w, b, d=d: getattr(F, f"conv_transpose{d}d")(x, w, b, 2, 1, 1), sizes(d), N(4, 3, *[3] * d), N(3))
    module(f"ConstantPad{d}d", sizes(d), make=lambda nn, lib, d=d: getattr(nn, f"ConstantPad{d}d")(2, 1.5))
    for name in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
        module(f"{name}{d}d", sizes(d), make=lambda nn, lib, name=name, d=d: getattr(nn, f"{name}{d}d")(tuple(range(1, 3)) * d))
function("conv_tbc", lambda F, lib, x, w, b: F.conv_tbc(x, w, b, 1), N(7, 2, 4), N(3, 4, 5), N(5), order2=False)
module("Unfold", IMAGE, make=lambda nn, lib: nn.Unfold((2, 3), dilation=2, padding=1, stride=(1, 2)))
module("Fold", N(2, 12, 16), make=lambda nn, lib: nn.Fold((5, 6), (2, 3)))
function("unfold", lambda F, lib, x: F.unfold(x, 2, stride=2), IMAGE)
function("fold", lambda F, lib, x: F.fold(x, (5, 6), (2, 3)), N(2, 12, 16))
for mode in ("constant", "reflect", "replicate", "circular"):
    function("pad", lambda F, lib, x, mode=mode: F.pad(x, (1, 2, 3, 0), mode), IMAGE)

# ---------------------------------------------------------------- pooling

for d in (1, 2, 3):
    x = sizes(d)
    module(f"MaxPool{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"MaxPool{d}d")(3, 2, 1, ceil_mode=True))
    module(f"MaxPool{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"MaxPool{d}d")(2, return_indices=True))
    module(f"AvgPool{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"AvgPool{d}d")(3, 2, 1, count_include_pad=False))
    module(f"AdaptiveAvgPool{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"AdaptiveAvgPool{d}d")(3))
    module(f"AdaptiveMaxPool{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"AdaptiveMaxPool{d}d")(3, return_indices=True))
    module(f"LPPool{d}d", np.abs(x) + 0.1, make=lambda nn, lib, d=d: getattr(nn, f"LPPool{d}d")(3, 2, 2))
    module(f"MaxUnpool{d}d", EVEN[d], make=lambda nn, lib, d=d: getattr(nn, f"MaxUnpool{d}d")(2), call=lambda m, x, d=d: m(*pooled(x, d)))
    for name in ("max_pool", "avg_pool"):
        function(f"{name}{d}d", lambda F, lib, x, f=f"{name}{d}d": getattr(F, f)(x, 2, 1), x)
    for name in ("adaptive_avg_pool", "adaptive_max_pool"):
        function(f"{name}{d}d", lambda F, lib, x, f=f"{name}{d}d": getattr(F, f)(x, 2), x)
    function(f"adaptive_max_pool{d}d_with_indices", lambda F, lib, x, d=d: getattr(F, f"adaptive_max_pool{d}d_with_indices")(x, 2), x)
    function(f"max_pool{d}d_with_indices", lambda F, lib, x, d=d: getattr(F, f"max_pool{d}d_with_indices")(x, 2), x)
    function(f"lp_pool{d}d", lambda F, lib, x, d=d: getattr(F, f"lp_pool{d}d")(x, 3, 2), np.abs(x) + 0.1)
    function(f"max_unpool{d}d", lambda F, lib, x, d=d: getattr(F, f"max_unpool{d}d")(*getattr(F, f"max_pool{d}d_with_indices")(x, 2), 2), EVEN[d])
for d in (2, 3):
    samples = U(0.05, 0.95, 2, 4, d)
    module(f"FractionalMaxPool{d}d", sizes(d), make=lambda nn, lib, d=d, s=samples: getattr(nn, f"FractionalMaxPool{d}d")(2, output_size=3, _random_samples=lib.tensor(s)), float32=False)
    for name in (f"fractional_max_pool{d}d", f"fractional_max_pool{d}d_with_indices"):
        function(name, lambda F, lib, x, name=name, s=samples: getattr(F, name)(x, 2, output_size=3, _random_samples=lib.tensor(s).to(x.dtype)), sizes(d))


def pooled(x, d):
    """x pooled, with indices, by the library that x is of."""
    if type(x).__module__.startswith("minigrad"):
        from minigrad.nn import functional as F
    else:
        from torch.nn import functional as F
    return getattr(F, f"max_pool{d}d")(x, 2, return_indices=True)


# ---------------------------------------------------------------- pixels and grids

module("PixelShuffle", IMAGE, make=lambda nn, lib: nn.PixelShuffle(2))
module("PixelUnshuffle", N(2, 3, 6, 8), make=lambda nn, lib: nn.PixelUnshuffle(2))
module("ChannelShuffle", IMAGE, make=lambda nn, lib: nn.ChannelShuffle(2))
function("pixel_shuffle", lambda F, lib, x: F.pixel_shuffle(x, 2), IMAGE)
function("pixel_unshuffle", lambda F, lib, x: F.pixel_unshuffle(x, 2), N(2, 3, 6, 8))
function("channel_shuffle", lambda F, lib, x: F.channel_shuffle(x, 2), IMAGE)
function("native_channel_shuffle", lambda F, lib, x: F.native_channel_shuffle(x.detach(), 2), IMAGE)
module("Upsample", IMAGE, make=lambda nn, lib: nn.Upsample(scale_factor=2, mode="bilinear"))
module("UpsamplingNearest2d", IMAGE, make=lambda nn, lib: nn.UpsamplingNearest2d(scale_factor=2))
module("UpsamplingBilinear2d", IMAGE, make=lambda nn, lib: nn.UpsamplingBilinear2d(size=(11, 5)))
for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
    function("interpolate", lambda F, lib, x, mode=mode: F.interpolate(x, (5, 11), mode=mode), IMAGE)
function("upsample", lambda F, lib, x: F.upsample(x, scale_factor=2), IMAGE)
function("upsample_nearest", lambda F, lib, x: F.upsample_nearest(x, scale_factor=2), IMAGE)
function("upsample_bilinear", lambda F, lib, x: F.upsample_bilinear(x, scale_factor=2), IMAGE)
GRID = U(-1.2, 1.2, 2, 3, 4, 2)
function("grid_sample", lambda F, lib, x, g: F.grid_sample(x, g, align_corners=False), IMAGE, GRID, order2=False)
function("affine_grid", lambda F, lib, t: F.affine_grid(t, [2, 3, 4, 5], align_corners=False), N(2, 2, 3))

# ---------------------------------------------------------------- normalisation and dropout

for d, x in ((1, LINE), (2, IMAGE), (3, VOLUME)):
    module(f"BatchNorm{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"BatchNorm{d}d")(4))
    module(f"InstanceNorm{d}d", x, make=lambda nn, lib, d=d: getattr(nn, f"InstanceNorm{d}d")(4, affine=True, track_running_stats=True))
module("LayerNorm", IMAGE, make=lambda nn, lib: nn.LayerNorm((8, 7)))
module("RMSNorm", X, make=lambda nn, lib: nn.RMSNorm(6))
module("GroupNorm", IMAGE, make=lambda nn, lib: nn.GroupNorm(2, 4))
module("LocalResponseNorm", IMAGE, make=lambda nn, lib: nn.LocalResponseNorm(3))
function("batch_norm", lambda F, lib, x, w, b: F.batch_norm(x, None, None, w, b, training=True), IMAGE, N(4), N(4))
function("instance_norm", lambda F, lib, x, w, b: F.instance_norm(x, weight=w, bias=b), IMAGE, N(4), N(4))
function("layer_norm", lambda F, lib, x, w, b: F.layer_norm(x, (7,), w, b), IMAGE, N(7), N(7))
function("rms_norm", lambda F, lib, x, w: F.rms_norm(x, (6,), w), X, N(6))
function("group_norm", lambda F, lib, x, w, b: F.group_norm(x, 2, w, b), IMAGE, N(4), N(4))
function("local_response_norm", lambda F, lib, x: F.local_response_norm(x, 3), IMAGE)
function("normalize", lambda F, lib, x: F.normalize(x, 3.0, 0), X)
RANDOM = {"Dropout": X, "Dropout1d": LINE, "Dropout2d": IMAGE, "Dropout3d": VOLUME, "AlphaDropout": X, "FeatureAlphaDropout": IMAGE}
for name, x in RANDOM.items():  # other random bits: equal where chance has no say; the rest is statistics
    module(name, x, make=lambda nn, lib, name=name: getattr(nn, name)(0.0))
    module(name, x, make=lambda nn, lib, name=name: getattr(nn, name)(0.4).eval(), call=lambda m, x: m.eval()(x))
for name, x in {"dropout": X, "dropout1d": LINE, "dropout2d": IMAGE, "dropout3d": VOLUME, "alpha_dropout": X, "feature_alpha_dropout": IMAGE}.items():
    function(name, lambda F, lib, x, name=name: getattr(F, name)(x, 0.4, False), x)
    function(name, lambda F, lib, x, name=name: getattr(F, name)(x, 0.0, True), x)

# ---------------------------------------------------------------- recurrent, attention, embedding

for name in ("RNN", "LSTM", "GRU"):
    module(name, SEQUENCE, make=lambda nn, lib, name=name: getattr(nn, name)(4, 3, 2, bidirectional=True))
module("LSTM", SEQUENCE, make=lambda nn, lib: nn.LSTM(4, 3, proj_size=2))
for name in ("RNNCell", "LSTMCell", "GRUCell"):
    module(name, N(3, 4), make=lambda nn, lib, name=name: getattr(nn, name)(4, 5))
module("MultiheadAttention", N(5, 2, 8), N(6, 2, 8), make=lambda nn, lib: nn.MultiheadAttention(8, 2), call=lambda m, q, k: m(q, k, k))
WIDTHS = {"d_model": 8, "nhead": 2, "dim_feedforward": 12, "dropout": 0.0}
module("TransformerEncoderLayer", N(2, 5, 8), make=lambda nn, lib: nn.TransformerEncoderLayer(**WIDTHS, batch_first=True), order2=False)
module("TransformerEncoder", N(2, 5, 8), make=lambda nn, lib: nn.TransformerEncoder(nn.TransformerEncoderLayer(**WIDTHS, batch_first=True), 2), order2=False)
module("TransformerDecoderLayer", N(5, 2, 8), N(4, 2, 8), make=lambda nn, lib: nn.TransformerDecoderLayer(**WIDTHS), order2=False)
module("TransformerDecoder", N(5, 2, 8), N(4, 2, 8), make=lambda nn, lib: nn.TransformerDecoder(nn.TransformerDecoderLayer(**WIDTHS), 2), order2=False)
module("Transformer", N(5, 2, 8), N(4, 2, 8), make=lambda nn, lib: nn.Transformer(8, 2, 1, 1, 12, 0.0), order2=False)
function("scaled_dot_product_attention", lambda F, lib, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), N(2, 3, 5, 4), N(2, 3, 5, 4), N(2, 3, 5, 6))
function(
    "multi_head_attention_forward",
    lambda F, lib, q, k, w, b, o, c: F.multi_head_attention_forward(q, k, k, 8, 2, w, b, None, None, False, 0.0, o, c),
    N(5, 2, 8), N(6, 2, 8), N(24, 8), N(24), N(8, 8), N(8),
)  # fmt: skip
module("Embedding", TOKENS, make=lambda nn, lib: nn.Embedding(6, 3, padding_idx=0))
module("EmbeddingBag", TOKENS, make=lambda nn, lib: nn.EmbeddingBag(6, 3))
function("embedding", lambda F, lib, i, w: F.embedding(i, w, padding_idx=2), TOKENS, N(6, 3))
function("embedding_bag", lambda F, lib, i, w, p: F.embedding_bag(i, w, mode="sum", per_sample_weights=p), TOKENS, N(6, 3), N(2, 3), order2=False)
function("one_hot", lambda F, lib, i: F.one_hot(i, 7), TOKENS)

# ---------------------------------------------------------------- distances and losses

module("CosineSimilarity", X, N(4, 6))
module("PairwiseDistance", X, N(4, 6))
function("cosine_similarity", lambda F, lib, a, b: F.cosine_similarity(a, b), X, N(4, 6))
function("pairwise_distance", lambda F, lib, a, b: F.pairwise_distance(a, b, 3.0), X, N(4, 6))
function("pdist", lambda F, lib, x: F.pdist(x), X, order2=False)

LOG_Q = np.log(Q / Q.sum(1, keepdims=True))
MULTI = np.array([[0, 3, -1, 1, 2, 2], [5, 1, 0, -1, 1, 1], [2, -1, 0, 0, 0, 0], [1, 2, 3, -1, 4, 0]])
LOSSES = {  # name of the class -> (name of the function, arrays, settings)
    "L1Loss": ("l1_loss", (X, P), {}),
    "MSELoss": ("mse_loss", (X, P), {}),
    "SmoothL1Loss": ("smooth_l1_loss", (X, P), {"beta": 0.7}),
    "HuberLoss": ("huber_loss", (X, P), {"delta": 0.7}),
    "CrossEntropyLoss": ("cross_entropy", (X, CLASSES), {"label_smoothing": 0.1}),
    "NLLLoss": ("nll_loss", (LOG_Q, CLASSES), {"ignore_index": 5}),
    "BCELoss": ("binary_cross_entropy", (P, Q), {}),
    "BCEWithLogitsLoss": ("binary_cross_entropy_with_logits", (X, P), {}),
    "KLDivLoss": ("kl_div", (LOG_Q, P), {"reduction": "batchmean"}),
    "PoissonNLLLoss": ("poisson_nll_loss", (X, P * 3), {"full": True}),
    "GaussianNLLLoss": ("gaussian_nll_loss", (X, P, Q), {"full": True}),
    "HingeEmbeddingLoss": ("hinge_embedding_loss", (X, SIGNS), {"margin": 1.5}),
    "CosineEmbeddingLoss": ("cosine_embedding_loss", (X, P, np.sign(N(4))), {"margin": 0.2}),
    "MarginRankingLoss": ("margin_ranking_loss", (X, P, SIGNS), {"margin": 0.2}),
    "MultiMarginLoss": ("multi_margin_loss", (X, CLASSES), {"margin": 1.5}),
    "MultiLabelMarginLoss": ("multilabel_margin_loss", (X, MULTI), {}),
    "MultiLabelSoftMarginLoss": ("multilabel_soft_margin_loss", (X, np.round(P)), {}),
    "SoftMarginLoss": ("soft_margin_loss", (X, SIGNS.astype(int)), {}),
    "TripletMarginLoss": ("triplet_margin_loss", (X, P, Q), {"margin": 0.6}),
    "TripletMarginWithDistanceLoss": ("triplet_margin_with_distance_loss", (X, P, Q), {"swap": True}),
}
NO_ORDER2 = {"MultiMarginLoss", "MultiLabelMarginLoss"}  # PyTorch has no second derivative of these
for name, (f, arrays, settings) in LOSSES.items():
    how = {"order2": name not in NO_ORDER2}
    module(name, *arrays, make=lambda nn, lib, name=name, s=settings: getattr(nn, name)(**s), **how)
    function(f, lambda F, lib, *xs, f=f, s=settings: getattr(F, f)(*xs, **s), *arrays, **how)
LENGTHS = np.array([6, 5]), np.array([3, 2])
LABELS = np.array([[1, 2, 2], [3, 1, 0]])
module("CTCLoss", N(6, 2, 4), LABELS, *LENGTHS, call=lambda m, x, *rest: m(x.log_softmax(2), *rest), order2=False)
function("ctc_loss", lambda F, lib, x, *rest: F.ctc_loss(F.log_softmax(x, 2), *rest), N(6, 2, 4), LABELS, *LENGTHS, order2=False)
module(
    "AdaptiveLogSoftmaxWithLoss", N(4, 6), np.array([0, 3, 7, 9]),
    make=lambda nn, lib: nn.AdaptiveLogSoftmaxWithLoss(6, 10, [2, 5], div_value=2.0),
    call=lambda m, x, t: tuple(m(x, t)),
)  # fmt: skip
module("LinearCrossEntropyLoss", X, CLASSES, make=lambda nn, lib: nn.LinearCrossEntropyLoss(6, 7))
function("linear_cross_entropy", lambda F, lib, x, w, t: F.linear_cross_entropy(x, w, t), X, N(7, 6), CLASSES)

# ---------------------------------------------------------------- containers: each holds a linear layer, and calls it

module("Sequential", X, make=lambda nn, lib: nn.Sequential(nn.Linear(6, 3), nn.ReLU()))
module("ModuleList", X, make=lambda nn, lib: nn.ModuleList([nn.Linear(6, 3)]), call=lambda m, x: m[0](x))
module("ModuleDict", X, make=lambda nn, lib: nn.ModuleDict({"a": nn.Linear(6, 3)}), call=lambda m, x: m["a"](x))
HELD = {"ParameterList": lambda nn, lib: nn.ParameterList([lib.ones(6)]), "ParameterDict": lambda nn, lib: nn.ParameterDict({"a": lib.ones(6)})}
module("ParameterList", X, make=HELD["ParameterList"], call=lambda m, x: x * m[0], same_repr=False)
module("ParameterDict", X, make=HELD["ParameterDict"], call=lambda m, x: x * m["a"], same_repr=False)


for name in ("RNNBase", "RNNCellBase"):
    module(name, SEQUENCE, make=lambda nn, lib, name=name: base_of(nn, name), call=lambda m, x: x @ next(iter(m.parameters())).T)
module("LinearCrossEntropyOptions", X, CLASSES, make=lambda nn, lib: nn.LinearCrossEntropyLoss(6, 7, options=nn.LinearCrossEntropyOptions()))


def base_of(nn, name):
    """A layer that the base class makes by the name of its kind."""
    return nn.RNNBase("GRU", 4, 3) if name == "RNNBase" else nn.RNNCellBase(4, 3, True, 1)


def holder(nn, lib):
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.p, self.b = nn.Parameter(lib.ones(6)), nn.Buffer(lib.ones(6))

        def forward(self, x):
            return x * self.p + self.b

    return Holder()


for name in ("Module", "Parameter", "Buffer"):
    module(name, X, make=holder)

OPTIMISERS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "Adam": {"lr": 0.05, "amsgrad": True, "weight_decay": 0.01},
    "AdamW": {"lr": 0.05},
    "RMSprop": {"lr": 0.05, "momentum": 0.9, "centered": True},
    "Adagrad": {"lr": 0.05, "lr_decay": 0.1},
    "Adadelta": {"lr": 0.5},
    "NAdam": {"lr": 0.05},
    "RAdam": {"lr": 0.05},
    "Adamax": {"lr": 0.05},
    "ASGD": {"lr": 0.05},
    "Rprop": {"lr": 0.05},
    "LBFGS": {"lr": 0.5, "line_search_fn": "strong_wolfe"},
    "Adafactor": {"lr": 0.05},
    "Muon": {"lr": 0.05},
}
SCHEDULES = {
    "LambdaLR": {"lr_lambda": lambda k: 0.9**k},
    "MultiplicativeLR": {"lr_lambda": lambda k: 0.9},
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [2, 5]},
    "ConstantLR": {"factor": 0.5, "total_iters": 4},
    "LinearLR": {"total_iters": 4},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {"total_iters": 6, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
    "OneCycleLR": {"max_lr": 0.2, "total_steps": 12},
}
