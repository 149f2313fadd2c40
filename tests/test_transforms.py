"""Transforms: against slow formulas, PIL and colorsys; their statistics; what all of them promise."""

import colorsys

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import DataLoader, TensorDataset
from minigrad.data import transforms as T
from minigrad.data.transforms import mix, policies
from minigrad.engine.random import Generator
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 3, 11, 14), np.float32)
BYTES = (IMAGES * 255).astype(np.uint8)
SERIES = RNG.normal(size=(6, 2, 20)).astype(np.float32)

# Every random transform: it, and a batch for it.
RANDOM = {
    "flip": (T.RandomHorizontalFlip(), IMAGES), "vertical": (T.RandomVerticalFlip(), BYTES),
    "crop": (T.RandomCrop((5, 6), padding=2), IMAGES), "crop of bytes": (T.RandomCrop(5), BYTES),
    "resized crop": (T.RandomResizedCrop(8), IMAGES), "affine": (T.RandomAffine(20, (0.1, 0.2), (0.7, 1.2), 10, 0.5), IMAGES),
    "rotation": (T.RandomRotation(40), IMAGES), "jitter": (T.ColorJitter(0.4, 0.4, 0.4, 0.2), IMAGES),
    "gray": (T.RandomGrayscale(0.5), IMAGES), "blur": (T.GaussianBlur(5), IMAGES), "erasing": (T.RandomErasing(), IMAGES),
    "erasing bytes": (T.RandomErasing(1.0, value=(1, 2, 3)), BYTES), "erasing by noise": (T.RandomErasing(value="random"), IMAGES),
    "apply": (T.RandomApply([T.RandomCrop((11, 14), padding=3), T.GaussianNoise()]), IMAGES),
    "choice": (T.RandomChoice([T.RandomRotation(30), T.ColorJitter(0.5)], [1, 2]), IMAGES),
    "chain": (T.Compose([T.RandomCrop(8), T.RandomHorizontalFlip(), T.Normalize(0.5, 0.5)]), IMAGES),
    "rand augment": (T.RandAugment(), IMAGES), "trivial augment": (T.TrivialAugmentWide(), IMAGES), "auto augment": (T.AutoAugment(), IMAGES),
    "piece": (T.RandomSequenceCrop(7), SERIES), "piece, time first": (T.RandomSequenceCrop(1, axis=1), SERIES),
    "shift": (T.RandomShift(5), SERIES), "wrapped": (T.RandomShift(5, wrap=True), SERIES), "noise": (T.RandomNoise((0.1, 0.3)), SERIES),
    "image noise": (T.GaussianNoise(0.1, 0.2), IMAGES), "warp": (T.TimeWarp(0.5), SERIES),
}  # fmt: skip
FIXED = {
    "resize": (T.Resize((5, 20)), IMAGES), "middle": (T.CenterCrop((9, 20)), BYTES), "pad": (T.Pad((1, 2), 7), BYTES),
    "grayscale": (T.Grayscale(3), IMAGES), "float": (T.ToFloat(), BYTES), "normalise": (T.Normalize((0.1, 0.2, 0.3), 2), IMAGES),
}  # fmt: skip


# ---------------------------------------------------------------- what all promise


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
def test_the_input_is_left_alone_and_not_shared(name):
    transform, x = (RANDOM | FIXED)[name]
    before = x.copy()
    y = transform(x, Generator(0))
    y += 1
    assert np.array_equal(x, before)
    for other in (x[::-1].copy()[::-1], np.asfortranarray(x)):
        assert np.array_equal(transform(other, Generator(0)) + 1, y)


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
def test_batches_of_one_and_of_none(name):
    transform, x = (RANDOM | FIXED)[name]
    y = transform(x, Generator(0))
    assert y.dtype == (x.dtype if x.dtype == np.float32 or "float" not in name else np.float32)
    assert transform(x[:1], Generator(0)).shape == (1, *y.shape[1:])
    none = transform(x[:0], Generator(0))
    assert none.dtype == y.dtype and (none.shape == (0, *y.shape[1:]) or name in ("apply", "choice"))


@pytest.mark.parametrize("name", RANDOM)
def test_the_stream_decides(name):
    transform, x = RANDOM[name]
    x = np.concatenate([x, x, x])
    first = transform(x, Generator(3))
    assert np.array_equal(first, transform(x, Generator(3)))
    assert not np.array_equal(first, transform(x, Generator(4)))
    assert not np.array_equal(first[:6], first[6:12]), "every item has parameters of its own"
    if name != "chain":
        with pytest.raises(ValueError, match="Generator"):
            transform(x, None)


