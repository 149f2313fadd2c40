"""The notebooks' printed solutions are right, and every mistake that an exercise names is told by that name.

Each notebook runs in a process of its own, its three dots replaced by the solution printed below the exercise.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad.inspect as inspect_package

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
PRINTED = re.compile(r"<details>.*?```python\n(.*?)```", re.S)


def cells_of(path):
    return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(path.read_text())["cells"]]


def exercises_of(path):
    """Index of each code cell with three dots whose next cell prints a solution as code -> that code."""
    cells = cells_of(path)
    pairs = zip(range(len(cells)), cells, cells[1:])
    return {
        i: PRINTED.search(after)[1]
        for i, (kind, text), (_, after) in pairs
        if kind == "code" and re.search(r"^answer = \.\.\.$", text, re.M) and PRINTED.search(after)
    }


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if exercises_of(p)], ids=lambda p: p.name)
def test_printed_solutions_are_right(path):
    ran = subprocess.run(
        [sys.executable, __file__, str(path)], capture_output=True, text=True, cwd=path.parent
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines()[-1] == f"{len(exercises_of(path))} solved"


def solve(path):
    """Run a notebook with its solutions; an AssertionError where a check does not say 'right'."""
    inspect_package.check_answer = told_apart(inspect_package.check_answer)
    names, solutions = {"__name__": "__main__"}, exercises_of(path)
    for i, (kind, text) in enumerate(cells_of(path)):
        if kind != "code":
            continue
        *body, last = ast.parse(text.replace("answer = ...", solutions.get(i, "answer = ..."))).body
        if i not in solutions:
            body, last = [*body, last], None
        exec(compile(ast.Module(body, []), f"cell {i}", "exec"), names)
        if last is not None:
            verdict = eval(compile(ast.Expression(last.value), f"cell {i}", "eval"), names)
            assert verdict, f"cell {i}: {verdict}"
    print(f"\n{len(solutions)} solved")


def told_apart(check):
    """check_answer, which before it answers is given each of the exercise's own mistakes."""

    def checked(answer, expected, mistakes=None, tolerance=1e-6):
        for name, wrong in (mistakes or {}).items():
            verdict = check(wrong, expected, mistakes, tolerance)
            assert verdict.mistake == name, f"{name!r} is answered with {verdict}"
        return check(answer, expected, mistakes, tolerance)

    return checked


if __name__ == "__main__":
    solve(Path(sys.argv[1]))
