"""LeNet-5 on handwritten digits. The 1998 paper reports 0.95 % test error on MNIST (distorted: 0.8 %)."""

from functools import partial

from ..models import LeNet5
from ..train import Settings
from .base import Recipe
from .digits import digit_classifier

SUMMARY = "LeNet-5 (LeCun et al. 1998), softmax output, AdamW, cosine schedule, small affine distortions"


classify = partial(digit_classifier, build=LeNet5, first_layer="C1.weight")
RECIPES = (
    Recipe(
        name="lenet5", summary=SUMMARY, run=partial(classify, data="digits", images=None), build=LeNet5,
        data="digits", metric="test error, %", mark=2.5, higher_is_better=False,
        paper="none on these digits", minutes=1,
        settings=Settings(epochs=40, batch_size=32, lr=2e-3, weight_decay=0.05),
        short={"epochs": 4}, baseline=90.0,
    ),
    Recipe(
        name="lenet5", summary=SUMMARY, run=partial(classify, data="mnist"), build=LeNet5,
        data="mnist", metric="test error, %", mark=1.1, higher_is_better=False,
        paper="0.95 %, with distortions 0.8 % (LeCun et al. 1998, on MNIST)", minutes=5,
        settings=Settings(epochs=15, batch_size=64, lr=2e-3, weight_decay=0.05),
        short={"epochs": 2, "images": 2000}, baseline=88.65,
    ),
)  # fmt: skip
