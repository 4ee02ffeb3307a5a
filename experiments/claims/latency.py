"""LAT: what each step between the submit and the end takes."""

from experiments.claims.reading import Runs
from experiments.claims.verdict import NOT_RUN, Finding, Rule, judge
from experiments.phrases import join

POLL_SLACK_S = 0.010
"""A tick is late by the time that the poll itself takes (list, transaction): a few ms."""


def _call(stage: str) -> Rule:
    """Judge "1 to 5 ms" for one call: faster than 1 ms is no objection."""

    def rule(runs: Runs) -> Finding:
        p50, p95 = (runs.value("latency-watch", f"latency_s.{stage}.{q}") for q in ("p50", "p95"))
        if p50 is None or p95 is None:
            return Finding(NOT_RUN)
        typical = "the typical task is meant: more than 5 % take longer than 5 ms" if p50 <= 0.005 else False
        return judge(p95 <= 0.005 or typical, *_quantiles(runs, "latency-watch", stage))

    return rule


def _quantiles(runs: Runs, scenario: str, stage: str) -> tuple[str, str]:
    def of(world: str) -> str:
        parts = [(q, runs.text(scenario, f"latency_s.{stage}.{q}", "ms", world)) for q in ("p50", "p95")]
        return join([f"{q} {text}" if text else "" for q, text in parts])

    return of("real"), of("sim")


def _poll_wait(stage: str, interval_s: float) -> Rule:
    def rule(runs: Runs) -> Finding:
        p95 = runs.value("latency-poll", f"latency_s.{stage}.p95")
        if p95 is None:
            return Finding(NOT_RUN)
        return judge(p95 <= interval_s + POLL_SLACK_S, *_quantiles(runs, "latency-poll", stage))

    return rule


def _overhead(runs: Runs) -> Finding:
    key = "latency_s.overhead.mean"
    poll, watch = runs.value("latency-poll", key), runs.value("latency-watch", key)
    if poll is None:
        return Finding(NOT_RUN)
    texts = []
    for world in ("real", "sim"):
        pairs = [(mode, runs.text(f"latency-{mode}", key, "ms", world)) for mode in ("poll", "watch")]
        texts.append(join([f"{mode}, mean {text}" if text else "" for mode, text in pairs]))
    if not 0.1 <= poll <= 1.0:
        return judge(False, *texts)  # noqa: FBT003
    faster = watch is not None and watch < 0.1
    return judge("tasks wait for polls; by watch it is under 0.1 s" if faster else True, *texts)


RULES: dict[str, Rule] = {
    "LAT-1": _call("enqueue"),
    "LAT-2": _poll_wait("ready_wait", 0.1),
    "LAT-3": _call("assign"),
    "LAT-4": _poll_wait("pull", 0.5),
    "LAT-5": _overhead,
}
