"""The trace: one row for each attempt of each task, in one schema for both worlds.

Every process keeps a spool of the moments it alone knows. Here the spools and the load generator's table are joined by
(id, attempt). A watch can beat an acknowledgement, so three moments are the earlier of two: enqueued = min(ack,
assign_sent), assigned = min(ack, received), committed = min(ack, observed); the acknowledgements themselves stay
in the `*_raw` columns. What a killed process took with it is null.

Times are seconds from the start of the run, on a grid of 2**-30 s: differences of such numbers are exact in binary
floating point (for runs under 48 days), and so the nine stages add up to `total` exactly.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.machine.messages import TRACE_COLUMNS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = tuple[str, int, tuple[float, ...]]

MOMENTS = (
    "intended",
    "submitted",
    "enqueued",
    "assign_sent",
    "assigned",
    "received",
    "started",
    "finished",
    "committed",
    "observed",
)
STAGES = (
    "submit_lag",
    "enqueue",
    "ready_wait",
    "assign",
    "pull",
    "slot_wait",
    "execution",
    "commit",
    "notify",
)
"""The stage at i runs from moment i to moment i + 1."""

RAW = ("enqueued_raw", "assigned_raw", "committed_raw")
COLUMNS = ("id", "index", "attempt", "final", "priority", "service_s", "outcome", "worker", "scheduler", *MOMENTS, *RAW)

SPOOL_SUFFIX = ".spool.jsonl"
_GRID_PER_S = float(1 << 30)
_NOBODY = ""


class Batch(msgspec.Struct, frozen=True):
    """One line of a spool. `rows` are (id, attempt, seconds...), columns as in `TRACE_COLUMNS[kind]`."""

    component: str
    kind: str
    rows: list[Row]


class SpoolError(ValueError):
    """A spool that is damaged elsewhere than in its last line."""


@dataclass(slots=True)
class _Moments:
    """All rows of one kind, in the order in which they came."""

    ids: list[str] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    seconds: list[tuple[float, ...]] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, component: str, rows: Iterable[Row]) -> None:
        before = len(self.ids)
        for task_id, attempt, seconds in rows:
            self.ids.append(task_id)
            self.attempts.append(attempt)
            self.seconds.append(seconds)
        self.components.append(component)
        self.lengths.append(len(self.ids) - before)

    def frame(self, tasks: pd.Index, kind: str) -> pd.DataFrame:
        """Columns index, attempt, component and the kind's moments. Tasks that are not in the table are left out."""
        columns = TRACE_COLUMNS[kind]
        seconds = np.array(self.seconds, dtype=np.float64).reshape(len(self.ids), len(columns))
        frame = pd.DataFrame(
            {
                "index": np.asarray(tasks.get_indexer(pd.Index(self.ids, dtype=object)), dtype=np.int64),
                "attempt": np.array(self.attempts, dtype=np.int64),
                "component": np.repeat(np.array(self.components, dtype=object), self.lengths),
            }
        )
        for position, column in enumerate(columns):
            frame[column] = seconds[:, position]
        return frame[frame["index"] >= 0]


class Spools:
    """Collects batches, from files or straight from a model, until they are joined."""

    def __init__(self) -> None:
        self._kinds = {kind: _Moments() for kind in TRACE_COLUMNS}

    def add(self, component: str, kind: str, rows: Iterable[Row]) -> None:
        self._kinds[kind].add(component, rows)

    def read(self, directory: Path) -> None:
        """Take in every spool of a directory.

        Raises SpoolError where a line is damaged that is not the last of its file.
        """
        for path in sorted(directory.glob(f"*{SPOOL_SUFFIX}")):
            for batch in read_spool(path):
                self.add(batch.component, batch.kind, batch.rows)

    def frame(self, tasks: pd.Index, kind: str) -> pd.DataFrame:
        return self._kinds[kind].frame(tasks, kind)


