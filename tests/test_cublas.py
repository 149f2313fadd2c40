"""The binding against NVIDIA's own files, where the wheel nvidia-cublas-cu12 (or -cu13) is installed; no GPU is needed.

Its headers say which numbers the names have; its library checks the size of every attribute that is set.
"""

import ast
import ctypes
import importlib.util
import operator
import re
import sys
from pathlib import Path

import pytest

from minigrad_kernels.cuda import cublas


def folder():
    """Where the wheel was unpacked; None if it is not installed."""
    for name in ("nvidia.cublas", "nvidia.cu13"):
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            return None
        if found and any(Path(list(found.submodule_search_locations)[0]).glob("**/cublasLt.h")):
            return Path(list(found.submodule_search_locations)[0])
    return None


installed = pytest.mark.skipif(folder() is None, reason="compares with the wheel nvidia-cublas-cu12")


def number(text, known):
    """The value of an enumerator: numbers, other enumerators, and `|`."""
    value = 0
    for part in text.strip("() ").split("|"):
        part = part.strip()
        value = operator.or_(value, known[part] if part in known else ast.literal_eval(part))
    return value


def enumerators():
    found = {}
    for name in ("cublas_api.h", "cublasLt.h"):
        text = next(folder().glob(f"**/{name}")).read_text(encoding="utf-8")
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
        for key, value in re.findall(r"\b(CUBLAS\w+)\s*=\s*([-\w| ()]+)", text):
            if re.fullmatch(r"[-\d(]+.*|CUBLAS.*", value.strip()):
                try:
                    found.setdefault(key, number(value, found))
                except (ValueError, SyntaxError):
                    continue
    return found


EXPECTED = {
    "CUBLAS_OP_N": cublas.PLAIN, "CUBLAS_OP_T": cublas.TRANSPOSED, "CUBLAS_COMPUTE_32F": cublas.COMPUTE_32F,
    "CUBLAS_COMPUTE_32F_FAST_TF32": cublas.COMPUTE_32F_FAST_TF32, "CUBLAS_COMPUTE_64F": cublas.COMPUTE_64F,
    "CUBLAS_GEMM_DEFAULT": cublas.GEMM_DEFAULT, "CUBLAS_STATUS_NOT_SUPPORTED": cublas.NOT_SUPPORTED,
    "CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION": cublas.MATH_MODE, "CUBLAS_DEFAULT_MATH": 0,
    "CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE": cublas.REDUCTION_COMPUTE_TYPE,
    **{f"CUBLAS_STATUS_{name}": status for status, (name, _) in cublas.STATUS.items()},
    **{f"CUBLASLT_EPILOGUE_{k}": v for k, v in vars(cublas.Epilogue).items() if k.isupper()},
    **{f"CUBLASLT_MATMUL_DESC_{k}": v for k, (v, _) in cublas.DESC.items()},
    **{f"CUBLASLT_MATRIX_LAYOUT_{k}": v for k, (v, _) in cublas.LAYOUT.items()},
    **{f"CUBLASLT_MATMUL_PREF_{k}": v for k, (v, _) in cublas.PREFERENCE.items()},
}  # fmt: skip


@installed
def test_numbers_are_those_of_the_headers():
    found = enumerators()
    assert {name: found.get(name) for name in EXPECTED} == EXPECTED


@installed
def test_functions_take_what_the_headers_say():
    sizes = {"int": 4, "size_t": 8, "uint64_t": 8, "int64_t": 8, "long long int": 8, "cublasHandle_t": 8, "cudaStream_t": 8}
    sizes |= dict.fromkeys(("cublasLtHandle_t", "cublasLtMatmulDesc_t", "cublasLtMatrixLayout_t", "cublasLtMatmulPreference_t"), 8)
    text = "".join(next(folder().glob(f"**/{name}")).read_text(encoding="utf-8") for name in ("cublas_api.h", "cublasLt.h"))
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    for name, types in (cublas.SIGNATURES | cublas.LT_SIGNATURES).items():
        inside = re.search(rf"cublasStatus_t CUBLASWINAPI {name}\(([^)]*)\);", text)[1]
        parameters = [" ".join(p.split()).removeprefix("const ") for p in inside.split(",")]
        # a pointer, an array, a named type of eight bytes; every other name is an enum of four
        declared = [8 if "*" in p or "[" in p else sizes.get(p.rpartition(" ")[0], 4) for p in parameters]
        assert [ctypes.sizeof(t) for t in types] == declared, name


@pytest.fixture(scope="module")
def real():
    """The real libraries' functions: descriptors need no GPU."""
    if folder() is None or not sys.platform.startswith("linux"):
        pytest.skip("asks the library of the wheel nvidia-cublas-cu12")
    path = sorted(folder().glob("**/libcublas.so.*"))[0]
    return cublas.Library(str(path), cublas._beside(str(path)))


def test_the_library_takes_every_attribute_with_its_type(real):
    assert real.has_lt
    desc = real.create("cublasLtMatmulDescCreate", cublas.COMPUTE_32F, cublas.TYPES["float32"])
    layout = real.create("cublasLtMatrixLayoutCreate", cublas.TYPES["bfloat16"], 4, 5, 8)
    preference = real.create("cublasLtMatmulPreferenceCreate")
    for kind, what, attributes in (
        ("MatmulDesc", desc, cublas.DESC), ("MatrixLayout", layout, cublas.LAYOUT),
        ("MatmulPreference", preference, cublas.PREFERENCE),
    ):  # fmt: skip
        for attribute in attributes.values():
            real.put(kind, what, attribute, 4)
            wrong = ctypes.c_int32 if ctypes.sizeof(attribute[1]) == 8 else ctypes.c_int64
            with pytest.raises(cublas.CublasError, match="INVALID_VALUE"):
                real.put(kind, what, (attribute[0], wrong), 4)
        real.call(f"cublasLt{kind}Destroy", what)


def test_without_a_gpu_a_handle_is_an_error_that_says_what_to_do(real):
    if importlib.util.find_spec("cupy"):
        pytest.skip("there may be a GPU")
    with pytest.raises(cublas.CublasError, match=r"cublasCreate_v2: .*minigrad doctor"):
        real.create("cublasCreate_v2")
