"""Architectures, one readable file each, with the parameter counts of their papers."""

from .adding import AddingRNN
from .alexnet import AlexNet, AlexNet32
from .autoencoder import LSTMAutoencoder
from .char_rnn import CharRNN
from .forecaster import LinearForecaster, LSTMForecaster
from .gpt import GPT, GPT2_SIZES, GPTSize
from .lenet5 import LeNet5
from .mlp import MLP
from .nin import NIN, CAMNet
from .pattern import PATTERNS, pattern, pattern_text
from .resnet import ResNet, resnet20
from .rnn_forms import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne
from .sentiment import AttentionLSTM, HierarchicalAttention
from .seq2seq import Seq2Seq
from .tagger import Tagger
from .text_cnn import TextCNN
from .vgg import VGG, NarrowVGG, vgg11, vgg13, vgg16, vgg19

__all__ = ["GPT", "GPT2_SIZES", "MLP", "NIN", "PATTERNS", "VGG", "AddingRNN", "AlexNet", "AlexNet32", "AttentionLSTM", "CAMNet", "CharRNN", "EncoderDecoder", "GPTSize", "HierarchicalAttention", "LSTMAutoencoder", "LSTMForecaster", "LeNet5", "LinearForecaster", "ManyToMany", "ManyToOne", "NarrowVGG", "OneToMany", "OneToOne", "ResNet", "Seq2Seq", "Tagger", "TextCNN", "pattern", "pattern_text", "resnet20", "vgg11", "vgg13", "vgg16", "vgg19"]
