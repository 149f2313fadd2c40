"""Why a bar is missed, in words: (suite, row) -> what was tried and what is left.

`benchmarks.report` puts the figures before it, so an account needs none: it says what the time or
the memory goes into, what was tried, and what would be the next thing to try.
"""

from __future__ import annotations

__all__ = ["ACCOUNTS"]

ACCOUNTS: dict[tuple[str, str], str] = {
    ("vs_pytorch", "mlp"): (
        "Five large matrix products are nearly all of it, and this processor has AVX2 only: there "
        "OpenBLAS is no faster than PyTorch's own library, while the bar was set where it was three "
        "times faster. Products of these sizes stay well below the peak that the floor is taken at, in "
        "either library, and at the speed that they reach the products alone would miss the bar. "
        "Products in one pool of threads, Adam in one pass over all parameters and ReLU in one pass each "
        "way were done; other ways to split the products between the threads made no difference, and a "
        "captured step saves little, since little of this step is Python's. Left to try: a register tile "
        "of our own for products, as convolution and the recurrent layers have."
    ),
    ("vs_pytorch", "chain"): (
        "Nothing but the interpreter's time, which a busy machine changes by a third from run to run: "
        "other runs of the same code met the bar (the table beside the other libraries is one). Half of "
        "it is backprop's loop, a fifth the calls of the ops. The captured step, well below its bar, is "
        "the way to have it faster."
    ),
    ("vs_pytorch", "resnet20"): (
        "At PyTorch's own speed, within the noise of this machine, plain a little above and captured a "
        "little below it. Most is convolution: the tiles with few channels read each number for few "
        "products, and the gradient in the weights copies its padded input. Copies of gradients into "
        "another memory order, once a third of the step, are gone. Left to try: Winograd's transforms, "
        "which need fewer multiplications; batch norm and ReLU in one pass; sums of gradients on both "
        "threads."
    ),
    ("vs_pytorch", "vgg"): (
        "At PyTorch's own speed, within the noise. Nine tenths is convolution, which runs near what this "
        "processor can multiply, as PyTorch's does, so that only fewer multiplications could make a "
        "difference: Winograd's transforms for 3x3 kernels, not built yet."
    ),
}
