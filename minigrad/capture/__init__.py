"""capture(step): one training step, recorded once and then replayed as a flat list of calls.

    step = mg.capture(train_step)  # def train_step(x, y): ...; loss.backward(); optimizer.step(); return loss
    for x, y in loader:
        loss = step(x, y)

A plain step spends part of its time on Python: reading arguments, making nodes, ordering them. All of
that is the same at every call. The recorder takes the place of the recording switch, as every watcher
does, and writes down which forward, which VJP and which effect ran on which arrays; a replay makes the
same calls on the same kernels in the same order, so its numbers are bit for bit those of the plain step.

Three things make that safe. Whatever acts besides computing (`@effect`: the optimiser's step, random
draws, running statistics, checks of labels) is called again, with the same objects. Whatever reads a
number out of a tensor is refused, with its line, since Python could decide something by it. And the
first two calls are plain and both recorded: if they differ (another branch, a number or an array that
came from elsewhere), the error says where.

On the CPU a replay is `program.py`'s list of calls, small work as bare ufuncs (`lower.py`). On a GPU the
same record becomes a CUDA graph (`graph.py`), and Python's own numbers go over in one copy (`control.py`).
"""

from __future__ import annotations

from .captured import Captured, capture

__all__ = ["Captured", "capture"]
