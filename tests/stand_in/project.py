"""What minigrad keeps of a GPU from one test to the next; and cuBLAS, whose calls it makes itself.

The library is tests/stand_in_blas. Its calls work at once, so here each is wrapped: while a stream captures it
is kept for the graph, with copies of the descriptors it reads, as a real graph has copies of its own.
"""

import ctypes

import stand_in_blas

from minigrad_kernels.cuda import cublas

from .settings import ledger
from .streams import current_stream, submit

__all__ = ["forget", "use_blas", "watch"]

# What cublasLtMatmul reads behind pointers: place of the argument, bytes.
DESCRIPTORS = {1: 256, 4: 64, 6: 64, 9: 64, 11: 64, 12: 64}
KEPT = ("cublasGemmEx", "cublasGemmStridedBatchedEx", "cublasLtMatmul")
find = cublas._find


def forget():
    """No words of checks, no handles, CuPy not yet loaded."""
    from minigrad.engine import flags, gpu

    flags.forget()
    gpu._Process.cupy = None
    cublas.use(None)


def use_blas(chosen=True):
    """The stand-in for cuBLAS is what minigrad finds (or, not chosen, what it would find without us)."""
    cublas._find = _library if chosen else find


def watch(chosen=True):
    """mg.cuda.ledger() asks our account, which misses nothing (or, not chosen, what it would ask without us)."""
    from minigrad.cuda import ledgers

    from .source import Source

    ledgers.sources[:] = [Source] if chosen else [ledgers.best]


def _library():
    path = stand_in_blas.compiled()
    library = cublas.Library(path, path)
    for name in KEPT:
        library.functions[name] = _recorded(name, library.functions[name])
    return library


def _recorded(name, f):
    def call(*args):
        if current_stream().capture is None:
            ledger.add("launch", name)
            return f(*args)
        given = list(args)
        for place, size in DESCRIPTORS.items() if name == "cublasLtMatmul" else ():
            given[place] = _copied(args[place], size)

        def work():
            status = f(*given)
            if status:
                raise RuntimeError(f"{name}: status {status} in a replay")

        submit("launch", name, work)
        return 0

    return call


def _copied(pointer, size):
    """A buffer with what lies behind the pointer now."""
    at = pointer if isinstance(pointer, int) else ctypes.cast(pointer, ctypes.c_void_p).value
    return ctypes.create_string_buffer(ctypes.string_at(at, size), size)
