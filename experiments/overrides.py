"""Settings of the components that a scenario changes: `[settings.scheduler]`, `[settings.worker]`, `[settings.client]`.

They are the settings of `core.settings`, checked by it. What the topology fixes is refused here: two places that say
how tasks are dispatched could contradict each other. Both worlds run what `apply` returns.
"""

import difflib
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from core.policy.placement import find_placement
from core.settings import Config

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