@pytest.mark.parametrize("mixing", [False, True])
def test_the_number_of_workers_changes_nothing(mixing):
    chain = T.Compose([T.RandomCrop((11, 14), padding=2), T.RandAugment(), T.RandomErasing()])
    data = TensorDataset(np.concatenate([IMAGES] * 3), np.arange(18) % 4, transform=chain)
    data = T.MixedDataset(data, T.MixUp(num_classes=4)) if mixing else data
    runs = []
    for workers in (0, 1, 3):
        loader = DataLoader(data, 5, shuffle=True, num_workers=workers, generator=Generator(7))
        runs.append([np.concatenate([part.cpu().numpy().ravel() for part in batch]) for batch in loader])
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(runs[0], run, strict=True))


# ---------------------------------------------------------------- flips, crops, erasing


def test_flips():
    many = np.arange(2000 * 6).reshape(2000, 1, 2, 3)
    for transform, axis in ((T.RandomHorizontalFlip(0.3), 3), (T.RandomVerticalFlip(0.3), 2)):
        y = transform(many, Generator(0))
        flipped = (y == np.flip(many, axis)).all((1, 2, 3))
        assert (flipped | (y == many).all((1, 2, 3))).all()
        assert abs(flipped.mean() - 0.3) < 0.05
    assert np.array_equal(T.RandomHorizontalFlip(1.0)(BYTES, Generator(0)), BYTES[..., ::-1])
    assert np.array_equal(T.RandomVerticalFlip(0.0)(BYTES, Generator(0)), BYTES)


def test_a_crop_is_a_part_of_the_image_from_anywhere():
    image = np.arange(1, 31).reshape(1, 1, 5, 6)
    many = np.repeat(image, 3000, 0)
    y = T.RandomCrop((4, 3), padding=(1, 0, 2, 3), fill=-1)(many, Generator(1))
    framed = np.pad(image[0, 0], ((0, 3), (1, 2)), constant_values=-1)
    counts = np.zeros((5, 7))
    for top in range(5):
        for left in range(7):
            counts[top, left] = (y[:, 0] == framed[top : top + 4, left : left + 3]).all((1, 2)).sum()
    assert counts.sum() == 3000 and abs(counts / 3000 * 35 - 1).max() < 0.5
    small = T.RandomCrop(8, pad_if_needed=True, padding_mode="edge")(image, Generator(0))
    assert small.shape == (1, 1, 8, 8) and small.min() == 1


def test_the_middle():
    image = np.arange(30).reshape(1, 1, 5, 6)
    assert np.array_equal(T.CenterCrop((3, 4))(image)[0, 0], image[0, 0, 1:4, 1:5])
    wide = T.CenterCrop((3, 8))(image)[0, 0]
    assert np.array_equal(wide[:, 1:7], image[0, 0, 1:4]) and not wide[:, [0, 7]].any()


def pillow_resized(image, size):
    Image = pytest.importorskip("PIL.Image")
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", [(5, 6), (11, 14), (30, 17), (3, 40), (1, 1)])
def test_resizing_agrees_with_pillow(size):
    got = T.Resize(size)(IMAGES)
    for n in range(2):
        for c in range(3):
            np.testing.assert_allclose(got[n, c], pillow_resized(IMAGES[n, c], size), rtol=1e-5, atol=1e-5)


def test_resizing_without_antialias_reads_between_the_nearest_pixels():
    got = T.Resize((4, 5), antialias=False)(IMAGES)
    for i in range(4):
        for j in range(5):
            y, x = (i + 0.5) * 11 / 4 - 0.5, (j + 0.5) * 14 / 5 - 0.5
            a, b, fy, fx = int(y), int(x), y - int(y), x - int(x)
            corner = IMAGES[:, :, a : a + 2, b : b + 2]
            wanted = (corner * np.outer([1 - fy, fy], [1 - fx, fx])).sum((2, 3))
            np.testing.assert_allclose(got[:, :, i, j], wanted, rtol=1e-5)


def test_a_resized_crop_is_a_crop_resized():
    top, left, h, w = np.array([0, 2, 3]), np.array([1, 0, 4]), np.array([11, 4, 1]), np.array([13, 14, 2])
    got = T.resized_crop(IMAGES[:3], top, left, h, w, (6, 5))
    for n in range(3):
        part = IMAGES[n : n + 1, :, top[n] : top[n] + h[n], left[n] : left[n] + w[n]]
        np.testing.assert_allclose(got[n : n + 1], T.Resize((6, 5))(part), rtol=1e-5, atol=1e-6)


