"""The architecture, asserted: imports point one way, one file names CuPy, VJPs stay in minigrad ops.

The checks are functions of source text, so that each is also shown to catch a planted fault.
"""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad

PACKAGE = Path(minigrad.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
KERNELS = sorted(Path(importlib.import_module("minigrad_kernels").__file__).parent.rglob("*.py"))

# Who may import whom: a module imports its own package and what stands in an earlier row.
# `minigrad` itself gathers the public names, so what it gathers must not import it back.
LAYERS = [
    ["minigrad_kernels"],
    ["minigrad.engine"],
    ["minigrad.amp"],
    ["minigrad.ops", "minigrad.cuda"],
    ["minigrad.nn", "minigrad.data", "minigrad.gradcheck", "minigrad.autograd", "minigrad.capture", "minigrad.early_stopping", "minigrad.metrics", "minigrad.precision"],
    ["minigrad.optim"],
    ["minigrad.io", "minigrad.distributed"],
    ["minigrad.inspect"],
    ["minigrad"],
    ["minigrad.models", "minigrad.samples"],
    ["minigrad.train", "minigrad.gradtable"],
    ["minigrad.classifier"],
    ["minigrad.recipes"],
    ["minigrad.digit_pictures"],
    ["minigrad.runs", "minigrad.doctor", "minigrad.listing"],
    ["minigrad.cli"],
    ["minigrad.__main__"],
]
# Reading order inside the engine: a file imports what stands before it.
ENGINE = [
    "spelling", "callers", "gpu", "kernels", "live", "flags", "backend", "half", "random", "node", "recording", "tensor", "vjp",
    "op", "adjoint", "autocast", "backprop", "anomaly", "derivatives",
]  # fmt: skip
TIERS = {name: tier for tier, names in enumerate(LAYERS) for name in names}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imports_of(source: str, module: str, is_package: bool) -> set[str]:
    """Absolute names of the modules that `source` imports, wherever in the file, types excepted."""
    tree = ast.parse(source)
    typing_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if is_package else module.split(".")[:-1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if base.startswith("minigrad") and is_module(full) else base)
    return found


def unit_of(module: str) -> str:
    """The row entry a module belongs to: minigrad.nn.conv -> minigrad.nn."""
    return next((m for m in (".".join(module.split(".")[:2]), module.split(".")[0]) if m in TIERS), module)


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of `module` that point upwards or sideways, as readable lines."""
    here = unit_of(module)
    wrong = []
    for name in sorted(imports_of(source, module, is_package)):
        if not name.startswith("minigrad"):
            continue
        there = unit_of(name)
        if there not in TIERS:
            wrong.append(f"{module} imports {name}, which has no place in LAYERS")
        elif here != there and TIERS[here] <= TIERS[there]:
            wrong.append(f"{module} imports {name}: layer {TIERS[here]} must not see layer {TIERS[there]}")
        elif here == there == "minigrad.engine" and not is_package:
            mine, other = (n.split(".")[-1] for n in (module, name))
            if other in ENGINE and ENGINE.index(other) >= ENGINE.index(mine):
                wrong.append(f"{module} imports {name}, which is read after it")
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_point_one_way(path):
    module = module_name(path)
    assert unit_of(module) in TIERS, f"{module}: give it a place in LAYERS"
    assert wrong_imports(path.read_text(), module, path.name == "__init__.py") == []


def test_kernels_know_nothing_of_tensors():
    for path in KERNELS:
        names = imports_of(path.read_text(), "minigrad_kernels." + path.stem, path.name == "__init__.py")
        assert not [n for n in names if n == "minigrad" or n.startswith("minigrad.")], path


def test_the_import_check_catches_an_upward_import():
    assert wrong_imports("from ..nn import Linear", "minigrad.ops.linalg")
    assert wrong_imports("def f():\n    import minigrad", "minigrad.nn.linear")
    assert wrong_imports("from .backprop import backward", "minigrad.engine.tensor")
    assert wrong_imports("from ..optim import SGD", "minigrad.nn.linear")
    assert wrong_imports("from .cli import main", "minigrad.train")
    assert wrong_imports("from minigrad import cli", "minigrad.recipes.lenet5")
    downwards = "from ..ops import linalg\nfrom ..engine.tensor import Tensor"
    assert not wrong_imports(downwards, "minigrad.nn.linear")
    assert not wrong_imports("from .. import nn", "minigrad.models.lenet")


# ---------------------------------------------------------------- one file names CuPy


def names_cupy(source: str) -> bool:
    """True if code (not prose) mentions the library: an import, a name, or the bare string of one."""
    said = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            said |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            said.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Name):
            said.add(node.id)
        elif isinstance(node, ast.Constant):
            said.add(node.value)
    return bool(said & {"cupy", "cupyx", "cp"})


def test_two_files_name_cupy():
    """gpu.py loads it; backend.py has what it does differently from NumPy."""
    named = {module_name(p) for p in SOURCES if names_cupy(p.read_text())}
    assert named == {"minigrad.engine.backend", "minigrad.engine.gpu"}
    assert not [p for p in KERNELS if names_cupy(p.read_text())]


# ---------------------------------------------------------------- VJPs


def vjps_of(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """(op, function) for every VJP and joint backward declared in a module."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found = []
    for forward in functions.values():
        for deco in forward.decorator_list:
            if isinstance(deco, ast.Call) and getattr(deco.func, "id", "") in ("op", "elementwise"):
                for keyword in deco.keywords:
                    value = keyword.value
                    if isinstance(value, ast.Name):
                        value = functions.get(value.id, value)
                    if isinstance(value, ast.Lambda | ast.FunctionDef) and keyword.arg != "reference":
                        found.append((forward.name, value))
    return found


def vjp_faults(source: str) -> list[str]:
    """np., raw arrays and in-place writes inside VJPs: each would break a GPU or a second order.

    np.shape and np.ndim may be asked: they touch no element, and answer for any kind of array.
    """
    faults = []
    for op, vjp in vjps_of(ast.parse(source)):
        for node in ast.walk(vjp):
            where = f"{op}, line {getattr(node, 'lineno', vjp.lineno)}"
            library = getattr(getattr(node, "value", None), "id", "")
            if isinstance(node, ast.Attribute) and library == "np" and node.attr not in ("shape", "ndim"):
                faults.append(f"{where}: np.{node.attr} in a VJP")
            if isinstance(node, ast.Attribute) and node.attr in ("data", "_data"):
                faults.append(f"{where}: .{node.attr} in a VJP")
            if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
                faults.append(f"{where}: an in-place write in a VJP")
    return faults


@pytest.mark.parametrize("path", [p for p in SOURCES if "ops" in p.parts], ids=module_name)
def test_vjps_use_minigrad_ops_only(path):
    assert vjp_faults(path.read_text()) == []


def test_every_module_of_ops_is_linted():
    declared = sum(len(vjps_of(ast.parse(p.read_text()))) for p in SOURCES if "ops" in p.parts)
    assert declared > 50


@pytest.mark.parametrize("vjp", ["lambda g, x: np.tanh(g) * x", "lambda g, x: g._data * x.data", "_backward"])
def test_the_vjp_lint_catches_a_planted_fault(vjp):
    in_place = "def _backward(g, x):\n    g[0] = 0.0\n    return g\n"
    assert vjp_faults(f"{in_place}\n@op(x={vjp})\ndef f(xp, x):\n    return xp.tanh(x)\n")


# ---------------------------------------------------------------- what `import minigrad` costs and shows


def test_import_minigrad_loads_no_optional_library():
    heavy = ["cupy", "numba", "matplotlib", "rich", "typer", "safetensors", "pooch", "PIL", "torch", "scipy"]
    code = f"import sys, minigrad; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GATHERED = ["minigrad", "minigrad.nn", "minigrad.nn.functional", "minigrad.nn.utils", "minigrad.optim"]  # a file lists its own


@pytest.mark.parametrize("name", sorted(map(module_name, SOURCES)))
def test_public_names(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert [n for n in listed if not hasattr(module, n)] == [], f"{name}.__all__ promises what is not there"
    assert len(set(listed)) == len(listed)


def parts_of(package):
    """The files that a package gathers names from; of what looks inside, minigrad itself shows trace and draw."""
    inside = ["minigrad.capture", "minigrad.inspect.drawing", "minigrad.inspect.trace"] if package == "minigrad" else []
    folders = ["minigrad", "minigrad.engine", "minigrad.ops"] if package == "minigrad" else [package]
    return inside + [module_name(p) for p in SOURCES if p.stem != "__init__" and module_name(p).rpartition(".")[0] in folders]


@pytest.mark.parametrize("package", GATHERED)
def test_a_gathered_package_shows_what_its_files_list(package):
    owners = {}
    gathered = importlib.import_module(package)
    for part in parts_of(package):
        for name in getattr(importlib.import_module(part), "__all__", []):
            assert name not in owners, f"{name} is listed by {owners[name]} and {part}"
            owners[name] = part
            assert hasattr(gathered, name), f"{package} lacks {name} of {part}"


def test_every_public_name_of_minigrad_is_promised():
    shown = {n for n, v in vars(minigrad).items() if not n.startswith("_") and not isinstance(v, type(sys))}
    assert shown == promised()


def promised():
    return {n for part in parts_of("minigrad") for n in getattr(importlib.import_module(part), "__all__", [])}


def test_public_functions_have_docstrings():
    public = {name: getattr(minigrad, name) for name in promised()}
    assert [name for name, value in public.items() if callable(value) and not value.__doc__] == []
