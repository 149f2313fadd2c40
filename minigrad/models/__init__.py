"""Architectures, one readable file each, with the parameter counts of their papers."""

from .adding import AddingRNN
from .alexnet import AlexNet, AlexNet32
from .autoencoder import LSTMAutoencoder
from .char_rnn import CharRNN
from .ecg import MINA, BeatCNN, BeatLSTM, ECGNet, bands
from .fcn1d import FCN1d
from .forecaster import LinearForecaster, LSTMForecaster
from .gat import GAT
from .gcn import GCN, Edges, normalised, normalised_edges
from .gpt import GPT, GPT2_SIZES, GPTSize
from .inception import GoogLeNet, Inception, MiniGoogLeNet, NaiveInception, auxiliary_loss
from .intra_attention import IntraAttentionLSTM
from .knn import KNN
from .lenet5 import LeNet5
from .mlp import MLP
from .nin import NIN, CAMNet
from .pattern import PATTERNS, pattern, pattern_text
from .pointnet import PointNet
from .protein import ProteinLSTM
from .resnet import (
    ResNet,
    plain20,
    plain32,
    plain44,
    plain56,
    plain110,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)
from .resnet1d import ResNet1d
from .resnet_imagenet import BasicBlock, Bottleneck, ImageNetResNet, resnet18, resnet34, resnet50
from .rnn_forms import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne
from .sentiment import AttentionLSTM, HierarchicalAttention
from .seq2seq import Seq2Seq
from .siamese import Siamese
from .tagger import Tagger
from .text_cnn import TextCNN
from .vgg import VGG, NarrowVGG, vgg11, vgg13, vgg16, vgg19
from .wavenet import WaveNet, mu_law, mu_law_inverse

__all__ = [
    "MINA",
    "BeatCNN",
    "BeatLSTM",
    "ECGNet",
    "bands",
    "FCN1d",
    "ProteinLSTM",
    "ResNet1d",
    "Siamese",
    "WaveNet",
    "mu_law",
    "mu_law_inverse",
    "GAT",
    "GCN",
    "GPT",
    "GPT2_SIZES",
    "KNN",
    "MLP",
    "NIN",
    "PATTERNS",
    "VGG",
    "AddingRNN",
    "AlexNet",
    "AlexNet32",
    "AttentionLSTM",
    "BasicBlock",
    "Bottleneck",
    "CAMNet",
    "CharRNN",
    "Edges",
    "EncoderDecoder",
    "GPTSize",
    "GoogLeNet",
    "HierarchicalAttention",
    "IntraAttentionLSTM",
    "ImageNetResNet",
    "Inception",
    "LSTMAutoencoder",
    "LSTMForecaster",
    "LeNet5",
    "LinearForecaster",
    "ManyToMany",
    "ManyToOne",
    "MiniGoogLeNet",
    "NaiveInception",
    "NarrowVGG",
    "OneToMany",
    "OneToOne",
    "PointNet",
    "ResNet",
    "Seq2Seq",
    "Tagger",
    "TextCNN",
    "auxiliary_loss",
    "normalised",
    "normalised_edges",
    "pattern",
    "pattern_text",
    "plain110",
    "plain20",
    "plain32",
    "plain44",
    "plain56",
    "resnet110",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
]
