"""The autodiff core, to be read in one sitting, in this order.

spelling.py     PyTorch's names of arguments, heard beside NumPy's
backend.py      where arrays live (NumPy or CuPy) and which dtypes carry gradients
kernels.py      faster versions of a forward or backward: found by name, turned off by one line
random.py       one counter-based random stream, the same bits on every device
node.py         Node: an op, its inputs, and what it saved
recording.py    no_grad and its kin
tensor.py       Tensor: an array plus the node that made it
vjp.py          what a node saves, and how its VJPs are called back
op.py           @op and @elementwise: a forward and its VJPs, in one place
adjoint.py      the four ops that backprop itself needs
backprop.py     backprop(): the graph walked backwards, one Step per node; backward, grad, checkpoint
anomaly.py      detect_anomaly: which op made the first NaN
derivatives.py  vjp, jvp, jacobian, hessian
"""
