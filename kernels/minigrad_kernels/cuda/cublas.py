"""cuBLAS and cublasLt, called directly: the library that the array library has loaded, through ctypes.

Why not the array library's own calls: they refuse to be captured into a CUDA graph, they copy batched
operands into C order, and they have no batched half precision. handle.py makes the calls; here are the
library, the types of its functions and its numbers, with the names that NVIDIA's public headers cublas_api.h,
cublasLt.h and library_types.h give them.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

__all__ = [
    "CublasError",
    "Epilogue",
    "Library",
    "forget",
    "library",
    "prefer",
    "use",
    "using",
    "when_changed",
]

# ---------------------------------------------------------------- numbers of the headers

TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # library_types.h: CUDA_R_*
PLAIN, TRANSPOSED = 0, 1  # cublas_api.h: CUBLAS_OP_N, CUBLAS_OP_T
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70  # cublas_api.h: cublasComputeType_t
GEMM_DEFAULT = -1  # cublas_api.h: cublasGemmAlgo_t
# cublas_api.h: CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION: half-precision
# products that are split along k add their parts in float32.
MATH_MODE = 0 | 16

# cublasLt.h: the attributes that we set, with the C type that each must have.
DESC = {  # cublasLtMatmulDescAttributes_t
    "TRANSA": (3, ctypes.c_int32), "TRANSB": (4, ctypes.c_int32), "EPILOGUE": (7, ctypes.c_uint32),
    "BIAS_POINTER": (8, ctypes.c_uint64),
}  # fmt: skip
LAYOUT = {  # cublasLtMatrixLayoutAttribute_t
    "BATCH_COUNT": (5, ctypes.c_int32), "STRIDED_BATCH_OFFSET": (6, ctypes.c_int64),
}  # fmt: skip
PREFERENCE = {  # cublasLtMatmulPreferenceAttributes_t
    "MAX_WORKSPACE_BYTES": (1, ctypes.c_uint64), "REDUCTION_SCHEME_MASK": (3, ctypes.c_uint32),
    "MIN_ALIGNMENT_A_BYTES": (5, ctypes.c_uint32), "MIN_ALIGNMENT_B_BYTES": (6, ctypes.c_uint32),
    "MIN_ALIGNMENT_C_BYTES": (7, ctypes.c_uint32), "MIN_ALIGNMENT_D_BYTES": (8, ctypes.c_uint32),
}  # fmt: skip
ARCH_MISMATCH, NOT_SUPPORTED = 8, 15  # cublas_api.h: cublasStatus_t
REDUCTION_COMPUTE_TYPE = 2  # cublasLtReductionScheme_t: parts of a split product are kept in float32


class Epilogue:
    """What cublasLt does to a result before writing it (cublasLt.h: cublasLtEpilogue_t); GELU is by tanh."""

    BIAS, RELU_BIAS, GELU_BIAS = 4, 6, 36


class HeuristicResult(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t; its first field is the opaque cublasLtMatmulAlgo_t."""

    _fields_ = (
        ("algo", ctypes.c_uint64 * 8), ("workspace", ctypes.c_size_t), ("state", ctypes.c_int),
        ("waves", ctypes.c_float), ("reserved", ctypes.c_int * 4),
    )  # fmt: skip


# cublas_api.h: cublasStatus_t, and what to do about each.
STATUS = {
    1: ("NOT_INITIALIZED", "the GPU's memory may be full, or its driver too old: `minigrad doctor` tells"),
    3: ("ALLOC_FAILED", "the GPU's memory is full: use smaller batches, or free what other programs hold"),
    7: ("INVALID_VALUE", "the arguments do not fit together: please report this with the shapes and strides"),
    ARCH_MISMATCH: ("ARCH_MISMATCH", "this GPU cannot do that: use another dtype"),
    11: ("MAPPING_ERROR", "GPU memory could not be reached: restart the program"),
    13: ("EXECUTION_FAILED", "a kernel failed, perhaps an earlier one: run with CUDA_LAUNCH_BLOCKING=1"),
    14: ("INTERNAL_ERROR", "memory may be full or an earlier kernel failed: run with CUDA_LAUNCH_BLOCKING=1"),
    NOT_SUPPORTED: ("NOT_SUPPORTED", "this library cannot do that: use another dtype or a newer CUDA"),
    16: ("LICENSE_ERROR", "install cuBLAS anew"),
}  # fmt: skip


class CublasError(RuntimeError):
    """A call of cuBLAS that did not succeed."""

    def __init__(self, function: str, status: int) -> None:
        self.status = status
        name, advice = STATUS.get(status, ("unknown", "see the list of cublasStatus_t"))
        super().__init__(f"{function}: expected success, got status {status} ({name}); {advice}")


# ---------------------------------------------------------------- the library

_P, _I, _L, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong, ctypes.c_size_t
_SET = (_P, _I, _P, _SIZE)
SIGNATURES = {
    "cublasCreate_v2": (_P,), "cublasDestroy_v2": (_P,), "cublasSetStream_v2": (_P, _P),
    "cublasSetWorkspace_v2": (_P, _P, _SIZE), "cublasSetMathMode": (_P, _I),
    "cublasGemmEx": (_P, _I, _I, _I, _I, _I, _P, _P, _I, _I, _P, _I, _I, _P, _P, _I, _I, _I, _I),
    "cublasGemmStridedBatchedEx": (
        _P, _I, _I, _I, _I, _I, _P, _P, _I, _I, _L, _P, _I, _I, _L, _P, _P, _I, _I, _L, _I, _I, _I,
    ),
}  # fmt: skip
LT_SIGNATURES = {
    "cublasLtCreate": (_P,), "cublasLtMatmulDescCreate": (_P, _I, _I), "cublasLtMatmulDescSetAttribute": _SET,
    "cublasLtMatrixLayoutCreate": (_P, _I, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int64),
    "cublasLtMatrixLayoutSetAttribute": _SET, "cublasLtMatmulPreferenceCreate": (_P,),
    "cublasLtMatmulPreferenceSetAttribute": _SET, "cublasLtMatmulPreferenceDestroy": (_P,),
    "cublasLtMatmulDescDestroy": (_P,), "cublasLtMatrixLayoutDestroy": (_P,),
    "cublasLtMatmulAlgoGetHeuristic": (_P, _P, _P, _P, _P, _P, _P, _I, _P, _P),
    "cublasLtMatmul": (_P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _SIZE, _P),
}  # fmt: skip