def test_random_resized_crops_have_the_areas_and_shapes_asked_for():
    # Two ramps, read at the middle of the first and last new pixel, say where each part began and ended.
    ramps = np.stack(np.mgrid[0:40, 0:60]).astype(np.float32)[None].repeat(1000, 0)
    y = T.RandomResizedCrop((2, 2), scale=(0.1, 0.4), ratio=(0.5, 2.0), antialias=False)(ramps, Generator(0))
    h, w = 2 * (y[:, 0, 1, 0] - y[:, 0, 0, 0]), 2 * (y[:, 1, 0, 1] - y[:, 1, 0, 0])
    area, ratio = h * w / 2400, w / h
    assert 0.09 < area.min() < 0.12 and 0.38 < area.max() < 0.42 and abs(area.mean() - 0.25) < 0.01
    assert 0.47 < ratio.min() < 0.6 and 1.8 < ratio.max() < 2.1 and abs(np.log(ratio).mean()) < 0.04
    whole = T.RandomResizedCrop((9, 9), scale=(1.0, 1.0), ratio=(14 / 11, 14 / 11))(IMAGES, Generator(0))
    np.testing.assert_allclose(whole, T.Resize(9)(IMAGES), rtol=1e-5)
    # Nothing fits: the middle, as wide as the ratio allows.
    flat = T.RandomResizedCrop((4, 8), scale=(5.0, 5.0), ratio=(2.0, 2.0))(IMAGES, Generator(0))
    np.testing.assert_allclose(flat, T.Resize((4, 8))(IMAGES[:, :, 2:9]), rtol=1e-5, atol=1e-6)


def test_erasing():
    ones = np.ones((1000, 2, 30, 40), np.float32)
    y = T.RandomErasing(0.4, scale=(0.05, 0.2), ratio=(0.5, 2.0), value=(5.0, 6.0))(ones, Generator(0))
    hit = y[:, 0] == 5
    assert np.array_equal(hit, y[:, 1] == 6) and (y[:, 0][~hit] == 1).all()
    erased = hit.any((1, 2))
    assert abs(erased.mean() - 0.4) < 0.05
    h, w = hit.any(2).sum(1)[erased], hit.any(1).sum(1)[erased]
    assert np.array_equal(h * w, hit.sum((1, 2))[erased]), "rectangles"
    area, ratio = h * w / 1200, h / w
    assert area.min() > 0.045 and area.max() < 0.21 and abs(area.mean() - 0.125) < 0.01
    assert 0.42 < ratio.min() < 0.6 and 1.7 < ratio.max() < 2.4
    where = np.argwhere(hit.any(2)[erased])
    assert where[:, 1].min() == 0 and where[:, 1].max() == 29
    noise = T.RandomErasing(1.0, scale=(0.3, 0.33), value="random")(np.zeros((50, 1, 20, 20), np.float32), Generator(0))
    assert abs(noise[noise != 0].std() - 1) < 0.05
    assert np.array_equal(T.RandomErasing(1.0, scale=(1, 1))(IMAGES, Generator(0)), IMAGES), "none fits"


# ---------------------------------------------------------------- turning


def test_a_quarter_turn_is_exact():
    square = IMAGES[:, :, :11, :11]
    for angle, times in ((90, 1), (180, 2), (-90, -1), (360, 0)):
        got = T.RandomRotation((angle, angle))(square, Generator(0))
        np.testing.assert_allclose(got, np.rot90(square, times, (2, 3)), atol=1e-6)
        np.testing.assert_allclose(T.affine(square, -angle), got, atol=1e-6)
    corner = T.RandomRotation((45, 45), fill=9.0)(square, Generator(0))[:, :, 0, 0]
    assert np.array_equal(corner, np.full((6, 3), 9.0))


def test_affine_ranges():
    dot = np.zeros((400, 1, 41, 41), np.float32)
    dot[:, :, 20, 35] = 1.0
    turned = T.RandomAffine(degrees=(30, 60))(dot, Generator(0))
    y, x = (np.tensordot(turned[:, 0].sum(k), np.arange(41) - 20.0, (1, 0)) for k in (2, 1))
    angle = np.degrees(np.arctan2(y, x))  # rows go down: clockwise
    assert 29 < angle.min() < 33 and 57 < angle.max() < 61
    slanted = T.RandomAffine(shear=(10, 10))(np.swapaxes(dot, 2, 3), Generator(0))
    assert np.ptp(slanted.argmax(3).max((1, 2))) == 0 and slanted[0].sum() > 0.5
    assert np.array_equal(T.affine(IMAGES, translate=(2, -3))[:, :, :8, 2:], IMAGES[:, :, 3:, :-2])
    assert (T.affine(IMAGES, translate=(100, 0), fill=0.25) == 0.25).all()
    doubled = T.affine(IMAGES[:, :, :9, :9], scale=(2.0, 1.0))
    np.testing.assert_allclose(doubled[:, :, :, 4], IMAGES[:, :, :9, 4], rtol=1e-6)
    np.testing.assert_allclose(doubled[:, :, :, 6], IMAGES[:, :, :9, 5], rtol=1e-6)


