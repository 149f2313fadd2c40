"""Architectures, one readable file each, with the parameter counts of their papers."""

from .lenet5 import LeNet5
from .mlp import MLP
from .resnet import ResNet, resnet20

__all__ = ["MLP", "LeNet5", "ResNet", "resnet20"]
