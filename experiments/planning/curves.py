"""What is drawn of a plan, and the table of all that was tried."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from experiments.planning.erlang import fewest_slots
from experiments.planning.evaluate import Evaluation, Evaluator
from experiments.planning.question import Question
from experiments.planning.search import cost_of
from experiments.planning.targets import Target
from experiments.schema import Topology
from experiments.world import ExperimentError

BESIDE = 3
"""Points drawn on either side of the chosen one."""
DRAW_TIMEOUT_S = 120.0


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """A point of a curve: the first target's figure over repetitions."""

    x: float
    value: float | None
    low: float | None
    high: float | None
    met: bool


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """`chosen`: the x of the answer."""

    x_label: str
    chosen: float
    spots: tuple[Spot, ...]


def curves_of(evaluate: Evaluator, topology: Topology) -> tuple[Curve, ...]:
    """The first target's figure against the size (around the answer), and against the load (what was tried)."""
    target = evaluate.question.targets[0]
    bounds = evaluate.question.bounds
    by_slots = len(bounds.slots) > 1
    sizes = [("slots of each worker", "slots", bounds.slots), ("workers", "workers", evaluate.question.workers)]
    label, name, values = sizes[0 if by_slots else 1]
    now = getattr(topology, name)
    place = values.index(now)
    near = values[max(place - BESIDE, 0) : place + BESIDE + 1]
    sized = [msgspec.structs.replace(topology, **{name: value}) for value in near]
    fewest = fewest_slots(evaluate.question)
    around = evaluate.all([(one, 1.0) for one in sized if one.workers * one.slots >= fewest])
    loads = sorted((one for one in evaluate.known() if one.topology == topology), key=lambda one: one.load)
    rate = evaluate.question.rate_per_s
    return (
        Curve(
            x_label=label, chosen=now, spots=tuple(_spot(getattr(one.topology, name), one, target) for one in around)
        ),
        Curve(
            x_label="arrivals per second",
            chosen=rate,
            spots=tuple(_spot(rate * one.load, one, target) for one in loads),
        ),
    )


def _spot(x: float, one: Evaluation, target: Target) -> Spot:
    figure = one.figure(target)
    return Spot(x=x, value=figure["value"], low=figure["low"], high=figure["high"], met=one.met)


def tried(evaluate: Evaluator, question: Question) -> pd.DataFrame:
    """A row for each configuration and load that was tried."""
    rows: list[dict[str, Any]] = []
    for one in evaluate.known():
        row = msgspec.structs.asdict(one.topology)
        row |= {"load": one.load, "repetitions": len(one.readings), "met": one.met, "keeps_up": one.keeps_up}
        row |= {"cost": cost_of(question.costs, one.topology, one.cores_busy)}
        for target in question.targets:
            row |= {f"{target.text} {key}": value for key, value in one.figure(target).items() if key != "n"}
        row |= {f"used {name}": share for name, share in one.shares.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def draw(folder: Path) -> None:
    """The figure, in a process of its own (it needs the report's packages). Raises ExperimentError."""
    command = [sys.executable, "-m", "reports.planning", str(folder)]
    done = subprocess.run(command, check=False, timeout=DRAW_TIMEOUT_S, capture_output=True, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines() or ["it wrote nothing"]
        raise ExperimentError(f"the figure could not be drawn ({last[-1]}); the answer is in {folder}")
