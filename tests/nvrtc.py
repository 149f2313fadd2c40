"""Compile CUDA kernels without a GPU: `python tests/nvrtc.py softmax` for three generations of cards.

NVRTC is NVIDIA's compiler as a library (wheels nvidia-cuda-nvrtc-cu12 and, for the half-precision headers,
nvidia-cuda-runtime-cu12). It turns text into machine code for any card; only running that needs one.
"""

import ctypes
import functools
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path

import stand_in.compile

from minigrad_kernels.cuda import names, source
from minigrad_kernels.cuda.launch import OPTIONS

ARCHITECTURES = ("sm_70", "sm_80", "sm_90")


def folder(part):
    """Where the wheel of CUDA's `part` was unpacked; None if it is not installed."""
    try:
        found = importlib.util.find_spec(f"nvidia.{part}")
    except ModuleNotFoundError:
        return None
    return Path(list(found.submodule_search_locations)[0]) if found else None


@functools.cache
def library():
    """NVRTC, or None."""
    here, headers = folder("cuda_nvrtc"), folder("cuda_runtime")
    if here is None or headers is None:
        return None
    files = sorted(here.glob("lib/libnvrtc.so.*"), key=lambda path: len(path.name))
    return ctypes.CDLL(str(files[0])) if files else None


def version():
    """NVRTC's (major, minor)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def compiled(code, expressions, architecture):
    """The machine code of these kernels of `code`, kept for the next time; RuntimeError with the compiler's words."""
    said = repr((code, expressions, architecture, OPTIONS, version())).encode()
    kept = stand_in.compile.folder() / f"{hashlib.sha256(said).hexdigest()}.cubin"
    if not kept.exists():
        kept.write_bytes(_compiled(code, expressions, architecture))
    return kept.read_bytes()


def _compiled(code, expressions, architecture):
    nvrtc, program = library(), ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None)
    try:
        for expression in expressions:
            nvrtc.nvrtcAddNameExpression(program, expression.encode())
        options = [f"-arch={architecture}", f"-I{folder('cuda_runtime') / 'include'}", *OPTIONS]
        given = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        failed = nvrtc.nvrtcCompileProgram(program, len(options), given)
        said = _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).decode()
        if failed:
            raise RuntimeError(f"{architecture}: {said}")
        return _text(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(size_of, text_of, program):
    size = ctypes.c_size_t()
    size_of(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    text_of(program, text)
    return text.raw


def instances(name):
    """All expressions that the wrappers of `name`.cu may launch."""
    return importlib.import_module(f"minigrad_kernels.cuda.{name}").INSTANCES


if __name__ == "__main__":
    for name in sys.argv[1:] or names():
        for architecture in ARCHITECTURES:
            size = len(compiled(source(name), instances(name), architecture))
            print(f"{name}.cu, {architecture}: {len(instances(name))} kernels, {size} bytes")
