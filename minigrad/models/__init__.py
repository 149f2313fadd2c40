"""Architectures, one readable file each, with the parameter counts of their papers."""

from .alexnet import AlexNet, AlexNet32
from .lenet5 import LeNet5
from .mlp import MLP
from .resnet import ResNet, resnet20
from .text_cnn import TextCNN
from .vgg import VGG, NarrowVGG, vgg11, vgg13, vgg16, vgg19

__all__ = [
    "MLP",
    "VGG",
    "AlexNet",
    "AlexNet32",
    "LeNet5",
    "NarrowVGG",
    "ResNet",
    "TextCNN",
    "resnet20",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
]