# ---------------------------------------------------------------- colours


def test_hue_and_saturation_agree_with_colorsys():
    for shift in (-0.5, -0.3, 0.1, 0.5):
        got = T.adjust_hue(IMAGES, shift)
        for n, y, x in np.ndindex(2, 11, 14):
            h, s, v = colorsys.rgb_to_hsv(*IMAGES[n, :, y, x].astype(float))
            np.testing.assert_allclose(got[n, :, y, x], colorsys.hsv_to_rgb((h + shift) % 1.0, s, v), atol=2e-6)
    each = T.adjust_hue(IMAGES, np.linspace(-0.5, 0.5, 6))
    for n, shift in enumerate(np.linspace(-0.5, 0.5, 6)):
        np.testing.assert_allclose(each[n : n + 1], T.adjust_hue(IMAGES[n : n + 1], shift), atol=1e-6)
    gray = np.repeat(IMAGES[:, :1], 3, 1)
    np.testing.assert_allclose(T.adjust_hue(gray, 0.3), gray, atol=1e-6)
    assert np.array_equal(T.adjust_hue(IMAGES[:, :1], 0.3), IMAGES[:, :1])


def test_blends_say_what_the_formula_says():
    gray = np.einsum("nchw,c->nhw", IMAGES.astype(float), [0.2989, 0.587, 0.114])
    np.testing.assert_allclose(T.rgb_to_grayscale(IMAGES)[:, 0], gray, rtol=1e-5)
    factors = np.linspace(0, 2.5, 6)
    f = factors[:, None, None, None]
    for adjust, base in (
        (T.adjust_brightness, 0.0),
        (T.adjust_contrast, gray.mean((1, 2))[:, None, None, None]),
        (T.adjust_saturation, gray[:, None]),
    ):
        np.testing.assert_allclose(adjust(IMAGES, factors), np.clip(f * IMAGES + (1 - f) * base, 0, 1), atol=2e-6)
        np.testing.assert_allclose(adjust(IMAGES, 1.0), IMAGES, atol=1e-6)


def as_pillow(image):
    return pytest.importorskip("PIL.Image").fromarray(np.moveaxis(image, 0, -1))


def test_changes_agree_with_pillow():
    ImageOps, ImageEnhance = pytest.importorskip("PIL.ImageOps"), pytest.importorskip("PIL.ImageEnhance")
    images = (RNG.random((4, 3, 40, 41)) ** 2 * 255).astype(np.uint8)
    images[1, 0] = 100  # one value only
    images[2] = images[2] // 3 + 40
    x = images / np.float32(255)
    for got, wanted, levels in (
        (T.equalize(x), ImageOps.equalize, 0.01), (T.autocontrast(x), ImageOps.autocontrast, 1.01),
        (T.invert(x), ImageOps.invert, 0.01), (T.solarize(x, 128 / 255), lambda i: ImageOps.solarize(i, 128), 0.01),
        (T.adjust_sharpness(x, 2.0), lambda i: ImageEnhance.Sharpness(i).enhance(2.0), 2.01),
        (T.adjust_sharpness(x, 0.0), lambda i: ImageEnhance.Sharpness(i).enhance(0.0), 1.01),
        (T.adjust_brightness(x, 1.4), lambda i: ImageEnhance.Brightness(i).enhance(1.4), 1.01),
        (T.adjust_contrast(x, 0.3), lambda i: ImageEnhance.Contrast(i).enhance(0.3), 1.51),
        (T.adjust_saturation(x, 1.7), lambda i: ImageEnhance.Color(i).enhance(1.7), 2.01),
    ):  # fmt: skip
        for n in range(4):
            told = np.moveaxis(np.array(wanted(as_pillow(images[n]))), -1, 0).astype(float)
            assert np.abs(got[n] * 255 - told).max() <= levels, "in levels of 255; Pillow rounds between steps"


