"""cuBLAS at work: a handle per thread and device, on the current stream, with a workspace that stays.

Each stream has a workspace of its own, allocated once and kept for good: a captured graph keeps pointing to
it, and products are the same bits every time. cuBLAS thinks in column-major matrices; linalg.py translates.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, NamedTuple

from . import cublas, precision
from .cublas import TYPES, CublasError, HeuristicResult, Library

__all__ = ["Gemm", "Handle", "hand_over", "handle", "warm_up"]

PLANS = 2048  # of products, which a handle keeps


class Gemm(NamedTuple):
    """C = alpha op(A) op(B) + beta C in column-major terms, for a batch; steps count elements."""

    dtype: str  # of A and B
    out: str  # of C
    ta: int
    tb: int
    m: int
    n: int
    k: int
    lda: int
    step_a: int
    ldb: int
    step_b: int
    ldc: int
    step_c: int
    batch: int

    def compute(self) -> int:
        """The arithmetic: float32 sums for halves, TF32 factors only where the switch allows them."""
        if self.dtype == "float64":
            return cublas.COMPUTE_64F
        return (
            cublas.COMPUTE_32F_FAST_TF32
            if self.dtype == "float32" and precision.tf32()
            else cublas.COMPUTE_32F
        )


class Handle:
    """cuBLAS on one device, for one thread at a time."""

    def __init__(self, xp: Any, device: int) -> None:
        self.library, self.xp, self.device = cublas.library(), xp, device
        self.handle = self.library.create("cublasCreate_v2")
        self.library.call("cublasSetMathMode", self.handle, cublas.MATH_MODE)
        self.lt = self.library.create("cublasLtCreate") if self.library.has_lt else None
        # As NVIDIA recommends for cublasSetWorkspace: 32 MiB from Hopper (9.0) on, 4 MiB before.
        hopper = int(xp.cuda.Device(device).compute_capability) >= 90
        self.workspace_bytes = (32 if hopper else 4) << 20
        self.workspaces: dict[int, Any] = {}  # stream -> its workspace, kept: a captured graph points there
        self.stream: int | None = None
        self.plans: dict[tuple, _LtPlan | None] = {}

    def on_current_stream(self) -> Handle:
        """This handle, working on the array library's current stream with that stream's workspace."""
        stream = self.xp.cuda.get_current_stream().ptr
        if stream != self.stream:
            if stream not in self.workspaces:
                self.workspaces[stream] = self.xp.empty(self.workspace_bytes, "uint8")
            self.library.call("cublasSetStream_v2", self.handle, stream)  # forgets the workspace
            pointer = self.workspaces[stream].data.ptr
            self.library.call("cublasSetWorkspace_v2", self.handle, pointer, self.workspace_bytes)
            self.stream = stream
        return self

    def hand_over(self, stream: int) -> Any:
        """The workspace of a stream that will not be used again; None if it has none."""
        if stream == self.stream:
            self.stream = None
        return self.workspaces.pop(stream, None)

    def gemm(self, g: Gemm, a: int, b: int, c: int, alpha: float = 1.0, beta: float = 0.0) -> None:
        """The product of the matrices at addresses a, b into the one at c."""
        one, zero, _memory = _scalars(g.dtype, alpha, beta)
        factor, result, compute = TYPES[g.dtype], TYPES[g.out], g.compute()
        shape = self.handle, g.ta, g.tb, g.m, g.n, g.k, one
        if g.batch == 1:
            self.library.call(
                "cublasGemmEx", *shape, a, factor, g.lda, b, factor, g.ldb, zero, c, result, g.ldc,
                compute, cublas.GEMM_DEFAULT,
            )  # fmt: skip
        else:
            self.library.call(
                "cublasGemmStridedBatchedEx", *shape, a, factor, g.lda, g.step_a, b, factor, g.ldb, g.step_b,
                zero, c, result, g.ldc, g.step_c, g.batch, compute, cublas.GEMM_DEFAULT,
            )  # fmt: skip

    def gemm_with(self, epilogue: int, g: Gemm, a: int, b: int, c: int, bias: int) -> bool:
        """C = epilogue(op(A) op(B)) by cublasLt; False where it has no algorithm for that.

        bias: where m numbers of C's dtype lie, to be added to each column.
        """
        if self.lt is None:
            return False
        compute = g.compute()
        alignment = tuple([_alignment(pointer) for pointer in (a, b, c, bias)])
        key = (epilogue, g, compute, alignment)
        if key not in self.plans:
            if len(self.plans) >= PLANS:  # shapes that change at every call
                self.plans.clear()
            made = _LtPlan(self.library, epilogue, g, compute, bias)
            half = g.dtype in ("float16", "bfloat16")
            found = made.ask(self.lt, self.workspace_bytes, (*alignment[:3], alignment[2]), half)
            self.plans[key] = made if found else None
        plan = self.plans[key]
        if plan is None:
            return False
        one, zero, _memory = _scalars(g.dtype, 1.0, 0.0)
        workspace = self.workspaces[self.stream].data.ptr  # type: ignore[index]
        self.library.put("MatmulDesc", plan.desc, cublas.DESC["BIAS_POINTER"], bias)
        try:
            self.library.call(
                "cublasLtMatmul", self.lt, plan.desc, one, a, plan.a, b, plan.b, zero, c, plan.c, c, plan.c,
                ctypes.byref(plan.result.algo), workspace, self.workspace_bytes, self.stream,
            )  # fmt: skip
        except CublasError as error:
            if error.status not in (cublas.NOT_SUPPORTED, cublas.ARCH_MISMATCH):
                raise
            self.plans[key] = None  # the heuristic promised too much; nothing was launched
        return self.plans[key] is not None


class _LtPlan:
    """What cublasLt wants to know of a product before it runs; kept, because to ask for it takes long."""

    def __init__(self, library: Library, epilogue: int, g: Gemm, compute: int, bias: int) -> None:
        self.library, self.result = library, HeuristicResult()
        self.made: list[tuple[str, Any]] = []
        scale = TYPES["float64" if g.dtype == "float64" else "float32"]
        self.desc = self._create("MatmulDesc", compute, scale)
        # The bias's address is set again at each call; here its alignment counts.
        wanted = {"TRANSA": g.ta, "TRANSB": g.tb, "EPILOGUE": epilogue, "BIAS_POINTER": bias}
        for name, value in wanted.items():
            library.put("MatmulDesc", self.desc, cublas.DESC[name], value)
        self.a = self._layout(g.dtype, (g.k, g.m) if g.ta else (g.m, g.k), g.lda, g.batch, g.step_a)
        self.b = self._layout(g.dtype, (g.n, g.k) if g.tb else (g.k, g.n), g.ldb, g.batch, g.step_b)
        self.c = self._layout(g.out, (g.m, g.n), g.ldc, g.batch, g.step_c)

    def _create(self, kind: str, *args: Any) -> Any:
        made = self.library.create(f"cublasLt{kind}Create", *args)
        self.made.append((f"cublasLt{kind}Destroy", made))
        return made

    def __del__(self) -> None:
        for function, made in self.made:
            self.library.functions[function](made)

    def _layout(self, dtype: str, shape: tuple[int, int], ld: int, batch: int, step: int) -> Any:
        made = self._create("MatrixLayout", TYPES[dtype], *shape, ld)
        if batch > 1:
            self.library.put("MatrixLayout", made, cublas.LAYOUT["BATCH_COUNT"], batch)
            self.library.put("MatrixLayout", made, cublas.LAYOUT["STRIDED_BATCH_OFFSET"], step)
        return made

    def ask(self, lt: Any, workspace: int, alignment: tuple[int, ...], half: bool) -> bool:
        """Take the algorithm that cublasLt expects to be fastest; False if it has none for this product."""
        preference = self._create("MatmulPreference")
        wanted = {"MAX_WORKSPACE_BYTES": workspace}
        wanted |= {f"MIN_ALIGNMENT_{x}_BYTES": n for x, n in zip("ABCD", alignment, strict=True)}
        if half:
            wanted["REDUCTION_SCHEME_MASK"] = cublas.REDUCTION_COMPUTE_TYPE
        for name, value in wanted.items():
            self.library.put("MatmulPreference", preference, cublas.PREFERENCE[name], value)
        count = ctypes.c_int(0)
        try:
            self.library.call(
                "cublasLtMatmulAlgoGetHeuristic", lt, self.desc, self.a, self.b, self.c, self.c, preference,
                1, ctypes.byref(self.result), ctypes.byref(count),
            )  # fmt: skip
        except CublasError as error:
            if error.status != cublas.NOT_SUPPORTED:
                raise
        return count.value > 0 and self.result.state == 0


def _alignment(pointer: int) -> int:
    """The largest power of two up to 256 that divides an address: faster loads need 16."""
    return min(pointer & -pointer, 256) or 256


_SCALARS: dict[tuple, tuple] = {}


def _scalars(dtype: str, alpha: float, beta: float) -> tuple[int, int, Any]:
    """Where alpha and beta lie in host memory, in the type that the product is scaled in; and that memory."""
    found = _SCALARS.get((dtype, alpha, beta))
    if found is None:
        number = ctypes.c_double if dtype == "float64" else ctypes.c_float
        memory = (number * 2)(alpha, beta)
        at = ctypes.addressof(memory)
        found = at, at + ctypes.sizeof(number), memory
        if (alpha, beta) in ((1, 0), (1, 1)):  # the usual ones are kept
            _SCALARS[dtype, alpha, beta] = found
    return found


# ---------------------------------------------------------------- one handle per device and thread


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.leases: dict[int, _Lease] = {}


class _Lease:
    """A thread's use of a handle: when the thread has ended, the handle is free for another."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    def __del__(self) -> None:
        _free.setdefault(self.handle.device, []).append(self.handle)


_mine = _PerThread()
_free: dict[int, list[Handle]] = {}


def _forget() -> None:
    """Handles of the library before are of no use."""
    _mine.leases.clear()
    _free.clear()


cublas.when_changed(_forget)


def handle(xp: Any, device: int) -> Handle:
    """This thread's handle for `device`, which must be the current one, on the current stream of `xp`."""
    lease = _mine.leases.get(device)
    if lease is None:
        spare = _free.get(device)
        lease = _mine.leases[device] = _Lease(spare.pop() if spare else Handle(xp, device))
    return lease.handle.on_current_stream()


def hand_over(device: int, stream: int) -> Any:
    """The workspace that this thread's products used on a stream, no longer kept here; None if it has none.

    For what captured a graph on a stream of its own: it keeps the workspace as long as the graph, and the
    memory is free afterwards.
    """
    lease = _mine.leases.get(device)
    return lease.handle.hand_over(stream) if lease else None


def warm_up(xp: Any, device: int) -> None:
    """Make handle and workspace for the current stream: neither can be made while a graph is captured."""
    handle(xp, device)
