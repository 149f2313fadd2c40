"""What a trained network has learned to see: its units and its answers explained, by the engine's gradients.

Models run in eval mode. No parameter, `.grad`, training flag or hook is changed, whatever happens. The
explanations are Tensors on the model's device; `overlay` in plots lays one over its image.
"""

from . import ascent, attribution, cam, receptive, rollout
from . import occlusion as _occlusion
from .ascent import *
from .attribution import *
from .cam import *
from .occlusion import *
from .receptive import *
from .rollout import *

__all__ = [
    *ascent.__all__,
    *attribution.__all__,
    *cam.__all__,
    *_occlusion.__all__,
    *receptive.__all__,
    *rollout.__all__,
]
