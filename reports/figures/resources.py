"""What the processes use: memory and processors over time, and the CPU seconds of a task by kind of process."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import COLOUR, HATCHES, PARTS, label, new_figure, styled
from reports.language import gettext
from reports.numbers import digits
from reports.runs import WORLDS, Scenario

KINDS = ("client", "scheduler", "worker", "etcd")


def samples(trace: pd.DataFrame) -> pd.DataFrame:
    """Memory (MB) and cores in use of each component over time, from `resources.parquet`."""
    frames = []
    for component, rows in trace.groupby("component", sort=True):
        ordered = rows.sort_values("time_s", kind="stable")
        step = ordered["time_s"].diff()
        cores = (ordered["cpu_s"].diff() / step.where(step > 0)).to_numpy(dtype=float)
        frames.append(pd.DataFrame({"component": component, "time_s": ordered["time_s"].to_numpy(dtype=float),
                                    "memory_mb": ordered["rss_bytes"].to_numpy(dtype=float) / 1e6,
                                    "cores": cores}))  # fmt: skip
    columns = ["component", "time_s", "memory_mb", "cores"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


@styled
def over_time(data: pd.DataFrame, name: str) -> Figure:
    """Draw `samples(...)`: left the memory, right the cores in use; a line for each process, a colour for each kind."""
    result, (left, right) = new_figure(2, 2.3)
    seen = set[str]()
    for component, rows in data.groupby("component", sort=True):
        kind = str(component).partition("-")[0]
        colour = PARTS[KINDS.index(kind)] if kind in KINDS else PARTS[-1]
        named = None if kind in seen else gettext(kind)
        seen.add(kind)
        left.plot(rows["time_s"], rows["memory_mb"], color=colour, linewidth=1.1, label=named)
        right.plot(rows["time_s"], rows["cores"], color=colour, linewidth=1.1)
    left.set(xlabel=gettext("time (s)"), ylabel=gettext("resident memory (MB)"))
    right.set(xlabel=gettext("time (s)"), ylabel=gettext("cores in use"))
    left.set_title(name, loc="left")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
    result.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return result


def cpu_parts(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """CPU seconds for 1,000 tasks by kind of process: a row for each scenario and world."""
    rows: dict[tuple[str, str], Mapping[str, float]] = {}
    for one in scenarios:
        for world in WORLDS:
            found = {kind: one.get(world, f"cpu_s_per_1000_of.{kind}") for kind in KINDS}
            if any(found.values()):
                rows[one.name, world] = {kind: float(each.value or 0) if each else 0.0 for kind, each in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(KINDS))


@styled
def cpu(parts: pd.DataFrame) -> Figure:
    """Draw `cpu_parts(...)`: stacked bars, the model below the real one."""
    names = list(dict.fromkeys(name for name, _ in parts.index))
    result, (axes,) = new_figure(1, 0.8 + 0.34 * len(names))
    seen = set[str]()
    for row, name in enumerate(names):
        for world, offset in (("real", -0.2), ("sim", 0.2)):
            if (name, world) not in parts.index:
                continue
            left = 0.0
            for kind, colour, hatch in zip(KINDS, PARTS, HATCHES, strict=False):
                width = float(parts.loc[(name, world), kind])
                named = None if kind in seen else gettext(kind)
                seen.add(kind)
                axes.barh(row + offset, width, 0.36, left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3,
                          label=named)  # fmt: skip
                left += width
            text = f"{digits(left)} {label('real' if world == 'real' else 'sim')}"
            axes.annotate(text, (left, row + offset), xytext=(3, 0), textcoords="offset points", va="center",
                          fontsize=6.5, color=COLOUR["real" if world == "real" else "sim"])  # fmt: skip
    axes.set_yticks(np.arange(len(names)), names)
    axes.set(xlabel=gettext("CPU seconds for 1,000 tasks"), ylim=(len(names) - 0.45, -0.55))
    axes.set_xlim(0, float(parts.sum(axis=1).max()) * 1.18 or 1.0)
    axes.grid(visible=False, axis="y")
    result.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return result
