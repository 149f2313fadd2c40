"""From which size on the GPU is the faster one, of the rows of `benchmarks.cpu_vs_gpu`; and their plot."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

__all__ = ["by_name", "can_draw", "crossing", "draw", "words"]

Row = dict[str, Any]


def by_name(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows that were timed, by what they time, in the order of their sizes."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["size"]):
        if row["cpu_ms"] is not None:
            found.setdefault(row["name"], []).append(row)
    return {name: found[name] for name in dict.fromkeys(row["name"] for row in rows) if name in found}


def crossing(sizes: list[float], cpu: list[float], gpu: list[float]) -> float:
    """The size from which on the GPU is faster at all that were measured: infinite if it is not at the last.

    Between two sizes both times are taken for straight lines where all is drawn in logarithms. The first
    size means that the GPU is faster everywhere.

    >>> crossing([1, 100], [1.0, 100.0], [10.0, 10.0])
    10.0
    >>> crossing([1, 100], [1.0, 10.0], [2.0, 20.0])
    inf
    """
    logs = [math.log(c / g) for c, g in zip(cpu, gpu, strict=True)]  # above 0 where the GPU is faster
    if logs[-1] <= 0:
        return math.inf
    last = max((i for i, gain in enumerate(logs) if gain <= 0), default=None)
    if last is None:
        return sizes[0]
    share = -logs[last] / (logs[last + 1] - logs[last])
    return round(math.exp(math.log(sizes[last]) + share * math.log(sizes[last + 1] / sizes[last])), 6)


def crossing_of(rows: list[Row], transfers: bool) -> float:
    """The crossover of one sweep."""
    times = [row["gpu"]["transfers_ms" if transfers else "ms"] for row in rows]
    return crossing([row["size"] for row in rows], [row["cpu_ms"] for row in rows], times)


def words(rows: list[Row], transfers: bool) -> str:
    """The crossover of one sweep in words."""
    found = crossing_of(rows, transfers)
    first, last = rows[0]["size"], rows[-1]["size"]
    if math.isinf(found):
        return f"none up to {last:,}"
    if found == first:
        return f"all from {first:,} on"
    return f"{found:,.0f}" if found >= 10 else f"{found:.1f}"


# ---------------------------------------------------------------- the plot


def can_draw() -> bool:
    """Whether there is matplotlib (extra `train`)."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(path: str, env: dict[str, Any], rows: list[Row]) -> None:
    """Time against size for both devices, a panel for each sweep, its crossover marked."""
    from matplotlib.figure import Figure

    found = by_name(rows)
    across = min(4, max(1, len(found)))
    down = math.ceil(max(1, len(found)) / across)
    figure = Figure(figsize=(4 * across, 3 * down + 0.6), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flat
    for panel, (name, some) in zip(panels, found.items(), strict=False):
        draw_sweep(panel, name, some)
    for panel in list(figure.axes)[len(found) :]:
        panel.set_axis_off()
    figure.suptitle(f"{env['device']} and {env['processor']}, {env['threads']} threads, {env['date']}")
    entries = {
        label: handle
        for panel in figure.axes
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=120)


def draw_sweep(panel: Any, name: str, rows: list[Row]) -> None:
    """One panel: the CPU, the GPU, the GPU with transfers, and where the first two cross."""
    sizes = [row["size"] for row in rows]
    panel.loglog(sizes, [row["cpu_ms"] for row in rows], "o-", color="tab:blue", label="CPU")
    told = "CPU alone"
    if all(row["gpu"] for row in rows):
        for key, style, label in (("ms", "s-", "GPU"), ("transfers_ms", "s:", "GPU with transfers")):
            panel.loglog(sizes, [row["gpu"][key] for row in rows], style, color="tab:orange", label=label)
        told = f"crossover: {words(rows, False)}"
        if sizes[0] < (at := crossing_of(rows, False)) < math.inf:
            panel.axvline(at, color="gray", linestyle="--", label="crossover")
    panel.set_title(f"{name}: {told}", fontsize="small")
    panel.set_xlabel(rows[0]["size_is"])
    panel.set_ylabel("ms")
