"""Transforms of whole batches, drawn from a given random stream: torchvision's names, for arrays.

A transform is anything called as transform(x, generator), x being images (N, C, H, W) or sequences. What
is drawn is drawn for every item of the batch on its own, all at once; one that draws nothing ignores the
generator. The input is never written to, and the same generator gives the same result again.

Transforms that only move values (flips, crops, padding, erasing) keep every dtype. Those that calculate
with positions take bytes too and return float32. Those that calculate with colours expect floats in
[0, 1] and refuse integers: put ToFloat() before them. Sampling is bilinear.
"""

from .base import *
from .color import *
from .crops import *
from .geometry import *
from .mix import *
from .policies import *
from .sequences import *
