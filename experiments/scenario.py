"""Scenario files: found by path or name, checked, and written back into run directories.

A scenario is a TOML file laid out like `experiments.schema.Scenario`. An optional table `[quick]` holds what `--quick`
changes, laid out like the file itself (`[quick.workload]`, `count = 60`): tables are merged, all else is replaced.
`quick = false` says that there is no short form: `--quick` refuses the scenario, or leaves it out of a set.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from experiments.overrides import Overrides
from experiments.schema import (
    ARRIVALS_TAG,
    SERVICE_TAG,
    Arrivals,
    ArrivalTrace,
    Empirical,
    Fault,
    Measure,
    Scenario,
    Service,
    Topology,
    Workload,
)

SCENARIOS = Path(__file__).parent / "scenarios"


class ScenarioError(ValueError):
    """A scenario that cannot be run; the message is one sentence for the user."""


def names() -> list[str]:
    """Names of the scenarios that come with Tandem."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def find(path_or_name: str | Path) -> Path:
    """The scenario's file: a path as given, or a name among those that come with Tandem.

    Raises ScenarioError where there is neither.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    named = SCENARIOS / f"{path_or_name}.toml"
    if named.is_file():
        return named
    near = difflib.get_close_matches(str(path_or_name), names(), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; 'tandem-bench list' shows the scenarios"
    raise ScenarioError(f"no scenario file or name {str(path_or_name)!r}{hint}")


def load(path_or_name: str | Path, *, quick: bool = False) -> Scenario:
    """Read a scenario; with `quick`, its `[quick]` table applied (it is checked in any case).

    Raises ScenarioError, one sentence naming the file and the key.
    """
    full, short = both(path_or_name)
    if quick and short is None:
        raise ScenarioError(f"{find(path_or_name)} has no short form (quick = false): leave out --quick")
    return short if quick and short is not None else full


def both(path_or_name: str | Path) -> tuple[Scenario, Scenario | None]:
    """A scenario in its full and its quick form (None where it says `quick = false`).

    Raises ScenarioError, one sentence naming the file and the key.
    """
    path = find(path_or_name)
    try:
        raw = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise ScenarioError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path} is not TOML: {error}") from error
    overrides = raw.pop("quick", {})
    full = _convert(path, raw)
    if overrides is False:
        return full, None
    if not isinstance(overrides, dict):
        raise ScenarioError(f"{path}: quick: expected a table, as in [quick.workload], or false")
    return full, _convert(path, _merge(raw, overrides), note=" (with [quick] applied)")


def with_changes(path: Path, changes: Mapping[str, Any]) -> Scenario:
    """A scenario file with some keys set: `{"topology.workers": 5, "settings.worker.max_batch": 1}`.

    What is set is checked like the file itself. Raises ScenarioError, one sentence naming the key.
    """
    load(path)
    raw = msgspec.toml.decode(path.read_bytes())
    raw.pop("quick", None)
    for key, value in changes.items():
        node: Any = raw
        *tables, last = key.split(".")
        for table in tables:
            node = node.setdefault(table, {})
            if not isinstance(node, dict):
                raise ScenarioError(f"{key}: '{table}' is no table")
        node[last] = value
    try:
        return _convert(path, raw)
    except ScenarioError as error:
        raise ScenarioError(str(error).removeprefix(f"{path}: ")) from error


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`. A table that names its process or distribution is another kind of table: it replaces."""
    merged = dict(base)
    for key, value in over.items():
        old = base.get(key)
        mergeable = isinstance(value, dict) and isinstance(old, dict)
        replaces = mergeable and (ARRIVALS_TAG in value or SERVICE_TAG in value or key == "priorities")
        merged[key] = _merge(old, value) if mergeable and not replaces else value  # type: ignore[arg-type]
    return merged


def _convert(path: Path, raw: dict[str, Any], note: str = "") -> Scenario:
    for key_path, value in _floats(raw, ""):
        if not math.isfinite(value):
            raise ScenarioError(f"{path}: {key_path}: {value} is not a finite number{note}")
    try:
        scenario = msgspec.convert(raw, Scenario, str_keys=True)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{path}: {_explain(str(error))}{note}") from error
    return _resolve(path, scenario)


