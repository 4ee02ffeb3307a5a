"""The small languages of the command line: arrivals, service times, whole numbers, durations and costs.

    --arrivals   poisson:200/s   constant:50/s   poisson:90/min   trace:FILE
    --service    constant:0.1s   exponential:100ms   lognormal:0.1s:cv=1   lognormal:0.1s:sigma=0.8
                 uniform:50ms..200ms   empirical:FILE
    durations    0.2   0.2s   200ms   500us   2min   1h       (a bare number is seconds)
    rates        200/s   90/min   40/h   200                  (a bare number is tasks a second)
    numbers      4   1..20   1,2,5

They mirror the tables of scenario files. All raise ScenarioError, one sentence that says what was expected.
"""

import difflib
import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from experiments.scenario import ScenarioError
from experiments.schema import (
    Arrivals,
    ArrivalTrace,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Lognormal,
    Poisson,
    Service,
    Uniform,
)
from experiments.workload import read_numbers

ARRIVALS = "'poisson:200/s', 'constant:50/s' or 'trace:FILE'"
SERVICE = "'constant:0.1s', 'exponential:0.1s', 'lognormal:0.1s:cv=1', 'uniform:50ms..200ms' or 'empirical:FILE'"
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0, "h": 3600.0}
_NUMBER = r"(?P<number>[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
_DURATION = re.compile(rf"^{_NUMBER}\s*(?P<unit>us|ms|s|min|h|)$")
_RATE = re.compile(rf"^{_NUMBER}\s*(?:/\s*(?P<unit>s|min|h))?$")
_MAX_NUMBERS = 1000


def duration_s(text: str, where: str) -> float:
    """'200ms' -> 0.2."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise ScenarioError(f"{where}: expected a time such as 0.2s, 200ms or 2min, got {text!r}")
    return float(match["number"]) * _SECONDS[match["unit"]]


def rate_per_s(text: str, where: str) -> float:
    """'90/min' -> 1.5."""
    match = _RATE.match(text.strip())
    if match is None:
        raise ScenarioError(f"{where}: expected a rate such as 200/s or 90/min, got {text!r}")
    rate = float(match["number"]) / _SECONDS[match["unit"] or "s"]
    if rate < 0.001:
        raise ScenarioError(f"{where}: expected a rate of at least 0.001/s, got {text!r}")
    return rate


def arrivals(text: str) -> Arrivals:
    """`--arrivals`."""
    kind, _, rest = text.partition(":")
    match kind.strip():
        case "poisson":
            return Poisson(rate_per_s=rate_per_s(rest, "--arrivals poisson"))
        case "constant":
            return ConstantRate(rate_per_s=rate_per_s(rest, "--arrivals constant"))
        case "trace":
            return ArrivalTrace(file=_file(rest, "--arrivals trace"))
        case "burst" | "closed":
            raise ScenarioError(f"--arrivals {kind} has no rate to plan for: expected {ARRIVALS}")
        case _:
            raise ScenarioError(f"--arrivals: expected {ARRIVALS}, got {text!r}")


def service(text: str) -> Service:
    """`--service`."""
    kind, _, rest = text.partition(":")
    kind, where = kind.strip(), f"--service {kind.strip()}"
    try:
        match kind:
            case "constant":
                return Constant(value_s=duration_s(rest, where))
            case "exponential":
                return Exponential(mean_s=_positive(rest, where))
            case "lognormal":
                return _lognormal(rest, where)
            case "uniform":
                low, dots, high = rest.partition("..")
                if not dots:
                    raise ScenarioError(f"{where}: expected two times as in uniform:50ms..200ms, got {rest!r}")
                return Uniform(low_s=duration_s(low, where), high_s=duration_s(high, where))
            case "empirical":
                return Empirical(file=_file(rest, where))
            case _:
                raise ScenarioError(f"--service: expected {SERVICE}, got {text!r}")
    except (ValueError, msgspec.ValidationError) as error:
        raise error if isinstance(error, ScenarioError) else ScenarioError(f"{where}: {error}") from error


def _lognormal(text: str, where: str) -> Lognormal:
    mean, _, shape = text.partition(":")
    match = re.match(rf"^(?P<name>cv|sigma)\s*=\s*{_NUMBER}$", shape.strip())
    if match is None:
        raise ScenarioError(f"{where}: expected a mean and a spread as in lognormal:0.1s:cv=1, got {text!r}")
    spread = float(match["number"])
    sigma = math.sqrt(math.log1p(spread**2)) if match["name"] == "cv" else spread
    return Lognormal(mean_s=_positive(mean, where), sigma=sigma)


def _positive(text: str, where: str) -> float:
    seconds = duration_s(text, where)
    if seconds <= 0:
        raise ScenarioError(f"{where}: expected a time above 0, got {text!r}")
    return seconds


def _file(text: str, where: str) -> str:
    path = Path(text.strip())
    if not text.strip() or not path.is_file():
        raise ScenarioError(f"{where}: no such file: {text.strip()!r} (expected seconds, one a line)")
    read_numbers(path)
    return str(path.resolve())


def whole_numbers(text: str, where: str) -> tuple[int, ...]:
    """'1..4' -> (1, 2, 3, 4); '1,2,5' -> (1, 2, 5); '3' -> (3,). Ascending, each once."""
    numbers: set[int] = set()
    for part in text.split(","):
        low, dots, high = part.strip().partition("..")
        try:
            first = int(low)
            last = int(high) if dots else first
        except ValueError:
            raise ScenarioError(f"{where}: expected whole numbers as in 4, 1..20 or 1,2,5, got {text!r}") from None
        if not 1 <= first <= last or last - first >= _MAX_NUMBERS:
            raise ScenarioError(f"{where}: expected numbers from 1 up, the smaller first, got {text!r}")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def durations(text: str, where: str) -> tuple[float, ...]:
    """'100ms,0.5' -> (0.1, 0.5). Ascending, each once, all above 0."""
    return tuple(sorted({_positive(part, where) for part in text.split(",")}))


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration costs, in any unit that is the same for all.

    The defaults count in workers: a worker process (its interpreter, connections and memory) is 1, a slot (a thread,
    and the memory of a running task) a tenth, a scheduler as much as a worker. A busy core costs nothing unless you say
    so: of configurations that cost the same, the one that uses less CPU time is chosen in any case.
    """

    worker: float = 1.0
    slot: float = 0.1
    scheduler: float = 1.0
    core: float = 0.0
    """For each core kept busy, as the model predicts it."""


def costs(text: str) -> Costs:
    """`--cost worker=2,slot=0.1`; what is not named keeps its default."""
    given: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, value = part.partition("=")
        if name not in Costs.__struct_fields__:
            raise ScenarioError(f"--cost: unknown part {name!r}{suggestion(name, Costs.__struct_fields__)}")
        try:
            given[name] = float(value)
        except ValueError:
            raise ScenarioError(f"--cost: expected a number as in {name}=1.5, got {part!r}") from None
        if not 0 <= given[name] < math.inf:
            raise ScenarioError(f"--cost: expected 0 or more, got {part!r}")
    return Costs(**given)


def suggestion(name: str, known: Sequence[str]) -> str:
    """The known word that was probably meant, else all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f": expected one of {', '.join(known)}"
