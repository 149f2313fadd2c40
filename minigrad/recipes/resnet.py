"""A small residual network on the shipped digits: six 3x3 layers and two shortcuts that change size."""

from ..models import ResNet
from ..train import Settings
from .base import Recipe

RESNET = Recipe(
    name="resnet",
    summary="ResNet-8 (He et al. 2015, section 4.2, n = 1), batch norm, AdamW, cosine schedule",
    build=lambda: ResNet(1, channels=1),
    settings={"digits": Settings(epochs=10, batch_size=64, lr=5e-3, weight_decay=0.05)},
    expected={"digits": ">= 97.5 %"},
    measured={"digits": "99.16 %"},
    minutes={"digits": "2"},
    first_layer="conv1.weight",
)