def test_posterizing_and_blurring():
    x = np.float32([0.0, 0.24, 0.25, 0.6, 0.99, 1.0]).reshape(1, 1, 1, 6)
    assert T.posterize(x, 2).ravel().tolist() == [0, 0, 0.25, 0.5, 0.75, 0.75]
    assert T.posterize(np.repeat(x, 2, 0), np.array([1, 2]))[0].ravel().tolist() == [0, 0, 0, 0.5, 0.5, 0.5]
    dot = np.zeros((2, 1, 9, 9), np.float32)
    dot[:, :, 4, 4] = 1
    blurred = T.gaussian_blur(dot, (3, 5), np.array([0.5, 2.0]))
    for n, sigma in enumerate((0.5, 2.0)):
        rows, columns = (np.exp(-(np.arange(-k, k + 1) ** 2) / (2 * sigma**2)) for k in (1, 2))
        wanted = np.outer(rows / rows.sum(), columns / columns.sum())
        np.testing.assert_allclose(blurred[n, 0, 3:6, 2:7], wanted, rtol=1e-5)
        assert abs(blurred[n].sum() - 1) < 1e-5
    assert np.allclose(T.GaussianBlur(3)(np.ones((1, 2, 5, 5), np.float32), Generator(0)), 1, atol=1e-6)


def test_jitter_draws_from_its_ranges():
    flat = np.full((2000, 3, 2, 2), 0.25, np.float32)
    factor = T.ColorJitter(brightness=0.4)(flat, Generator(0))[:, 0, 0, 0] / 0.25
    assert 0.6 <= factor.min() < 0.61 and 1.39 < factor.max() <= 1.4 and abs(factor.mean() - 1) < 0.02
    ranged = T.ColorJitter(brightness=(0.5, 0.6))(flat, Generator(0))[:, 0, 0, 0] / 0.25
    assert ranged.min() >= 0.5 and ranged.max() <= 0.6
    red = np.zeros((2000, 3, 1, 1), np.float32)
    red[:, 0] = 1
    hue = np.array([colorsys.rgb_to_hsv(*c)[0] for c in T.ColorJitter(hue=0.1)(red, Generator(0))[:, :, 0, 0]])
    hue = (hue + 0.5) % 1 - 0.5
    assert -0.1001 <= hue.min() < -0.098 and 0.098 < hue.max() <= 0.1001
    assert np.array_equal(T.ColorJitter()(IMAGES, Generator(0)), IMAGES)
    many = np.repeat(IMAGES, 100, 0)
    both = T.ColorJitter(brightness=(2, 2), contrast=(0.5, 0.5))
    orders = {both(many[:1], Generator(s)).tobytes() for s in range(20)}
    assert len(orders) == 2, "brightness first, or contrast first"
    gray = T.RandomGrayscale(0.3)(many, Generator(0))
    assert abs((gray[:, 0] == gray[:, 1]).all((1, 2)).mean() - 0.3) < 0.06


# ---------------------------------------------------------------- policies


def test_rand_augment_chooses_evenly():
    # At magnitude 0, of 14 changes two are left that change something: AutoContrast and Equalize.
    x = (RNG.integers(20, 200, (1400, 1, 20, 20)) / 256).astype(np.float32)
    y = T.RandAugment(num_ops=1, magnitude=0)(x, Generator(0))
    assert abs((np.abs(y - x) > 1e-5).any((1, 2, 3)).mean() - 2 / 14) < 0.03
    assert np.array_equal(T.RandAugment(num_ops=0)(x, Generator(0)), x)
    for transform in (T.RandAugment(2, 30), T.TrivialAugmentWide(), T.AutoAugment()):
        y = transform(IMAGES.repeat(40, 0), Generator(0))
        assert y.shape == (240, 3, 11, 14) and y.dtype == np.float32 and y.min() >= 0 and y.max() <= 1 + 1e-6


def test_signs_and_chances():
    # Of a flat grey, only Brightness makes something lighter or darker.
    flat = np.full((4000, 1, 2, 2), 0.5, np.float32)
    y = T.TrivialAugmentWide(fill=0.5)(flat, Generator(0)).mean((1, 2, 3))
    for share in ((y > 0.501).mean(), (y < 0.499).mean()):
        assert abs(share - 30 / 31 / 28) < 0.012
    policy = T.AutoAugment()
    policy.choice[:], policy.chance[:] = policies.NAMES.index("Invert"), 0.3
    once = policy(0.4 * flat, Generator(0)).mean((1, 2, 3)) > 0.7
    assert abs(once.mean() - 2 * 0.3 * 0.7) < 0.03


