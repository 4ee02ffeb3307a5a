"""From what is typed to a question."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from core.settings import MIN_LEASE_TTL_S, Dispatch
from experiments.planning import recorded, syntax, targets
from experiments.planning.fit import fit
from experiments.planning.question import Bounds, Handler, Question, Survive
from experiments.scenario import ScenarioError

MEMBERS: tuple[Literal[1, 3, 5], ...] = (1, 3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The options of `plan`, as they were typed."""

    arrivals: str | None
    service: str | None
    run: Path | None
    target: Sequence[str]
    workers: str
    slots: str
    schedulers: str
    dispatch: str
    scheduler_interval: str
    worker_interval: str
    lease_ttl: str
    etcd_members: int
    handler: Handler
    cost: str
    survive: Survive | None
    seed: int
    tasks: int | None


def question(words: Words, out: Path) -> Question:
    """Raises ScenarioError, one sentence. Files of a fitted load go to `out`."""
    if not words.target:
        raise ScenarioError(f"--target is missing: expected {targets.EXPECTED}")
    goals = tuple(one for text in words.target for one in targets.parse(text))
    bounds, prices = _bounds(words), syntax.costs(words.cost)
    members = next((one for one in MEMBERS if one == words.etcd_members), None)
    if members is None:
        raise ScenarioError(f"--etcd-members: expected 1, 3 or 5, got {words.etcd_members}")
    _check_survivors(words.survive, bounds)
    notes: tuple[str, ...] = ()
    arrivals = None if words.arrivals is None else syntax.arrivals(words.arrivals)
    service = None if words.service is None else syntax.service(words.service)
    if words.run is not None:
        if arrivals is not None and service is not None:
            raise ScenarioError(
                "--from fits arrivals and service times to a run: leave out --arrivals, --service, or both"
            )
        found = fit(recorded.load(words.run), out)
        typed = " and ".join(
            name for name, one in (("--arrivals", arrivals), ("--service", service)) if one is not None
        )
        notes = (f"fitted to {words.run}", *(f"  {note}" for note in found.notes))
        notes += (f"  but {typed} as typed",) if typed else ()
        arrivals, service = arrivals or found.arrivals, service or found.service
    if arrivals is None or service is None:
        missing = "--arrivals" if arrivals is None else "--service"
        expected = syntax.ARRIVALS if arrivals is None else syntax.SERVICE
        raise ScenarioError(f"{missing} is missing: expected {expected} (or --from RUN)")
    return Question(
        arrivals=arrivals,
        service=service,
        targets=goals,
        bounds=bounds,
        costs=prices,
        survive=words.survive,
        handler=words.handler,
        etcd_members=members,
        seed=words.seed,
        tasks=words.tasks,
        notes=notes,
    )


def _bounds(words: Words) -> Bounds:
    known: tuple[Dispatch, ...] = get_args(Dispatch)
    if words.dispatch not in {*known, "any"}:
        raise ScenarioError(f"--dispatch: expected watch, poll or any, got {words.dispatch!r}")
    ttls = syntax.durations(words.lease_ttl, "--lease-ttl")
    if ttls[0] < MIN_LEASE_TTL_S:
        raise ScenarioError(f"--lease-ttl: etcd keeps leases for {MIN_LEASE_TTL_S:g} s at least, got {ttls[0]:g} s")
    return Bounds(
        workers=syntax.whole_numbers(words.workers, "--workers"),
        slots=syntax.whole_numbers(words.slots, "--slots"),
        schedulers=syntax.whole_numbers(words.schedulers, "--schedulers"),
        dispatch=tuple(one for one in known if words.dispatch in {one, "any"}),
        scheduler_intervals_s=syntax.durations(words.scheduler_interval, "--scheduler-interval"),
        worker_intervals_s=syntax.durations(words.worker_interval, "--worker-interval"),
        lease_ttls_s=ttls,
    )


def _check_survivors(survive: Survive | None, bounds: Bounds) -> None:
    """Who is killed for good must leave another behind."""
    if survive == "host" and bounds.workers[-1] < 2:
        raise ScenarioError("--survive host: needs two workers at least, and --workers allows one")
    if survive == "scheduler" and bounds.schedulers[-1] < 2:
        raise ScenarioError("--survive scheduler: needs two schedulers at least, and --schedulers allows one")
