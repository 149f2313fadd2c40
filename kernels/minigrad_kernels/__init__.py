"""Faster forwards: arrays in, arrays out. Nothing here knows of tensors, nodes or gradients.

cpu/    compiled with Numba (extra `fast`)
cuda/   CUDA C++ text (`*.cu`) and what finds it

An op is correct without any of it: a kernel only makes an op faster, and may decline a case by
returning NotImplemented. `minigrad.reference_mode()` turns all of them off.
"""
