"""CUDA kernel texts as C++ for the CPU: compile(code, ["kernel<float>"]) gives functions to launch.

The text is compiled as it is, between a header that gives CUDA's words a meaning on one thread of the CPU
(emulation/) and a function that starts the kernel. What was compiled once is kept in a folder of this user.
"""

import ctypes
import functools
import getpass
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["available", "compile", "launch"]

HEADERS = Path(__file__).parent / "emulation"
CHECKED = ("-fsanitize=thread", "-DEMULATION_CHECKED", "-g1")  # each access calls a function of checks.hpp
# no-gnu-unique: `__shared__` variables of one name in two texts are two variables.
FLAGS = ("-std=c++17", "-O1", "-w", "-fPIC", "-fno-gnu-unique", "-fvisibility=hidden", "-fno-strict-aliasing", "-ffp-contract=off")
STARTER = """
#line 1 "start"
#define STARTED extern "C" __attribute__((visibility("default")))
STARTED int emulated_start(int emulated_which, void** emulated_arguments, const unsigned* emulated_sizes,
                              size_t emulated_shared, int emulated_order) {
    switch (emulated_which) {
        %s
    }
    return -1;
}
STARTED const char* emulated_message() { return emulation::message; }
"""
GIVEN = "emulated_arguments, emulated_sizes, emulated_shared, emulated_order"


def available():
    """True where g++ is."""
    return shutil.which("g++") is not None


def folder():
    """Where compiled kernels are kept; nobody else can write there."""
    root = os.environ.get("XDG_CACHE_HOME")
    path = Path(root) / "minigrad-emulated" if root else Path(tempfile.gettempdir()) / f"minigrad-emulated-{getpass.getuser()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
        raise RuntimeError(f"compile: {path} belongs to somebody else; set XDG_CACHE_HOME")
    return path


@functools.cache
def headers():
    return b"".join(path.read_bytes() for path in sorted(HEADERS.iterdir()))


@functools.cache
def compile(code, expressions, checked=False):
    """{expression: a function to launch it} for kernels of `code`; RuntimeError with the compiler's words.

    checked: every read and write is looked at as it is made (emulation/checks.hpp).
    """
    cases = "".join(f"case {i}: return emulation::start(&{name}, {GIVEN});\n" for i, name in enumerate(expressions))
    text = '#line 1 "kernel"\n' + code + STARTER % cases
    flags = FLAGS + CHECKED * checked
    key = hashlib.sha256(headers() + " ".join(flags).encode() + text.encode()).hexdigest()[:32]
    built = folder() / f"{key}.so"
    if not built.exists():
        _build(text, flags, built)
    library = ctypes.PyDLL(str(built))  # PyDLL: one launch at a time, as the fibers are shared
    library.emulated_message.restype = ctypes.c_char_p
    return {name: functools.partial(launch, library, i, name, code) for i, name in enumerate(expressions)}


def _build(text, flags, built):
    with tempfile.TemporaryDirectory(dir=built.parent) as here:
        made, out = Path(here) / "built.o", Path(here) / "built.so"
        command = ["g++", *flags, f"-I{HEADERS}", "-include", str(HEADERS / "cuda_emulation.hpp"), "-x", "c++", "-c", "-", "-o", str(made)]
        ran = subprocess.run(command, input=text, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"compile: g++ refused the kernel\n{ran.stderr[:4000]}")
        subprocess.run(["g++", "-shared", str(made), "-o", str(out)], check=True)  # no sanitizer's library
        out.replace(built)  # whole, or not at all: others may be building the same


def launch(library, which, name, code, grid, block, pointers, shared=0, order="forward", ranges=None):
    """Run one kernel. pointers: the address of each argument's value. RuntimeError for what CUDA forbids.

    ranges: (first, end) of every array that there is, sorted: for a checked kernel.
    """
    sizes = (*grid, *(1,) * (3 - len(grid)), *block, *(1,) * (3 - len(block)))
    _check_sizes(name, sizes, shared)
    if ranges is not None:
        flat = [n for pair in ranges for n in pair]
        given = (ctypes.c_size_t * len(flat))(*flat)
        library.emulated_begin_checks(given, ctypes.c_size_t(len(ranges)))
    arguments = (ctypes.c_void_p * len(pointers))(*pointers)
    failed = library.emulated_start(which, arguments, (ctypes.c_uint * 6)(*sizes), ctypes.c_size_t(shared), int(order == "reverse"))
    if failed:
        message = _with_line(library.emulated_message().decode(), library._name)
        raise RuntimeError(f"{name}: {_with_text(message, code)}")


def _with_line(message, built):
    """The message of a check, the place in machine code told as a line of the kernel."""
    before, found, rest = message.partition("at +0x")
    if not found:
        return message
    place, _, what = rest.partition(":")
    command = ["addr2line", "-i", "-e", built, hex(int(place, 16) - 1)]
    said = subprocess.run(command, capture_output=True, text=True).stdout if shutil.which("addr2line") else ""
    lines = [line.rpartition(":")[2].split()[0] for line in said.splitlines() if line.rpartition(":")[0].endswith("kernel")]
    return f"{before}line {lines[0]}:{what}" if lines else message


def _check_sizes(name, sizes, shared):
    most = (2**31 - 1, 65535, 65535, 1024, 1024, 64)
    threads = sizes[3] * sizes[4] * sizes[5]
    if any(not 0 < n <= limit for n, limit in zip(sizes, most, strict=True)) or threads > 1024 or not 0 <= shared <= 227 * 1024:
        raise RuntimeError(f"{name}: no card launches grid={sizes[:3]}, block={sizes[3:]}, shared={shared}")


def _with_text(message, code):
    """The message, and the line of the kernel that it speaks of."""
    _, found, rest = message.partition("line ")
    number = rest.partition(":")[0]
    lines = code.splitlines()
    if found and number.isdigit() and int(number) <= len(lines):
        return f"{message}\n    {lines[int(number) - 1].strip()}"
    return message
