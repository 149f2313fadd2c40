"""What the recipes of CIFAR-10 claim, besides their marks: loading, augmentation, heads, twins."""

import imitation
import numpy as np
import pytest

import minigrad as mg
from minigrad.engine.random import Generator, manual_seed
from minigrad.inspect.layers import still
from minigrad.models import MiniGoogLeNet, ResNet
from minigrad.recipes import cifar, googlenet, resnet_cifar
from minigrad.recipes.base import Task
from minigrad.recipes.cifar import Pictures, augmentation, linear_accuracy, load, normalise
from minigrad.train import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An imitation of CIFAR-10."""
    place = tmp_path_factory.mktemp("data")
    imitation.write(place, ["cifar10_jpeg"])
    return place


@pytest.fixture
def imitated(folder, monkeypatch):
    imitation.accept(monkeypatch, folder, ["cifar10_jpeg"])
    return folder


def test_normalised_pictures_have_mean_0_and_variance_1_by_colour():
    grey = np.full((1, 3, 32, 32), 128, np.uint8)
    x = normalise(grey)
    assert x.dtype == np.float32 and x.shape == grey.shape
    np.testing.assert_allclose(x[0, :, 0, 0] * cifar.STD + cifar.MEAN, 128 / 255, rtol=1e-6)


def test_smaller_pictures_are_means_of_whole_squares():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    wanted = normalise(images)[:, :, 4:8, 28:32].mean((2, 3))
    np.testing.assert_allclose(normalise(images, 8)[:, :, 1, 7], wanted, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"cifar: expected a size that divides 32 \(size=12\)"):
        normalise(images, 12)


def test_the_three_parts_share_no_image_and_hold_the_asked_classes(imitated):
    data = load(imitated, images=90, classes=3, size=16)
    assert [len(part[1]) for part in data[:3]] == [90, 10, 90]
    assert all(x.shape[1:] == (3, 16, 16) and x.dtype == np.float32 for x, _ in data[:3])
    seen = [{image.tobytes() for image in x} for x, _ in data[:3]]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    assert np.bincount(data.train[1]).tolist() == [30, 30, 30]
    assert data.classes == ("airplane", "automobile", "bird") and data.lossy


def test_a_part_too_small_or_a_single_class_is_refused(imitated):
    with pytest.raises(ValueError, match=r"\(images=8, classes=10\)"):
        load(imitated, images=8)
    with pytest.raises(ValueError, match=r"\(images=90, classes=1\)"):
        load(imitated, images=90, classes=1)


def test_augmented_pictures_are_crops_of_the_bordered_one_or_its_mirror():
    image = np.arange(1, 3 * 256 + 1, dtype=np.float32).reshape(1, 3, 16, 16)
    bordered = np.pad(image, ((0, 0), (0, 0), (2, 2), (2, 2)))
    crops = {bordered[0, :, i : i + 16, j : j + 16].tobytes() for i in range(5) for j in range(5)}
    mirrored = {np.frombuffer(c, np.float32).reshape(3, 16, 16)[..., ::-1].tobytes() for c in crops}
    drawn = [x.tobytes() for x in augmentation(16)(np.repeat(image, 400, 0), Generator(0))]
    assert set(drawn) == crops | mirrored  # 50 of them: each is missed by 400 draws once in 3,000 times


def separable(rng, n):
    labels = rng.integers(0, 2, n)
    images = rng.standard_normal((n, 3, 16, 16)).astype(np.float32)
    images[:, 0] += (2 * labels - 1)[:, None, None]
    return images, labels


def test_the_linear_baseline_finds_what_is_linear_and_no_more():
    rng = np.random.default_rng(0)
    train, test = separable(rng, 400), separable(rng, 200)
    assert linear_accuracy(Pictures(train, test, test, ("a", "b"), False), 4) > 99
    by_chance = (test[0], rng.permutation(test[1]))
    assert 35 < linear_accuracy(Pictures(train, test, by_chance, ("a", "b"), False), 4) < 65


def test_the_heads_answers_are_those_of_training():
    manual_seed(0)
    net = MiniGoogLeNet(classes=4, width=8, dropout=0.0)
    x = mg.randn(6, 3, 32, 32)
    for layer in net.modules():  # no running averages: training and eval mode are the same function
        if isinstance(layer, mg.nn.BatchNorm2d):
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
    wanted = [scores.argmax(1).cpu().numpy() for scores in net(x)]
    with still(net):
        found = googlenet.heads(net, x)
        again = googlenet.accuracies(net, (x.cpu().numpy(), wanted[1]), "cpu")
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert again["first auxiliary"] == 100
    assert again["second auxiliary"] == pytest.approx(100 * (wanted[2] == wanted[1]).mean())


def test_the_loss_of_training_counts_the_auxiliary_heads():
    manual_seed(0)
    net = MiniGoogLeNet(classes=4, width=8, dropout=0.0)
    batch = mg.randn(4, 3, 32, 32), mg.tensor([0, 1, 2, 3])
    total, figures = googlenet.loss(net, batch)
    parts = [mg.nn.functional.cross_entropy(s, batch[1]).item() for s in net(batch[0])]
    assert total.item() == pytest.approx(parts[0] + 0.3 * (parts[1] + parts[2]), rel=1e-5)
    assert 0 <= figures["accuracy"] <= 1


def test_twins_begin_alike_and_see_the_same_batches(imitated, tmp_path, monkeypatch):
    begun, seen = [], []

    def fit(self, net, data, loss, name):
        begun.append([p.detach().cpu().numpy().copy() for p in net.parameters()])
        seen.append(data)
        assert data is seen[0]
        return [{"epoch": 1, "train_loss": float(len(begun))}]

    monkeypatch.setattr(Task, "fit", fit)
    task = Task(Settings(epochs=1, workers=0), tmp_path / "run", data_dir=imitated)
    figures = resnet_cifar.study(task, images=90, size=8, classes=2, shallow=1, deep=2)
    for plain, residual in ((0, 2), (1, 3)):
        assert len(begun[plain]) == len(begun[residual])
        for a, b in zip(begun[plain], begun[residual], strict=True):
            np.testing.assert_array_equal(a, b)
    assert figures["training loss, deep plain / shallow plain"] == 2 / 1
    assert figures["training loss, deep residual / shallow residual"] == 4 / 3
    assert figures["training loss, deep plain / deep residual"] == 2 / 4
    assert (tmp_path / "run" / "training_loss.png").stat().st_size > 0


def test_depths_are_those_of_their_names():
    def layers(net):
        return sum(isinstance(m, mg.nn.Conv2d | mg.nn.Linear) for m in net.modules())

    assert [layers(ResNet(n)) for n in (1, 3, 9)] == [8, 20, 56]
