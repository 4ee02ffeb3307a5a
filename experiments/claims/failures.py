"""FAI: a worker is lost in each of the ways in which workers are lost."""

import pandas as pd

from experiments.claims.reading import Runs
from experiments.claims.verdict import NOT_RUN, Finding, Rule, intact, judge, untold
from experiments.phrases import digits, join

DETECTED_S = 10.0
"""The source's longest time until a loss is noticed; sooner is no objection."""
REQUEUED_S = 0.1
HOST, HANG, CRASH, DRAIN, PARTITION = (f"failure-{kind}" for kind in ("host", "hang", "crash", "drain", "partition"))
TOLD = {HOST: "host lost", HANG: "hangs", CRASH: "process killed", DRAIN: "drained", PARTITION: "cut off"}


def _worker_lost(runs: Runs) -> Finding:
    latest = runs.value(HOST, "recovery_s.max")
    if latest is None:
        return Finding(NOT_RUN)
    spread_s = _spread_s(runs)
    spread = "" if spread_s is None else f"the last of a lost host's tasks {digits(spread_s * 1000)} ms after the first"
    measured = join([*(_told(runs, name, "real") for name in TOLD), spread])
    predicted = join([_told(runs, name, "sim") for name in TOLD])
    if any(intact(runs, name) is False for name in TOLD) or latest > DETECTED_S + REQUEUED_S:
        return judge(False, measured, predicted)  # noqa: FBT003
    if spread_s is not None and spread_s > REQUEUED_S:
        return judge(
            f"slots are free for what was lost: the last of it started {digits(spread_s * 1000)} ms after the first",
            measured,
            predicted,
        )
    return judge(True, measured, predicted)  # noqa: FBT003


def _told(runs: Runs, name: str, world: str) -> str:
    """`host lost: half run again after 5.2 s, all after 5.3 s`, or what went wrong."""
    bad = untold(runs, name) if world == "real" else ""
    if bad:
        return f"{TOLD[name]}: {bad}"
    again = runs.value(name, "executed_twice", world)
    if again is None:
        return ""
    twice = f", {again:,.0f} run twice" if again else ""
    times = [runs.text(name, f"recovery_s.{key}", "s", world) for key in ("p50", "max")]
    if all(times):
        return f"{TOLD[name]}: half run again after {times[0]}, all after {times[1]}{twice}"
    return f"{TOLD[name]}: all done{twice or ', none run twice'}"


def _spread_s(runs: Runs) -> float | None:
    """From the first to the last start of what a lost host had, in the worst repetition."""
    found = [spread for rows in runs.traces(HOST) if (spread := _restarts_s(rows)) is not None]
    return max(found, default=None)


def _restarts_s(rows: pd.DataFrame) -> float | None:
    lost = rows.loc[rows["outcome"] == "lost", ["index", "attempt"]]
    nexts = lost.assign(attempt=lost["attempt"] + 1).merge(rows, on=["index", "attempt"])
    started = nexts["started"].dropna()
    return float(started.max() - started.min()) if len(started) else None


RULES: dict[str, Rule] = {"FAI-1": _worker_lost}