@pytest.mark.parametrize("name", policies.NAMES)
def test_each_change_does_what_its_name_says(name):
    x, m = np.ascontiguousarray(IMAGES[:2, :, :11, :11]), np.array([0.25, -0.25])
    change = lambda m: policies.CHANGES[name](x, np.asarray(m), 0.0)
    if name == "Identity":
        assert np.array_equal(change(m), x)
    elif name in ("ShearX", "ShearY"):  # row (or column) k is moved by m (k - 5)
        y, before = change([1.0, -1.0]), x
        if name == "ShearY":
            y, before = y.swapaxes(2, 3), x.swapaxes(2, 3)
        for n, sign in ((0, 1), (1, -1)):
            assert np.allclose(y[n, :, 5], before[n, :, 5], atol=1e-6)
            np.testing.assert_allclose(y[n, :, 7, 2:9], np.roll(before[n, :, 7], -2 * sign, -1)[:, 2:9], atol=1e-5)
    elif name == "TranslateX":
        assert np.array_equal(change([2.9, -2.9])[0, :, :, 2:], x[0, :, :, :-2])
    elif name == "TranslateY":
        assert np.array_equal(change([2.9, -2.9])[1, :, :-2], x[1, :, 2:])
    elif name == "Rotate":
        np.testing.assert_allclose(change([90, -90])[0], np.rot90(x[0], 1, (1, 2)), atol=1e-6)
    elif name in ("Posterize", "Solarize"):
        assert np.array_equal(change([2.0, 2.0]), T.posterize(x, 2) if name == "Posterize" else x)
    else:
        functions = {"Brightness": T.adjust_brightness, "Color": T.adjust_saturation, "Contrast": T.adjust_contrast, "Sharpness": T.adjust_sharpness}
        plain = {"AutoContrast": T.autocontrast, "Equalize": T.equalize, "Invert": T.invert}
        assert np.array_equal(change(m), functions[name](x, 1 + m) if name in functions else plain[name](x))


def test_magnitudes():
    half = policies._standard(np.array([0.5]), 331, 662)
    assert half["TranslateX"] == 150 and half["TranslateY"] == 75 and half["Rotate"] == 15 and half["Posterize"] == 6
    assert half["Solarize"] == 0.5 and half["Color"] == 0.45 and half["ShearX"] == 0.15
    full = policies._wide(np.array([1.0]), 5, 5)
    assert full["TranslateX"] == 32 and full["Rotate"] == 135 and full["Posterize"] == 2 and full["Contrast"] == 0.99
    policy = T.AutoAugment()
    assert policy.choice.shape == (25, 2) and policies.NAMES[policy.choice[3, 0]] == "ShearY"
    assert policy.chance[3].tolist() == [0.5, 0.7] and policy.share[3].tolist() == [8 / 9, 1.0]


# ---------------------------------------------------------------- mixing


def kolmogorov(a, b):
    """The largest distance of two samples' distribution functions."""
    at = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return np.abs(below[0] - below[1]).max()


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 4.0])
def test_the_beta_distribution(alpha):
    numpys = np.random.default_rng(0)
    gamma = np.exp(mix._log_gamma(Generator(1), alpha, 4000))
    assert kolmogorov(gamma, numpys.gamma(alpha, size=40_000)) < 0.027  # p = 0.01 (Smirnov 1948)
    draws = mix.beta(Generator(0), alpha, 4000)
    assert kolmogorov(draws, numpys.beta(alpha, alpha, size=40_000)) < 0.027
    assert np.isfinite(mix.beta(Generator(0), 0.001, 500)).all()


@pytest.mark.parametrize("kind", [T.MixUp, T.CutMix])
def test_labels_are_mixed_as_the_pixels_are(kind):
    labels = np.arange(64) % 4
    images = np.eye(4)[labels][:, :, None, None] * np.ones((16, 12))  # channel k is 1 for class k
    mixed, soft = kind(num_classes=4)(images, labels, Generator(2))
    assert soft.dtype == np.float32 and mixed.shape == images.shape
    np.testing.assert_allclose(mixed.mean((2, 3)), soft, atol=1e-6)
    np.testing.assert_allclose(soft.sum(1), 1, atol=1e-6)
    assert ((soft > 1e-9).sum(1) <= 2).all() and len(np.unique(soft[:, 0].round(6))) > 10
    own = soft[np.arange(64), labels]
    np.testing.assert_allclose(soft[np.arange(64), np.roll(labels, 1)], 1 - own, atol=1e-6)
    assert kind is T.MixUp or set(np.unique(mixed)) == {0.0, 1.0}
    again = kind()(images, np.eye(4)[labels], Generator(2))
    assert np.array_equal(again[1], soft) and np.array_equal(again[0], mixed)
    loss = F.cross_entropy(mg.zeros((64, 4)), mg.tensor(soft))
    assert abs(loss.item() - np.log(4)) < 1e-5
    one = kind(num_classes=4)(images[:1], labels[:1], Generator(0))
    assert np.array_equal(one[0], images[:1]) and one[1].tolist() == [[1, 0, 0, 0]]
    assert kind(num_classes=4)(images[:0], labels[:0], Generator(0))[1].shape == (0, 4)


