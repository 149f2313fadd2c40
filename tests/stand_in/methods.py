"""The arrays' operators, and the methods that are NumPy's."""

import operator

import numpy as np

from .arrays import bare, call, ndarray, waits, write
from .functions import lookup

__all__ = ["nonzero"]



def _number(name):
    def convert(self):
        return getattr(operator, name)(self.item()) if name == "index" else name(self.item())

    return convert


for _name, _type in (("bool", bool), ("int", int), ("float", float), ("complex", complex), ("index", "index")):
    setattr(ndarray, f"__{_name}__", _number(_type))
BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift lt le gt ge eq ne divmod".split()
UFUNCS = {
    "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift",
    "rshift": "right_shift", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
    "ne": "not_equal", "neg": "negative", "pos": "positive", "abs": "absolute",
}  # fmt: skip


def _operator(name, reflected=False, inplace=False):
    def apply(self, *others):
        f = lookup(UFUNCS.get(name, name))
        if any(not isinstance(o, ndarray | np.ndarray | np.generic | int | float | complex) for o in others):
            return NotImplemented
        if inplace:
            return f(self, *others, out=self)
        return f(*others, self) if reflected else f(self, *others)

    return apply


for _name in BINARY:
    setattr(ndarray, f"__{_name}__", _operator(_name))
    setattr(ndarray, f"__r{_name}__", _operator(_name, reflected=True))
    setattr(ndarray, f"__i{_name}__", _operator(_name, inplace=True))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", _operator(_name))


def _method(name, keep=False):
    def method(self, *args, out=None, **kw):
        def f(a, *args, **kw):
            return getattr(a, name)(*args, **kw)

        if name == "copy" and not args:
            kw.setdefault("order", "C")
        if out is not None:
            inner = bare(args), {key: bare(value) for key, value in kw.items()}
            source = self._a
            return write(name, lambda o: f(source, *inner[0], out=o, **inner[1]), out)
        return call(name, f, (self, *args), kw, keep)

    method.__name__ = name
    return method


for _name in (
    "all any argmax argmin argpartition argsort choose clip conj conjugate cumprod cumsum diagonal dot flatten max mean "
    "min prod ravel repeat reshape round searchsorted squeeze std sum swapaxes take trace transpose var view"
).split():
    setattr(ndarray, _name, _method(_name))
for _name in ("astype", "copy"):
    setattr(ndarray, _name, _method(_name, keep=True))
for _name in "shape dtype ndim size itemsize nbytes strides".split():
    setattr(ndarray, _name, property(lambda self, name=_name: getattr(self._a, name)))


def nonzero(self):
    waits("nonzero")
    return call("nonzero", lambda a: a.nonzero(), (self,))


ndarray.nonzero = nonzero
