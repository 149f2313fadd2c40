"""What is shipped is what is written down: dependencies, version, package data, README, notebooks.

That the wheel itself works, beside NumPy alone, is checked by .ci/run with .ci/installed.py.
"""

import ast
import importlib
import json
import platform
import re
import sys
import tomllib
from pathlib import Path

import pytest

import minigrad as mg
import minigrad_kernels.cuda

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Where the name to import is not the package's.
IMPORT_NAMES = {"pillow": "PIL", "cupy-cuda12x": "cupy", "cupy-cuda13x": "cupy"}


def import_names(requirements):
    names = [re.match(r"[A-Za-z0-9_.-]+", r)[0] for r in requirements]
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def test_numpy_is_the_only_dependency():
    assert import_names(PROJECT["dependencies"]) == {"numpy"}


def test_every_third_party_import_is_declared():
    declared = {"numpy", "cupyx", "minigrad", "minigrad_kernels"} | import_names(
        r for extra in ("train", "gpu", "gpu13", "fast") for r in EXTRAS[extra]
    )
    for path in [*(ROOT / "minigrad").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - declared
            assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}, which no extra declares"


def test_version_is_written_once_more_and_agrees():
    assert mg.__version__ == PROJECT["version"]


def test_the_command_exists():
    module, _, function = PROJECT["scripts"]["minigrad"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_cuda_sources_are_listed_and_readable():
    folder = ROOT / "kernels" / "minigrad_kernels" / "cuda"
    assert minigrad_kernels.cuda.names() == sorted(path.stem for path in folder.glob("*.cu"))
    for name in minigrad_kernels.cuda.names():
        assert "__global__" in minigrad_kernels.cuda.source(name)
    with pytest.raises(ValueError, match=r"^cuda source: expected one of "):
        minigrad_kernels.cuda.source("absent")


def test_readme_has_two_commands_whose_extras_exist():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^python3 -m venv .venv && .*$", readme, flags=re.MULTILINE)
    assert len(commands) == 2
    assert "minigrad train lenet5" in commands[0] and "pytest" in commands[1]
    named = set(re.findall(r"\[([a-z0-9,]+)\]", " ".join(re.findall(r"pip install.*", readme))))
    assert {extra for group in named for extra in group.split(",")} <= set(EXTRAS)


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_are_committed_executed(path):
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [out for cell in code for out in cell["outputs"] if out["output_type"] == "error"]


def test_freed_memory_is_kept_where_the_c_library_can():
    from minigrad_kernels.cpu.memory import keep_freed_memory

    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