def test_cut_rectangles_may_reach_over_the_edge():
    # A side s covers s - s^2/4 on average; over s^2 uniform, its square is 1/2 - 1/5 + 1/48.
    images = np.zeros((2000, 1, 20, 20))
    images[::2] = 1.0
    _, soft = T.CutMix(num_classes=2)(images, np.arange(2000) % 2, Generator(0))
    replaced = 1 - soft[np.arange(2000), np.arange(2000) % 2]
    assert replaced.max() > 0.8 and abs(replaced.mean() - 0.3208) < 0.015


# ---------------------------------------------------------------- sequences


def test_pieces_and_shifts_of_sequences():
    x = np.arange(1, 11).reshape(1, 1, 10).repeat(2000, 0) + np.zeros((1, 2, 1), int)
    y = T.RandomSequenceCrop(7)(x, Generator(0))
    starts = y[:, 0, 0]
    assert np.array_equal(y, (starts[:, None] + np.arange(7))[:, None].repeat(2, 1))
    assert np.bincount(starts, minlength=5)[1:].min() > 400 and starts.max() == 4
    first = T.RandomSequenceCrop(7, axis=1)(x.swapaxes(1, 2), Generator(0))
    assert np.array_equal(first, y.swapaxes(1, 2))
    moved = T.RandomShift(3, fill=-1)(x, Generator(1))
    wrapped = T.RandomShift(3, wrap=True)(x, Generator(1))
    seen = set()
    for k in range(-3, 4):
        rolled = np.roll(x[0], k, -1)
        hits = (wrapped == rolled).all((1, 2))
        seen |= {k} if hits.sum() > 200 else set()
        cut = rolled.copy()
        cut[:, : max(k, 0)] = -1
        cut[:, 10 + min(k, 0) :] = -1
        assert (moved[hits] == cut).all()
    assert seen == set(range(-3, 4))


def test_noise():
    x = np.zeros((300, 200), np.float32)
    y = T.RandomNoise((0.5, 1.5))(x, Generator(0))
    deviations = y.std(1)
    assert abs(y.mean()) < 0.02 and 0.4 < deviations.min() < 0.7 and 1.3 < deviations.max() < 1.7
    clipped = T.GaussianNoise(0.5, 1.0)(x, Generator(0))
    assert clipped.min() == 0 and clipped.max() == 1
    assert abs(T.GaussianNoise(0.5, 0.1, clip=False)(x, Generator(0)).mean() - 0.5) < 0.01


def test_time_warps_keep_the_ends_and_the_order():
    ramp = np.arange(50, dtype=np.float64).reshape(1, 1, 50).repeat(300, 0)
    y = T.TimeWarp(0.4, 5)(ramp, Generator(0))[:, 0]
    assert np.allclose(y[:, 0], 0) and np.allclose(y[:, -1], 49) and (np.diff(y) > 0).all()
    assert np.abs(y - ramp[:, 0]).max() > 5 and abs((y - ramp[:, 0]).mean()) < 1
    speed = np.diff(y)
    assert np.abs(np.diff(np.log(speed))).max() < 0.4, "smooth"
    first_to_last = np.log(speed[:, 0] / speed[:, -1])  # of two independent logarithms
    assert abs(first_to_last.std() - 0.4 * 2**0.5) < 0.06
    assert np.allclose(T.TimeWarp(0.0)(SERIES, Generator(0)), SERIES, atol=1e-5)
    per_step = T.TimeWarp(0.5, axis=1)(SERIES.swapaxes(1, 2), Generator(0)).swapaxes(1, 2)
    assert np.array_equal(per_step, T.TimeWarp(0.5)(SERIES, Generator(0)))
    assert T.TimeWarp()(SERIES[:, :, :1], Generator(0)).shape == (6, 2, 1)


# ---------------------------------------------------------------- what cannot be meant

