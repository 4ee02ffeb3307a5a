"""QUE and SER: single operations, from the benchmarks beside the runs (`benchmarks.json`, `experiments.benchmarks`)."""

from typing import Any

from experiments.claims.reading import Runs
from experiments.claims.verdict import NOT_RUN, Finding, Rule, judge
from experiments.phrases import digits, join

FILE = "benchmarks.json"
ONE, BATCH = "test_one_operation", "test_batch_of_100_operations"
THREADS, WAITING = "test_100_threads_of_10_submits_that_wait", "test_100_waiting_tasks_taken_by_10_slots"
CODEC = ("test_codec[encode]", "test_codec[decode]")

OPERATION_S, CONCURRENT_PER_S = 0.010, 1_000
ENQUEUED_S, ENQUEUED_PER_S = 5.0, 200
DEQUEUED_S, DEQUEUED_PER_S = 2.0, 50
CODEC_S, CODEC_PER_S = 10e-6, 100_000

Info = dict[str, Any]


def _info(runs: Runs, name: str) -> Info | None:
    """What a benchmark says of itself; None where it was not run."""
    entries = runs.json(runs.root / FILE).get("benchmarks", [])
    found: Info | None = next((one.get("extra_info") for one in entries if one.get("name") == name), None)
    if found:
        runs.use(FILE)
    return found or None


def _one(runs: Runs) -> Finding:
    """QUE-1: an operation goes from the submit to the start in a worker."""
    one, many, batch = _info(runs, ONE), _info(runs, THREADS), _info(runs, BATCH)
    if one is None or many is None:
        return Finding(NOT_RUN)
    rate = many["operations_per_s"]
    times = [_ms(one[key]) for key in ("p50_s", "p99_s", "put_p50_s")]
    measured = join([
        f"one: p50 {times[0]}, p99 {times[1]}; a bare put p50 {times[2]} (n = {one['n']})",
        f"concurrent {_rate(rate)} (n = {many['n']})",
        f"in batches of {batch['tasks']}: {_rate(batch['rate_per_s'])} (n = {batch['n']})" if batch else "",
    ])  # fmt: skip
    batched = batch is not None and batch["rate_per_s"] > CONCURRENT_PER_S
    if one["p50_s"] >= OPERATION_S or (rate <= CONCURRENT_PER_S and not batched):
        return judge(False, measured, "")  # noqa: FBT003
    if rate <= CONCURRENT_PER_S:
        return judge("many are submitted by one call: threads that each wait for their own reach less", measured, "")
    slow = "the typical operation is meant: more than 1 % take longer than 10 ms"
    return judge(slow if one["p99_s"] >= OPERATION_S else True, measured, "")


def _enqueue(runs: Runs) -> Finding:
    found = _info(runs, THREADS)
    if found is None:
        return Finding(NOT_RUN)
    fine = found["p99_s"] < ENQUEUED_S and found["rate_per_s"] > ENQUEUED_PER_S
    return judge(fine, f"{_s(found['p50_s'])} in all, {_rate(found['rate_per_s'])} (n = {found['n']})", "")


def _dequeue(runs: Runs) -> Finding:
    found = _info(runs, WAITING)
    if found is None:
        return Finding(NOT_RUN)
    twice, never = found["executed_twice"], found["never_executed"]
    fine = found["p99_s"] < DEQUEUED_S and found["rate_per_s"] > DEQUEUED_PER_S and twice == never == 0
    measured = f"{_s(found['p50_s'])} in all, {_rate(found['rate_per_s'])}, {twice} run twice (n = {found['n']})"
    return judge(fine, measured, "")


def _codec(runs: Runs) -> Finding:
    found = [_info(runs, name) for name in CODEC]
    known = [one for one in found if one is not None]
    if len(known) < len(CODEC):
        return Finding(NOT_RUN)
    fine = all(one["rate_per_s"] > CODEC_PER_S and one["p50_s"] < CODEC_S for one in known)
    texts = [
        f"{word} {_rate(one['rate_per_s'])}, p50 {digits(one['p50_s'] * 1e6)} us (n = {one['n']:,})"
        for word, one in zip(("serialise", "deserialise"), known, strict=True)
    ]
    return judge(fine, join(texts), "")


def _ms(seconds: float) -> str:
    return f"{digits(seconds * 1000)} ms"


def _s(seconds: float) -> str:
    return f"{digits(seconds)} s"


def _rate(per_s: float) -> str:
    return f"{digits(per_s)}/s"


RULES: dict[str, Rule] = {"QUE-1": _one, "QUE-2": _enqueue, "QUE-3": _dequeue, "SER-1": _codec}
