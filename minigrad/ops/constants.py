"""Element types and numbers by the names that NumPy and PyTorch give them."""

import numpy as np

__all__ = [
    "bfloat16", "bool", "complex64", "complex128", "double", "e", "float", "float16", "float32", "float64",
    "half", "inf", "int", "int8", "int16", "int32", "int64", "long", "nan", "newaxis", "pi", "short", "uint8",
]  # fmt: skip

float16 = half = np.float16
bfloat16 = "bfloat16"  # its name: NumPy has the type from the package ml_dtypes, where that is installed
float32 = float = np.float32  # PyTorch's `float` is single precision
float64 = double = np.float64
int8, int16, int32, int64, uint8 = np.int8, np.int16, np.int32, np.int64, np.uint8
short, int, long = np.int16, np.int32, np.int64
complex64, complex128 = np.complex64, np.complex128
bool = np.bool_
e, inf, nan, newaxis, pi = np.e, np.inf, np.nan, None, np.pi
