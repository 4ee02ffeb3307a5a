"""`python -m experiments.reference`: writes what the docs take from the code, in scenarios.md and architecture.md.

Keys, types, defaults and limits are those of `experiments.schema` and `core.settings`, the meaning is the docstring
under each field, units are the endings of the names. The text between the tables is written by hand and stays.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as types

from core import settings, states
from experiments import overrides, schema

DOCS = Path(__file__).parents[1] / "docs"
REGION = re.compile(r"(?<=<!-- table: )([a-z.]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
UNITS = (("_per_s", "tasks/s"), ("_s", "s"), ("_bytes", "bytes"))
HEAD = ("key", "type", "default", "unit", "limits", "meaning")

FAULTS = {
    "worker_kill": ("SIGKILL to the worker process; its nanny revokes the lease and starts another", "not allowed"),
    "host_kill": ("SIGKILL to worker and nanny: only the end of the lease tells", "started again after it"),
    "worker_stop": ("SIGSTOP: a hang, or a pause of the machine", "goes on after it"),
    "worker_drain": ("SIGTERM: running tasks finish, the others are handed back", "started again after it"),
    "scheduler_kill": ("SIGKILL to a scheduler", "started again after it"),
    "scheduler_stop": ("SIGSTOP to a scheduler", "goes on after it"),
    "etcd_kill": (
        "SIGKILL to the member; `etcd-leader` and `etcd-follower` are found then, or once there is a leader",
        "required: started again on its data after it",
    ),
    "partition": ("a worker loses etcd; in the model only", "healed after it"),
}
"""What each kind of fault does, and what `duration_s` means for it."""

Row = tuple[str, ...]


def written(name: str, text: str) -> str:
    """The text of a page with all that is generated in it written anew.

    Raises ValueError where the page has not exactly the places that it should have.
    """
    tables = PAGES[name]
    found = [match[1] for match in REGION.finditer(text)]
    if sorted(found) != sorted(tables):
        raise ValueError(f"{name} has places for {found}, not for {[*tables]}")
    return REGION.sub(lambda match: f"{match[1]}{match[2]}\n{tables[match[1]]()}\n\n", text)


def _markdown(head: Row, rows: Iterator[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


# --- tables ------------------------------------------------------------------------------------------------------


def _keys(table: type[msgspec.Struct], prefix: str = "", *, without: tuple[str, ...] = ()) -> str:
    return _markdown(HEAD, (_row(prefix, field, table) for field in _fields(table) if field.name not in without))


def _row(prefix: str, field: types.Field, table: type[msgspec.Struct]) -> Row:
    kind = _without_none(field.type)
    return (
        f"`{prefix}{field.name}`",
        _type(kind),
        _default(field),
        _unit(field.name),
        _limits(kind),
        _meaning(table, field),
    )


def _kinds(union: Any, tag_field: str) -> str:
    """A row for each kind of a tagged table, with the keys that it takes."""
    return _markdown((f"`{tag_field}`", "further keys", "meaning"), (_kind(kind) for kind in get_args(union)))


def _kind(kind: type[msgspec.Struct]) -> Row:
    further = []
    for field in _fields(kind):
        facts = (_type(field.type), _unit(field.name), _limits(field.type))
        further.append(f"`{field.name}` ({', '.join(fact for fact in facts if fact)})")
    return f'`"{kind.__struct_config__.tag}"`', "; ".join(further), _first_paragraph(kind)


def _faults() -> str:
    rows = ((f"`{kind}`", f"`{schema.FAULT_TARGETS[kind]}-N`", *FAULTS[kind]) for kind in get_args(schema.FaultKind))
    return _markdown(("`kind`", "`target`", "what happens", "`duration_s`"), rows)


def _settings(name: str) -> str:
    table = type(getattr(settings.Config(), name))
    return _keys(table, f"settings.{name}.", without=tuple(overrides._FIXED[name]))  # noqa: SLF001


def _transitions() -> str:
    rows = ((step.name, step.before or "(none)", step.after, step.by, step.compares) for step in states.TRANSITIONS)
    return _markdown(("transition", "from", "to", "by", "compares"), rows)


_SCENARIOS: dict[str, Callable[[], str]] = {
    "scenario": lambda: _keys(schema.Scenario),
    "topology": lambda: _keys(schema.Topology, "topology."),
    "workload": lambda: _keys(schema.Workload, "workload."),
    "arrivals": lambda: _kinds(schema.Arrivals, schema.ARRIVALS_TAG),
    "service": lambda: _kinds(schema.Service, schema.SERVICE_TAG),
    "fault": lambda: _keys(schema.Fault, "faults[]."),
    "faults": _faults,
    "measure": lambda: _keys(schema.Measure, "measure."),
    "settings.scheduler": lambda: _settings("scheduler"),
    "settings.worker": lambda: _settings("worker"),
    "settings.client": lambda: _settings("client"),
}
_ARCHITECTURE: dict[str, Callable[[], str]] = {
    "diagram": lambda: f"```mermaid\n{states.diagram()}\n```",
    "transitions": _transitions,
}
PAGES = {"scenarios.md": _SCENARIOS, "architecture.md": _ARCHITECTURE}

# --- cells -------------------------------------------------------------------------------------------------------


def _fields(table: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    described = types.type_info(table)
    assert isinstance(described, types.StructType)
    return described.fields


def _without_none(kind: types.Type) -> types.Type:
    if isinstance(kind, types.UnionType) and kind.includes_none:
        rest = [one for one in kind.types if not isinstance(one, types.NoneType)]
        return rest[0] if len(rest) == 1 else types.UnionType(tuple(rest))
    return kind


def _type(kind: types.Type) -> str:
    if isinstance(kind, types.LiteralType):
        return ", ".join(_toml(value) for value in kind.values)
    if isinstance(kind, types.VarTupleType):
        return f"list of {_type(kind.item_type)}".replace("table", "tables")
    if isinstance(kind, types.StructType | types.DictType | types.UnionType):
        return "table"
    return {types.IntType: "whole number", types.FloatType: "number", types.StrType: "text"}[type(kind)]


def _limits(kind: types.Type) -> str:
    signs = (("gt", "> "), ("ge", ">= "), ("lt", "< "), ("le", "<= "))
    limits = [sign + f"{value:,g}" for name, sign in signs if (value := getattr(kind, name, None)) is not None]
    pattern = getattr(kind, "pattern", None)
    return ", ".join([*limits, *([f"`{pattern}`"] if pattern else [])])


def _default(field: types.Field) -> str:
    if field.required:
        return "(required)"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if value is None:
        return ""
    if isinstance(_without_none(field.type), types.StructType):
        return "see below"
    if isinstance(value, msgspec.Struct):
        return _toml(msgspec.to_builtins(value))
    return _toml(value)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {_toml(one).strip('`')}" for key, one in value.items())
        return f"`{{{inner}}}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(_toml(one).strip('`') for one in value)}]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _unit(name: str) -> str:
    return next((unit for ending, unit in UNITS if name.endswith(ending)), "")


def _meaning(table: type[msgspec.Struct], field: types.Field) -> str:
    """The docstring under the field; for a table in a table, what that table's own one begins with.

    Raises KeyError where nobody has said what the key means.
    """
    told = _field_docs(table)
    if field.name in told:
        return told[field.name]
    kind = field.type.item_type if isinstance(field.type, types.VarTupleType) else field.type
    if isinstance(kind, types.StructType):
        return _first_paragraph(kind.cls)
    raise KeyError(f"{table.__name__}.{field.name} has no docstring")


def _field_docs(table: type[msgspec.Struct]) -> dict[str, str]:
    definition = ast.parse(textwrap.dedent(inspect.getsource(table))).body[0]
    assert isinstance(definition, ast.ClassDef)
    told: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(text))):
                told[name] = _one_line(text)
            case _:
                pass
    return told


def _first_paragraph(table: type[msgspec.Struct]) -> str:
    return _one_line((table.__doc__ or "").partition("\n\n")[0])


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def main() -> None:
    for name in PAGES:
        page = DOCS / name
        page.write_text(written(name, page.read_text()))
        print(f"written to {page}")


if __name__ == "__main__":
    main()