def read_spool(path: Path) -> Iterator[Batch]:
    """The batches of one spool. A truncated last line is what a killed process leaves: it is dropped."""
    decode = msgspec.json.Decoder(Batch).decode
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            batch = decode(line)
            if batch.kind not in TRACE_COLUMNS:
                raise msgspec.ValidationError(f"unknown kind {batch.kind!r}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == len(lines):
                return
            raise SpoolError(f"{path}, line {number}: {error}") from error
        yield batch


@dataclass(frozen=True, slots=True)
class Tasks:
    """What the load generator knows, a row a task in the order of submission. Seconds on the clock of the spools."""

    ids: list[str]
    intended: Floats
    """NaN where the load is closed: then a task is due when it is submitted."""
    service_s: Floats
    priority: Ints
    outcomes: dict[str, tuple[str, int]] = field(default_factory=dict)
    """What the records say at the end: id -> (verdict, attempt)."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The trace, and what only the raw rows show."""

    trace: pd.DataFrame
    executed_twice: int
    """Tasks whose handler returned more than once, and more often than their attempts were committed (failures are)."""
    committed_twice: int
    """Tasks of which one attempt was acknowledged as committed more than once."""


def join(spools: Spools, tasks: Tasks, start: float) -> Joined:
    """The trace of one run; `start` (same clock as the spools) becomes second 0."""
    index = pd.Index(tasks.ids, dtype=object)
    kinds = {kind: spools.frame(index, kind) for kind in TRACE_COLUMNS}
    stamps = {kind: _last_of_each_attempt(kinds[kind]) for kind in ("assigned", "received", "executed", "committed")}
    trace = _attempts(stamps.values(), len(tasks.ids))
    for kind, who in (("assigned", "scheduler"), ("received", "worker"), ("executed", None), ("committed", None)):
        frame = stamps[kind].rename(columns={"component": who}) if who else stamps[kind].drop(columns="component")
        trace = trace.merge(frame, on=["index", "attempt"], how="left")
    _add_tasks(trace, tasks)
    _add_client(trace, kinds["submitted"], kinds["observed"], len(tasks.ids))
    _settle(trace, start)
    executed, committed = _twice(kinds["executed"], kinds["committed"])
    return Joined(trace[list(COLUMNS)], executed, committed)


def _last_of_each_attempt(frame: pd.DataFrame) -> pd.DataFrame:
    """A task handed back while draining is assigned again under the same attempt: the later row is what counted."""
    moment = frame.columns[3]
    ordered = frame.sort_values(["index", "attempt", moment], kind="stable")
    return ordered.drop_duplicates(["index", "attempt"], keep="last")


def _attempts(frames: Iterable[pd.DataFrame], count: int) -> pd.DataFrame:
    """Every (index, attempt) that anybody saw; tasks that nobody saw get their first attempt."""
    keys = pd.concat([frame[["index", "attempt"]] for frame in frames], ignore_index=True)
    unseen = np.setdiff1d(np.arange(count), keys["index"].to_numpy())
    keys = pd.concat([keys, pd.DataFrame({"index": unseen, "attempt": 1})], ignore_index=True)
    keys = keys.astype("int64").drop_duplicates().sort_values(["index", "attempt"], kind="stable", ignore_index=True)
    keys["final"] = ~keys.duplicated("index", keep="last")
    return keys


def _add_tasks(trace: pd.DataFrame, tasks: Tasks) -> None:
    position = trace["index"].to_numpy()
    trace["id"] = np.array(tasks.ids, dtype=object)[position]
    trace["priority"] = tasks.priority[position]
    trace["service_s"] = tasks.service_s[position]
    trace["intended"] = tasks.intended[position]
    verdicts = np.array([tasks.outcomes.get(one, ("", 0))[0] for one in tasks.ids], dtype=object)[position]
    ended = np.where(trace["committed"].notna(), "retried", "lost")
    trace["outcome"] = np.where(trace["final"], verdicts, ended)
    for who in ("worker", "scheduler"):
        trace[who] = trace[who].fillna(_NOBODY)


def _add_client(trace: pd.DataFrame, submitted: pd.DataFrame, observed: pd.DataFrame, count: int) -> None:
    """The client's moments belong to the task: submits to all its rows, the end to its final one."""
    position = trace["index"].to_numpy()
    for frame, columns in ((submitted, ("submitted", "enqueued")), (observed, ("observed",))):
        first = frame.drop_duplicates("index", keep="first")
        for column in columns:
            values = np.full(count, np.nan)
            values[first["index"].to_numpy()] = first[column].to_numpy()
            trace[column] = values[position]
    trace.loc[~trace["final"], "observed"] = np.nan


def _settle(trace: pd.DataFrame, start: float) -> None:
    """Times from the start, on the grid; the earlier of two witnesses."""
    for moment in MOMENTS:
        trace[moment] = np.round((trace[moment].to_numpy() - start) * _GRID_PER_S) / _GRID_PER_S
    trace["intended"] = trace["intended"].fillna(trace["submitted"])
    for moment, witness in (("enqueued", "assign_sent"), ("assigned", "received"), ("committed", "observed")):
        trace[f"{moment}_raw"] = trace[moment]
        trace[moment] = np.fmin(trace[moment].to_numpy(), trace[witness].to_numpy())


def _twice(executed: pd.DataFrame, committed: pd.DataFrame) -> tuple[int, int]:
    executions = executed.groupby("index").size()
    endings = committed.groupby("index").size().reindex(executions.index, fill_value=0)
    again = committed.groupby(["index", "attempt"]).size()
    twice = again[again > 1].index.get_level_values("index")
    return int((executions > np.maximum(endings, 1)).sum()), int(twice.nunique())


def stages(trace: pd.DataFrame) -> pd.DataFrame:
    """Seconds spent in each stage, a row for each row of the trace, with `dispatch`, `overhead` and `total`."""
    times = trace[list(MOMENTS)].to_numpy()
    result = pd.DataFrame(np.diff(times, axis=1), columns=list(STAGES), index=trace.index)
    result["dispatch"] = trace["started"] - trace["submitted"]
    result["total"] = trace["observed"] - trace["intended"]
    result["overhead"] = result["total"] - result["execution"]
    return result


def write(frame: pd.DataFrame, path: Path) -> None:
    """Parquet with zstd; the same frame gives the same bytes."""
    text = {
        name: pa.array(frame[name], type=pa.string()).dictionary_encode()
        for name in ("outcome", "worker", "scheduler")
        if name in frame
    }
    columns = {name: text.get(name, pa.array(frame[name])) for name in frame.columns}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=1 << 20)


def read(path: Path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas()