def _floats(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Every float in a document, with its key path."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _floats(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _floats(child, f"{path}[{index}]")


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_TAGS: dict[str, tuple[type[msgspec.Struct], ...]] = {"arrivals": get_args(Arrivals), "service": get_args(Service)}
_TABLES: dict[str, type[msgspec.Struct]] = {
    "": Scenario,
    "topology": Topology,
    "settings": Overrides,
    "workload": Workload,
    "faults": Fault,
    "measure": Measure,
}


def _explain(message: str) -> str:
    """The message of msgspec with the full key path in front and, for a typo, the key that was probably meant."""
    match = _PLACE.match(message)
    assert match is not None
    what, place = match["what"], match["path"] or ""
    prefix = f"{place}." if place else ""
    if unknown := _UNKNOWN.match(what):
        return f"{prefix}{unknown[1]}: unknown key{_suggest(unknown[1], place)}"
    if missing := _MISSING.match(what):
        return f"{prefix}{missing[1]}: missing"
    if what.startswith("Invalid value") and place.rpartition(".")[2] in (ARRIVALS_TAG, SERVICE_TAG):
        union = _TAGS["arrivals" if place.endswith(ARRIVALS_TAG) else "service"]
        known = ", ".join(str(kind.__struct_config__.tag) for kind in union)
        return f"{place}: {what[0].lower()}{what[1:]}: expected one of {known}"
    if what.startswith("Invalid enum value") and (known := ", ".join(map(repr, _choices(place)))):
        return f"{place}: {what[0].lower()}{what[1:]}: expected one of {known}"
    return f"{place}: {what}" if place else what


def _choices(place: str) -> tuple[object, ...]:
    """The values that may stand at a key path, where they can be counted."""
    table, _, key = place.rpartition(".")
    kinds = [get_type_hints(struct).get(key) for struct in _tables(table)]
    return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())


def _suggest(key: str, place: str) -> str:
    known = {field for table in _tables(place) for field in table.__struct_fields__}
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _tables(place: str) -> tuple[type[msgspec.Struct], ...]:
    """The tables that may stand at a key path."""
    last = re.sub(r"\[.*?\]", "", place.rpartition(".")[2])
    if last in _TAGS:
        return _TAGS[last]
    return (_TABLES[last],) if last in _TABLES else ()


# --- files that a scenario names ---------------------------------------------------------------------------------


def _resolve(path: Path, scenario: Scenario) -> Scenario:
    """The scenario with the files it names as absolute paths (they are relative to the scenario's own file)."""
    workload = scenario.workload
    if isinstance(workload.arrivals, ArrivalTrace):
        file = _existing(path, "workload.arrivals.file", workload.arrivals.file)
        workload = msgspec.structs.replace(workload, arrivals=ArrivalTrace(file=file))
    if isinstance(workload.service, Empirical):
        file = _existing(path, "workload.service.file", workload.service.file)
        workload = msgspec.structs.replace(workload, service=Empirical(file=file))
    return msgspec.structs.replace(scenario, workload=workload)


def _existing(path: Path, key: str, file: str) -> str:
    found = (path.parent / file).resolve()
    if not found.is_file():
        raise ScenarioError(f"{path}: {key}: no such file: {found}")
    return str(found)


def write(scenario: Scenario, directory: Path) -> Path:
    """Write `scenario.toml`, and the files it names, so that the directory alone can repeat the run."""
    directory.mkdir(parents=True, exist_ok=True)
    document = msgspec.to_builtins(scenario, str_keys=True)
    document["settings"] = scenario.settings.changes() or None
    document["model"] = scenario.model or None
    for table in ("arrivals", "service"):
        named = document["workload"][table].get("file")
        if named:
            copy = directory / f"{table}{Path(named).suffix}"
            copy.write_bytes(Path(named).read_bytes())
            document["workload"][table]["file"] = copy.name
    path = directory / "scenario.toml"
    path.write_bytes(msgspec.toml.encode(_without_none(document)))
    return path


def _without_none(value: Any) -> Any:
    """TOML has no null."""
    if isinstance(value, dict):
        return {key: _without_none(child) for key, child in value.items() if child is not None}
    if isinstance(value, list | tuple):
        return [_without_none(child) for child in value]
    return value
