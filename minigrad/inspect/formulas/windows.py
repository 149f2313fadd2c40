"""Convolution, pooling, windows as columns, and resampling."""

from __future__ import annotations

from .row import matrix

__all__ = ["FORMULAS"]

FORMULAS = {
    "conv": matrix(
        "{x} ⋆ {w}⟨ + {bias}⟩",
        "the kernel receives the correlation of image and gradient, the image the gradient spread by the "
        "kernel, the bias the sum over all places",
        x=("∂{y}[p]/∂{x}[p + k] = {w}[k]", "{g} ∗ {w}, each g[p] times the kernel added to its patch"),
        w=("∂{y}[p]/∂{w}[k] = {x}[p + k]", "{x} ⋆ {g}, Σ over p of g[p] · x[p + k]"),
        bias=("1", "Σ {g} over samples and places"),
    ),
    "conv_grad_x": matrix(
        "{gy} ∗ {w}",
        "the adjoint of a convolution: its gradients are convolutions",
        gy=("∂{y}[p + k]/∂{gy}[p] = {w}[k]", "{g} ⋆ {w}"),
        w=("∂{y}[p + k]/∂{w}[k] = {gy}[p]", "{g} ⋆ {gy}"),
    ),
    "conv_grad_w": matrix(
        "{x} ⋆ {gy}",
        "the adjoint of a convolution in its kernel: its gradients are convolutions",
        gy=("∂{y}[k]/∂{gy}[p] = {x}[p + k]", "{x} ⋆ {g}"),
        x=("∂{y}[k]/∂{x}[p + k] = {gy}[p]", "{gy} ∗ {g}"),
    ),
    "im2col": matrix(
        "windows of {x} as columns",
        "an element receives the gradients of all windows it lies in",
        x=("1", "{g}'s columns added back to their windows"),
    ),
    "col2im": matrix(
        "columns of {x} added to an image",
        "each column receives the gradient of its window",
        x=("1", "windows of {g} as columns"),
    ),
    "max_pool": matrix(
        "max of each {kernel} window of {x}",
        "only the largest element of each window receives its gradient, the first of equals",
        x=("[{x} is the largest of its window]", "{g} at the largest of each window, 0 elsewhere"),
    ),
    "window_put": matrix(
        "{x} at the chosen place of each window",
        "each x receives the gradient at its place",
        x=("1", "{g} at the chosen places"),
    ),
    "window_take": matrix(
        "the chosen element of each window of {x}",
        "the chosen element receives the gradient",
        x=("[{x} was chosen]", "{g} at the chosen places, 0 elsewhere"),
    ),
    "window_sum": matrix(
        "Σ of each {kernel} window of {x}",
        "an element receives the gradients of all windows it lies in",
        x=("1", "{g} spread over its windows"),
    ),
    "window_spread": matrix(
        "{x} spread over its {kernel} windows",
        "each x receives the sum of its window's gradients",
        x=("1", "Σ of {g} over each window"),
    ),
    "resample": matrix(
        "M {x} along axis {axis}",
        "each input receives the gradients of the outputs made of it, times its weights",
        x=("M", "Mᵀ {g} along axis {axis}"),
    ),
}
