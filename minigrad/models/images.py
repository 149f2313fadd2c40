"""What the image models share: a look at the size of their input, and how layers with ReLU begin."""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..nn import init

__all__ = ["expect_images", "he_start"]


def expect_images(name: str, x: Tensor, channels: int, least: int, most: int | None = None) -> None:
    """ValueError unless x is (N, channels, H, W) with least <= H, W <= most."""
    fits = x.ndim == 4 and x.shape[1] == channels and min(x.shape[2:]) >= least
    if fits and (most is None or max(x.shape[2:]) <= most):
        return
    wanted = f"{least}, {least}" if most == least else "H, W"
    sizes = "" if most == least else f" with H and W at least {least}" + (f", at most {most}" if most else "")
    raise ValueError(
        f"{name}: expected images (N, {channels}, {wanted}){sizes}, got {x.shape}; resize, crop or pad them"
    )


def he_start(model: nn.Module) -> None:
    """Weights of convolutions and linear layers from N(0, 2 / fan_in), biases 0.

    He, Zhang, Ren & Sun 2015, "Delving Deep into Rectifiers", section 2.2: a ReLU halves the second moment
    and the 2 gives it back, so that depth neither swells nor shrinks what passes forwards.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                init.zeros_(layer.bias)