class Library:
    """The functions of one libcublas and the libcublasLt beside it, each raising CublasError on failure."""

    def __init__(self, path: str, lt_path: str | None) -> None:
        self.path, self.lt_path = path, lt_path
        self.functions = _bound(path, SIGNATURES)
        with contextlib.suppress(OSError, AttributeError):
            self.functions |= _bound(lt_path, LT_SIGNATURES) if lt_path else {}

    @property
    def has_lt(self) -> bool:
        """False where no libcublasLt could be loaded."""
        return "cublasLtMatmul" in self.functions

    def call(self, function: str, *args: Any) -> None:
        """Call by name; CublasError if it does not succeed."""
        status = self.functions[function](*args)
        if status:
            raise CublasError(function, status)

    def create(self, function: str, *args: Any) -> Any:
        """What a ...Create function writes to its first argument."""
        made = ctypes.c_void_p()
        self.call(function, ctypes.byref(made), *args)
        return made

    def put(self, kind: str, what: Any, attribute: tuple[int, Any], value: int) -> None:
        """Set one attribute of a cublasLt descriptor."""
        number, ctype = attribute
        self.call(
            f"cublasLt{kind}SetAttribute", what, number, ctypes.byref(ctype(value)), ctypes.sizeof(ctype)
        )


def _bound(path: str, signatures: dict[str, tuple]) -> dict[str, Any]:
    loaded = ctypes.CDLL(path)
    functions = {name: getattr(loaded, name) for name in signatures}
    for name, function in functions.items():
        function.argtypes, function.restype = signatures[name], ctypes.c_int
    return functions


class _Process:
    library: Library | None = None
    major = 0  # of the CUDA that the array library was built for
    lock = threading.Lock()
    on_change: ClassVar[list[Callable[[], None]]] = []  # handles.py forgets the handles of the library before


def library() -> Library:
    """The cuBLAS of this process; ImportError saying what to do if there is none."""
    if _Process.library is None:
        with _Process.lock:
            if _Process.library is None:
                _Process.library = _find()
    return _Process.library


def prefer(major: int) -> None:
    """Where several are installed and none is loaded yet, take the one of this CUDA."""
    _Process.major = major


def use(path: str | None, lt_path: str | None = None) -> None:
    """Take the library at `path` from now on; None: look for one when it is next wanted."""
    _choose(Library(path, lt_path) if path else None)


@contextlib.contextmanager
def using(path: str, lt_path: str | None = None) -> Iterator[Library]:
    """`use` inside this block, and then the former library again: for tests."""
    former = _Process.library
    use(path, lt_path)
    try:
        yield library()
    finally:
        _choose(former)


def _choose(chosen: Library | None) -> None:
    _Process.library = chosen
    forget()


def forget() -> None:
    """Drop this thread's handles and their workspaces; new ones are made when they are wanted."""
    for drop in _Process.on_change:
        drop()


def when_changed(drop: Callable[[], None]) -> None:
    """Call `drop` whenever another library is chosen."""
    _Process.on_change.append(drop)


def _find() -> Library:
    """The loaded one first, so that there is one cuBLAS in the process; then those an install may have."""
    tried = [*_loaded(), *_names(), *_installed()]
    for path in tried:
        with contextlib.suppress(OSError, AttributeError):  # not there, or too old to have every function
            return Library(path, _beside(path))
    raise ImportError(
        "cublas: expected libcublas (it comes with CUDA and with CuPy's wheels), found none; "
        f"`minigrad doctor` prints what to install. Tried: {', '.join(tried)}",
        name="cublas",
    )


def _loaded() -> list[str]:
    """Paths of libcublas in this process's memory (Linux)."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/libcublas.so" in line}
    return sorted(paths)


def _names() -> list[str]:
    """Names by which the system's loader may know it; on Windows also a loaded one's."""
    majors = sorted((13, 12), key=lambda major: major != _Process.major)
    return [f"cublas64_{n}.dll" if sys.platform == "win32" else f"libcublas.so.{n}" for n in majors]


def _installed() -> list[str]:
    """Files inside NVIDIA's wheels, conda's environment and CUDA's folder."""
    spec = importlib.util.find_spec("nvidia")
    wheels = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    parts = ("cu13/lib", "cublas/lib", "cu13/bin/x86_64", "cublas/bin")
    folders = [wheel / part for wheel in wheels for part in parts]
    roots = [os.environ.get("CUDA_PATH"), sys.prefix, "/usr/local/cuda"]  # sys.prefix: conda's
    folders += [Path(root) / part for root in roots if root for part in ("lib64", "lib", "bin")]
    return [str(folder / name) for name in _names() for folder in folders if (folder / name).exists()]


def _beside(path: str) -> str:
    """libcublasLt of the same version as libcublas at `path`."""
    folder, name = os.path.split(path)
    return os.path.join(folder, name.replace("cublas", "cublasLt", 1))
