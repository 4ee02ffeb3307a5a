"""What a scenario changes: settings of the components (`[settings.worker]`) and parameters of the model (`[model]`).

`[settings.scheduler]`, `[settings.worker]` and `[settings.client]` are the settings of `core.settings`, checked by it.
What the topology fixes is refused here: two places that say how tasks are dispatched could contradict each other. Both
worlds run what `apply` returns. `[model]` names parameters of `sim.parameters`; such a scenario runs in the model only.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from core.policy.placement import find_placement
from core.settings import Config
from sim.parameters import Values

Setting: TypeAlias = Any  # what may stand under a key is checked by `core.settings`

_TOPOLOGY = "belongs to the topology: set topology.{} instead"
_FIXED: dict[str, dict[str, str]] = {
    "scheduler": {
        "dispatch": _TOPOLOGY.format("dispatch"),
        "poll_interval_s": _TOPOLOGY.format("scheduler_poll_interval_s"),
        "ticker": _TOPOLOGY.format("ticker"),
        "lease_ttl_s": _TOPOLOGY.format("lease_ttl_s"),
    },
    "worker": {
        "slots": _TOPOLOGY.format("slots"),
        "dispatch": _TOPOLOGY.format("dispatch"),
        "poll_interval_s": _TOPOLOGY.format("worker_poll_interval_s"),
        "ticker": _TOPOLOGY.format("ticker"),
        "lease_ttl_s": _TOPOLOGY.format("lease_ttl_s"),
        "queues": "cannot be set: the load has one queue, which every worker must serve",
    },
    "client": {},
}
"""What a scenario may not set here, and the sentence that says why."""

_PLACE = re.compile(r"^(?P<what>.*?) - at `\$\.(?P<path>.*)`$", re.DOTALL)


class Overrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What differs from the defaults, by component and setting."""

    scheduler: dict[str, Setting] = msgspec.field(default_factory=dict)
    worker: dict[str, Setting] = msgspec.field(default_factory=dict)
    client: dict[str, Setting] = msgspec.field(default_factory=dict)

    def check(self) -> None:
        """Raises ValueError, one sentence that starts with the key path."""
        for component, changes in self._tables():
            known = type(getattr(Config(), component)).__struct_fields__
            for key in changes:
                path = f"settings.{component}.{key}"
                if key in _FIXED[component]:
                    raise ValueError(f"{path} {_FIXED[component][key]}")
                if key not in known:
                    near = difflib.get_close_matches(key, set(known) - set(_FIXED[component]), n=1)
                    raise ValueError(f"{path}: unknown key" + (f"; did you mean '{near[0]}'?" if near else ""))
        placement = self.apply(Config()).scheduler.placement
        try:
            find_placement(placement)
        except ValueError as error:
            raise ValueError(f"settings.scheduler.placement: {error}") from error

    def apply(self, config: Config) -> Config:
        """`config` with the changes put in place. Raises ValueError as `check` does."""
        document = msgspec.to_builtins(config)
        for component, changes in self._tables():
            document[component] |= changes
        try:
            return msgspec.convert(document, Config)
        except msgspec.ValidationError as error:
            match = _PLACE.match(str(error))
            raise ValueError(f"settings.{match['path']}: {match['what']}" if match else str(error)) from error

    def changes(self) -> dict[str, dict[str, Any]]:
        """The tables that change something, as they are written to a file."""
        return {component: dict(changes) for component, changes in self._tables() if changes}

    def _tables(self) -> Iterator[tuple[str, dict[str, Setting]]]:
        for component in self.__struct_fields__:
            yield component, getattr(self, component)


_MODEL_TOPOLOGY = ("etcd_members", "etcd_flush_delay_s")
_NOT_NEGATIVE = "expected a number >= 0"


def of_model(changes: Mapping[str, Any], values: Values | None = None) -> Values:
    """The model's parameters with the changes of a `[model]` table put in place.

    Raises ValueError, one sentence that starts with the key path.
    """
    for key, value in changes.items():
        path = f"model.{key}"
        if key in _MODEL_TOPOLOGY:
            raise ValueError(f"{path} {_TOPOLOGY.format(key)}")
        if key not in Values.__struct_fields__:
            near = difflib.get_close_matches(key, Values.__struct_fields__, n=1)
            raise ValueError(f"{path}: unknown parameter" + (f"; did you mean '{near[0]}'?" if near else ""))
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (key == "cores" and value < 1):
            raise ValueError(f"{path}: {_NOT_NEGATIVE if key != 'cores' else 'expected a whole number >= 1'}")
    try:
        return msgspec.convert(msgspec.to_builtins(values or Values()) | dict(changes), Values)
    except msgspec.ValidationError as error:
        match = _PLACE.match(str(error))
        raise ValueError(f"model.{match['path']}: {match['what']}" if match else str(error)) from error
