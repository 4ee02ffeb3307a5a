"""What `tandem-bench compare` shows."""

from collections.abc import Sequence

from rich.table import Table

from experiments.compare import Change, Comparison
from experiments.phrases import digits

COUNTS = ("lost", "executed_twice", "committed_twice")
UNITS: Sequence[tuple[str, float, str]] = (
    ("latency_s.", 1000.0, " ms"),
    ("etcd.fsync_mean_s", 1000.0, " ms"),
    ("recovery_s.", 1.0, " s"),
    ("makespan_s", 1.0, " s"),
    ("cpu_s_per_1000", 1.0, " s"),
    ("throughput_per_s", 1.0, "/s"),
    ("steady_throughput_per_s", 1.0, "/s"),
    ("slot_efficiency", 100.0, " %"),
)
"""Figures by how their names begin: a factor and the unit it leads to. The others are shown as they are."""
STYLES = {"more": "bold", "less": "bold"}


def table(one: Comparison) -> Table:
    """A row for each figure: both means, the change, its interval, and what that means."""
    pairs = "in pairs: the same loads" if one.same_load else "not in pairs: the loads differ"
    table = Table(title=f"A: {one.a}\nB: {one.b}\n{one.world}, {pairs}", title_justify="left")
    table.add_column("figure", overflow="fold")  # its last part tells figures apart
    for name in ("A", "B", "n", "change", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_column("B has")
    for each in one.changes:
        n = f"{each.n_a}" if each.n_a == each.n_b else f"{each.n_a}, {each.n_b}"
        style = STYLES.get(each.judgement, "")
        values = (_value(each.figure, each.a, each.n_a), _value(each.figure, each.b, each.n_b))
        table.add_row(each.figure, *values, n, _percent(each.change), _bounds(each), each.judgement, style=style)
    return table


def _value(figure: str, mean: float, n: int) -> str:
    """With its unit; counts as their sum over the repetitions."""
    if figure in COUNTS:
        return f"{mean * n:,.0f}"
    factor, unit = next(((factor, unit) for name, factor, unit in UNITS if figure.startswith(name)), (1.0, ""))
    return f"{digits(mean * factor)}{unit}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{'+' if share > 0 else ''}{digits(share * 100)} %"


def _bounds(each: Change) -> str:
    return "" if each.low is None or each.high is None else f"{_percent(each.low)} to {_percent(each.high)}"
