"""What the benchmarks report: every figure with its goal, every ratio with its rule, and the one table of both."""

import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.baseline import FAILURES, Finding, Rule

BASELINE = Path(__file__).with_name("baseline.toml")
WIDTH = 200
"""More than the table needs: it is not squeezed into a narrower terminal, because figures that are cut say nothing."""

COLOURS = {"met": "green", "missed": "yellow", "within": "green", "better": "green"}


@dataclass(frozen=True)
class Figure:
    """A row. `at_least` or `at_most` is the goal; without either the figure is there to compare with."""

    name: str
    unit: str = ""
    digits: int = 0
    at_least: float | None = None
    at_most: float | None = None

    def goal(self) -> str:
        if self.at_least is not None:
            return f">= {self.text(self.at_least)}"
        return f"<= {self.text(self.at_most)}" if self.at_most is not None else ""

    def verdict(self, value: float) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        met = value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)
        return "met" if met else "missed"

    def text(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


FIGURES = {
    "burst": Figure("10,000 echo by submit_many, first submit to last result", "tasks/s", at_least=8_000),
    "single": Figure("the same by 10,000 single submits, acknowledged later", "tasks/s", at_least=6_000),
    "waiting_alone": Figure("single submits that wait, over bare puts (each: one fsync a call)", "x", 2, at_least=0.8),
    "waiting": Figure("  while the tasks run: assign and complete sync to the same disk", "x", 2),
    "cpu": Figure("CPU of 1,000 tasks in the first row, all processes and etcd", "s", 3, at_most=0.18),
    "submit": Figure("submit_many, nobody working", "tasks/s", at_least=20_000),
    "submit_busy": Figure("  within the first row, while workers run", "tasks/s"),
    "start": Figure("idle submit to start, p50, less two puts' p50", "ms", 2, at_most=1.0),
    "start_p50": Figure("  idle submit to start, p50", "ms", 2),
    "put_p50": Figure("  one bare put in turn with it, p50", "ms", 2),
    "start_tail": Figure("  idle submit to start, p99 over p50", "x", 1, at_most=4.0),
    "batch": Figure("100 by one submit_many on an idle system, submit to start, each", "ms", 3),
    "threads": Figure("100 threads x 10 single submits, all acknowledged", "s", 3, at_most=0.3),
    "taken": Figure("100 waiting tasks taken by one worker of 10 slots, none twice", "s", 3),
    "slots": Figure("slot efficiency at 100 ms tasks, 3 x 10", "", 3, at_least=0.97),
    "backlog_memory": Figure("scheduler's memory with a backlog of {backlog:,}", "MB", 0, at_most=150),
    "drain": Figure("drain rate of that backlog, over the rate with nothing behind", "x", 2, at_least=0.9),
    "drain_long": Figure("  drain rate, {backlog:,} waiting", "tasks/s"),
    "drain_short": Figure("  drain rate, nothing behind", "tasks/s"),
    "drain_burst": Figure("  the first row's steady rate (it submits meanwhile)", "tasks/s"),
    "idle": Figure("idle CPU, scheduler + 3 workers + etcd", "% of a core", 1, at_most=5.0),
    "proposals": Figure("raft proposals for a task, first row", "", 3, at_most=0.1),
    "model_burst": Figure("the model: 10,000 tasks at once on 3 x 10, none lasts, one core", "CPU s", 2, at_most=0.6),
    "model_burst_plain": Figure("  over a plain SimPy model of it, with a process a task", "x", 2, at_most=1.3),
    "model_burst_1s": Figure("  the same with tasks of 1 s", "CPU s", 2, at_most=0.6),
    "model_burst_1s_plain": Figure("  over the plain model, 1 s", "x", 2, at_most=1.3),
    "model_many": Figure("the model: {model_tasks:,} tasks of 1 s on 1,000 x 10, one core", "CPU s", 1),
    "model_million": Figure("  for a million of them", "CPU s", 0, at_most=60),
    "model_many_plain": Figure("  over the plain model, 1,000 x 10", "x", 2, at_most=1.3),
    "model_growth": Figure("  over half as many tasks: linear is 2", "x", 2, at_most=2.2),
    "model_memory": Figure("  its memory, load and result included", "MB"),
    "encode": Figure("encode a task", "1/s", at_least=100_000),
    "decode": Figure("decode a task", "1/s", at_least=100_000),
}
"""The table's rows, in its order. A name that is indented belongs to the row above it."""

RATIOS = {
    "burst_over_puts": Rule("higher", 0.20),
    "single_over_puts": Rule("higher", 0.20),
    "submit_over_puts": Rule("higher", 0.20),
    "waiting_over_puts": Rule("higher", 0.20),
    "waiting_alone_over_puts": Rule("higher", 0.15),
    "cpu_over_reference": Rule("lower", 0.15),
    "start_over_two_puts": Rule("lower", 0.25),
    "start_p99_over_p50": Rule("lower", 0.60),
    "threads_over_puts": Rule("higher", 0.25),
    "slot_efficiency": Rule("higher", 0.02),
    "backlog_memory_mb": Rule("lower", 0.15),
    "backlog_drain": Rule("higher", 0.15),
    "idle_over_reference": Rule("lower", 0.30),
    "proposals_per_task": Rule("lower", 0.25),
    "model_burst_over_plain": Rule("lower", 0.25),
    "model_burst_1s_over_plain": Rule("lower", 0.25),
    "model_many_over_plain": Rule("lower", 0.25),
    "encode_over_reference": Rule("higher", 0.25),
    "decode_over_reference": Rule("higher", 0.25),
}
"""What the gate guards, with the direction and the margin that a first recording takes. Margins are what such ratios
were seen to differ by between runs on a machine with other work; those of tails and of small figures are wider."""

BACKLOG_RATIOS = ("backlog_memory_mb", "backlog_drain")


@dataclass(frozen=True)
class Measured:
    """A figure's value with the range that it was seen in and the number of samples."""

    value: float
    low: float
    high: float
    count: int


@dataclass
class Ledger:
    """What this run has measured so far."""

    backlog: int
    model_tasks: int = 100_000
    """Of the model's long run."""
    figures: dict[str, Measured] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def figure(
        self, key: str, values: Sequence[float], *, value: float | None = None, count: int | None = None
    ) -> None:
        """`values`: one for each round or block; their median counts, or `value` where all samples together say it."""
        assert key in FIGURES
        middle = statistics.median(values) if value is None else value
        self.figures[key] = Measured(middle, min(middle, *values), max(middle, *values), count or len(values))

    def ratio(self, key: str, value: float) -> None:
        """For the gate: one value a run."""
        assert key in RATIOS
        self.ratios[key] = value

    def note(self, text: str) -> None:
        """A line under the table."""
        self.notes.append(text)


def render(ledger: Ledger, findings: Sequence[Finding], *, colour: bool) -> str:
    """The table of everything, and the lines under it."""
    table = Table(box=box.SIMPLE, padding=(0, 1), pad_edge=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("min to max, n", no_wrap=True)
    table.add_column("to reach", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for key, figure in FIGURES.items():
        if (found := ledger.figures.get(key)) is not None:
            spread = f"{figure.text(found.low)} to {figure.text(found.high)}, {found.count}"
            verdict = figure.verdict(found.value)
            name = figure.name.format(backlog=ledger.backlog, model_tasks=ledger.model_tasks)
            table.add_row(name, figure.unit, figure.text(found.value), spread, figure.goal(), _coloured(verdict))
    table.add_section()
    for key, value in ledger.ratios.items():
        finding = next((one for one in findings if one.name == key), None)
        table.add_row(f"gate: {key}", "", f"{value:.3g}", _recorded(finding), _limit(finding), _verdict(finding))
    out = io.StringIO()
    Console(
        file=out, width=WIDTH, highlight=False, force_terminal=colour, color_system="standard" if colour else None
    ).print(table)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join([*filter(None, lines), *ledger.notes]) + "\n"


def _recorded(finding: Finding | None) -> str:
    if finding is None or finding.recorded is None:
        return ""
    return f"recorded {finding.recorded.mean:.3g} +- {finding.recorded.deviation:.2g}, {finding.recorded.n}"


def _limit(finding: Finding | None) -> str:
    if finding is None or finding.recorded is None:
        return ""
    return f"{'>=' if finding.recorded.better == 'higher' else '<='} {finding.recorded.limit:.3g}"


def _verdict(finding: Finding | None) -> Text:
    return _coloured("not judged" if finding is None else finding.verdict)


def _coloured(verdict: str) -> Text:
    return Text(verdict, "red" if verdict in FAILURES else COLOURS.get(verdict, ""))
