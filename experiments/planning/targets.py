"""What is asked of a configuration: `p99<0.2`, `overhead.p99<50ms`, `mean<1s`, `utilisation<0.8`, `throughput>100/s`.

Latencies are those of `metrics.json` (total, overhead, dispatch, or a single stage) and count from the time a task was
due; without a name it is the total.
"""

import re

import msgspec

from experiments import metrics
from experiments.planning.syntax import duration_s, rate_per_s, suggestion
from experiments.scenario import ScenarioError

STATISTICS = ("mean", *metrics.QUANTILES)
EXPECTED = "'p99<0.2', 'overhead.p99<50ms', 'utilisation<0.8' or 'throughput>100/s'"
UTILISATION, THROUGHPUT = "utilisation", "steady_throughput_per_s"
_TARGET = re.compile(r"^(?P<what>[A-Za-z_.0-9]+)\s*(?P<sign>[<>]=?)\s*(?P<bound>.+)$")


class Target(msgspec.Struct, frozen=True):
    """`figure` (a key path of a repetition's figures, or 'utilisation') is to be below (or above) `bound`."""

    text: str
    figure: str
    bound: float
    below: bool = True

    @property
    def is_latency(self) -> bool:
        return self.figure.startswith("latency_s.")

    @property
    def stage(self) -> str:
        """'total' of 'latency_s.total.p99'; empty for other figures."""
        return self.figure.split(".")[1] if self.is_latency else ""

    @property
    def statistic(self) -> str:
        return self.figure.rpartition(".")[2]

    @property
    def label(self) -> str:
        """For people: 'total, p99'."""
        if self.is_latency:
            return f"{self.stage.replace('_', ' ')}, {self.statistic}"
        return "throughput" if self.figure == THROUGHPUT else self.figure

    def met(self, value: float | None) -> bool:
        """Whether a value meets it; what does not exist does not."""
        return value is not None and (value < self.bound if self.below else value > self.bound)

    def met_surely(self, figure: metrics.Values) -> bool:
        """Whether the whole 95 % interval meets it (with one repetition: the value)."""
        edge = figure["high"] if self.below else figure["low"]
        return self.met(figure["value"]) and (edge is None or self.met(edge))


def parse(text: str) -> tuple[Target, ...]:
    """One or several, with commas between. Raises ScenarioError."""
    parts = [part.strip() for part in text.split(",")]
    found = tuple(_one(part) for part in parts if part)
    if len(found) < len(parts):
        raise ScenarioError(f"--target: expected {EXPECTED}, got {text!r}")
    return found


def _one(text: str) -> Target:
    match = _TARGET.match(text)
    if match is None:
        raise ScenarioError(f"--target: expected {EXPECTED}, got {text!r}")
    what, below = match["what"].lower(), match["sign"].startswith("<")
    where = f"--target {text}"
    if what in {"utilisation", "utilization"}:
        return _utilisation(text, match["bound"], below=below)
    if what == "throughput":
        if below:
            raise ScenarioError(f"{where}: a throughput is wanted above something, as in 'throughput>100/s'")
        return Target(text, THROUGHPUT, rate_per_s(match["bound"], where), below=False)
    stage, _, statistic = what.rpartition(".")
    stage = stage or "total"
    if stage not in metrics.LATENCIES:
        raise ScenarioError(f"{where}: unknown latency {stage!r}{suggestion(stage, metrics.LATENCIES)}")
    if statistic not in STATISTICS:
        raise ScenarioError(f"{where}: unknown figure {statistic!r}{_suggest(statistic)}")
    if not below:
        raise ScenarioError(f"{where}: a latency is wanted below something, as in 'p99<0.2'")
    bound = duration_s(match["bound"], where)
    if bound <= 0:
        raise ScenarioError(f"{where}: expected a time above 0")
    return Target(text, f"latency_s.{stage}.{statistic}", bound)


def _utilisation(text: str, bound: str, *, below: bool) -> Target:
    try:
        share = float(bound.removesuffix("%")) / (100 if bound.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not below or not 0 < share <= 1:
        raise ScenarioError(f"--target {text}: expected a share as in 'utilisation<0.8'")
    return Target(text, UTILISATION, share)


def _suggest(statistic: str) -> str:
    return suggestion(statistic, (*STATISTICS, "utilisation", "throughput"))