REFUSED = [
    ("p=1.5", lambda: T.RandomHorizontalFlip(1.5)), ("p=-1", lambda: T.RandomErasing(-1)),
    ("size=0", lambda: T.RandomCrop(0)), ("size", lambda: T.Resize((1, 2, 3))), ("padding", lambda: T.RandomCrop(3, padding=-1)),
    ("padding_mode", lambda: T.Pad(1, padding_mode="wrap")), ("padding=\\(1, 2, 3\\)", lambda: T.Pad((1, 2, 3))),
    ("scale", lambda: T.RandomResizedCrop(3, scale=(0.5, 0.1))), ("ratio", lambda: T.RandomResizedCrop(3, ratio=(0, 1))),
    ("scale", lambda: T.RandomErasing(scale=(0, 2))), ("value", lambda: T.RandomErasing(value="noise")),
    ("degrees", lambda: T.RandomRotation(-5)), ("degrees", lambda: T.RandomAffine((20, 10))), ("translate", lambda: T.RandomAffine(0, (-1, 0))),
    ("shear", lambda: T.RandomAffine(shear=(-95, 0))), ("brightness", lambda: T.ColorJitter(-1)), ("contrast", lambda: T.ColorJitter(contrast=(-1, 1))),
    ("hue", lambda: T.ColorJitter(hue=0.6)), ("num_output_channels", lambda: T.Grayscale(2)), ("kernel_size", lambda: T.GaussianBlur(4)),
    ("sigma", lambda: T.GaussianBlur(3, 0.0)), ("larger", lambda: T.GaussianBlur(31)(IMAGES, Generator(0))),
    ("magnitude=31", lambda: T.RandAugment(2, 31)), ("num_ops", lambda: T.RandAugment(-1)), ("num_magnitude_bins", lambda: T.TrivialAugmentWide(1)),
    ("policy", lambda: T.AutoAugment("mnist")), ("alpha=0", lambda: T.MixUp(alpha=0)), ("num_classes", lambda: T.CutMix(num_classes=0)),
    ("num_classes", lambda: T.MixUp()(IMAGES, np.zeros(6, int), Generator(0))), ("6 labels", lambda: T.MixUp()(IMAGES, np.zeros(5, int), Generator(0))),
    ("target\\[0\\] = 4", lambda: T.MixUp(num_classes=4)(IMAGES, np.full(6, 4), Generator(0))), ("floats \\(N, K\\)", lambda: T.MixUp()(IMAGES, np.zeros((6, 2), int), Generator(0))),
    ("length=0", lambda: T.RandomSequenceCrop(0)), ("at least 30", lambda: T.RandomSequenceCrop(30)(SERIES, Generator(0))),
    ("shift=-1", lambda: T.RandomShift(-1)), ("axis 0", lambda: T.RandomShift(1, axis=0)(SERIES, Generator(0))), ("axis 5", lambda: T.TimeWarp(axis=5)(SERIES, Generator(0))),
    ("sigma=-1", lambda: T.RandomNoise(-1)), ("sigma", lambda: T.TimeWarp(-1)), ("knots=1", lambda: T.TimeWarp(knots=1)),
    ("at least \\(20, 20\\)", lambda: T.RandomCrop(20)(IMAGES, Generator(0))), ("\\(N, C, H, W\\)", lambda: T.RandomErasing()(IMAGES[0], Generator(0))),
    ("3 numbers", lambda: T.RandomErasing(value=(1, 2))(IMAGES, Generator(0))), ("1 or 3 channels", lambda: T.RandAugment()(IMAGES[:, :2], Generator(0))),
    ("weights", lambda: T.RandomChoice([T.ToFloat()], [1, 2])), ("one shape", lambda: T.RandomApply([T.RandomCrop(3)])(IMAGES, Generator(0))),
]  # fmt: skip


@pytest.mark.parametrize(("words", "call"), REFUSED)
def test_errors_name_the_argument(words, call):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value) and ": " in str(caught.value)


def test_types_that_cannot_be_meant():
    for transform in (T.ColorJitter(0.1), T.RandAugment(), T.RandomGrayscale(), T.RandomErasing(value="random"), T.GaussianNoise()):
        with pytest.raises(TypeError, match=r"uint8.*ToFloat"):
            transform(BYTES, Generator(0))
    with pytest.raises(TypeError, match="transforms\\[1\\]"):
        T.Compose([T.ToFloat(), 3])
    with pytest.raises(TypeError, match="numpy"):
        T.RandomHorizontalFlip()(mg.tensor(IMAGES), Generator(0))
    with pytest.raises(TypeError, match="batch"):
        T.MixedDataset([1, 2], T.MixUp())
    with pytest.raises(TypeError, match=r"\(mix\), got 3"):
        T.MixedDataset(TensorDataset(IMAGES), 3)
    data = T.MixedDataset(TensorDataset(IMAGES, np.arange(6)), T.MixUp(num_classes=6))
    assert len(data) == 6 and data[2][1] == 2
    with pytest.raises(RuntimeError, match="whole batches"):
        list(DataLoader(data, 2, collate_fn=lambda items: items))
