"""What a world is to an experiment: something that runs one repetition of a scenario and hands back what it saw.

The load generator imports this when each repetition starts, and has no use for pandas, which takes seconds of CPU time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from experiments.schema import Scenario
from experiments.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

    from experiments.etcd_metrics import Member
    from experiments.metrics import Counts
    from experiments.trace import Spools

WorldName = Literal["real", "sim"]
Tell = Callable[[str], None]
"""Takes a few words on what is happening, for people who wait."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition: the trace, the samples of the processes, what became of the tasks, and where it ran."""

    trace: "pd.DataFrame"
    resources: "pd.DataFrame"
    counts: "Counts"
    environment: dict[str, Any]
    logs: dict[str, str] = field(default_factory=dict)
    """What the processes wrote, where something went wrong."""
    etcd: "Sequence[Member]" = ()
    """What etcd's members said of themselves; the model's say nothing."""


class Aftermath(Protocol):
    """What the store held when the run was over (`experiments.aftermath`, `sim.aftermath`)."""

    @property
    def outcomes(self) -> dict[str, tuple[str, int]]: ...

    @property
    def stored(self) -> int: ...

    @property
    def lost(self) -> int: ...

    @property
    def doubled(self) -> int: ...


def join(workload: Workload, spools: "Spools", after: Aftermath, start: float) -> tuple["pd.DataFrame", "Counts"]:
    """The trace of a repetition and its counts; `start` is its second 0 on the clock of the spools."""
    from experiments import trace  # noqa: PLC0415 - see above
    from experiments.metrics import Counts  # noqa: PLC0415 - likewise

    tasks = trace.Tasks(
        ids=workload.ids,
        intended=workload.intended_s + start,
        service_s=workload.service_s,
        priority=workload.priority,
        outcomes=after.outcomes,
    )
    joined = trace.join(spools, tasks, start)
    acknowledged = int(joined.trace.loc[joined.trace["final"], "enqueued_raw"].notna().sum())
    counts = Counts(
        submitted=acknowledged,
        lost=after.lost + max(acknowledged - after.stored, 0),
        executed_twice=joined.executed_twice,
        committed_twice=max(after.doubled, joined.committed_twice),
    )
    return joined.trace, counts


class World(Protocol):
    """Entered once for a scenario; `run` is then called for each repetition."""

    def run(self, scenario: Scenario, workload: Workload, tell: Tell) -> Measured:
        """Run one repetition.

        Raises ExperimentError, with a sentence for the user, where it cannot be run.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ExperimentError(Exception):
    """An experiment that could not be run; the message is a sentence for the user."""
