"""The autodiff core, to be read in one sitting: backend, tensor, op, backprop.

backend.py    where arrays live (NumPy or CuPy) and which dtypes carry gradients
random.py     one counter-based random stream, the same bits on every device
tensor.py     Tensor and Node: an array, and the record of what made it
op.py         @op and @elementwise: a forward and its VJPs, in one place
backprop.py   backprop(): the graph walked backwards, one Step per node
"""
