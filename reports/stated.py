"""What a scenario says of itself, and the bounds that follow from it; nothing here was measured."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.provenance import Known, Source

STATED = {
    "pull_interval_s": ("topology.worker_poll_interval_s",),
    "poll_interval_s": ("topology.scheduler_poll_interval_s",),
    "members": ("topology.etcd_members",),
    "service_s": ("workload.service",),
    "count_of_tasks": ("workload.count",),
    "rate_per_s": ("workload.arrivals.rate_per_s",),
    "utilisation": ("workload.arrivals.rate_per_s", "workload.service", "topology.workers", "topology.slots"),
    "slot_bound_per_s": ("topology.workers", "topology.slots", "workload.service"),
    "tick_bound_per_s": ("topology.workers", "topology.slots", "workload.service", "topology.worker_poll_interval_s"),
    "cycle_s": ("workload.service", "topology.worker_poll_interval_s"),
}
"""Which keys of scenario.toml (or their defaults) a property follows from; a topology's own key has its name."""


@dataclass(frozen=True)
class Stated:
    """A scenario.toml as it was run. Times in seconds, rates in tasks per second."""

    path: Path
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec.get("name", self.path.name))

    @property
    def topology(self) -> dict[str, Any]:
        return dict(self.spec.get("topology", {}))

    @property
    def workers(self) -> int:
        return int(self.topology.get("workers", 3))

    @property
    def slots(self) -> int:
        return int(self.topology.get("slots", 10))

    @property
    def schedulers(self) -> int:
        return int(self.topology.get("schedulers", 1))

    @property
    def dispatch(self) -> str:
        return str(self.topology.get("dispatch", "watch"))

    @property
    def members(self) -> int:
        return int(self.topology.get("etcd_members", 1))

    @property
    def flush_delay_s(self) -> float:
        """Added to each flush of etcd to its disk."""
        return float(self.topology.get("etcd_flush_delay_s", 0.0))

    @property
    def lease_ttl_s(self) -> float:
        return float(self.topology.get("lease_ttl_s", 5.0))

    @property
    def claims(self) -> tuple[str, ...]:
        return tuple(self.spec.get("claims", ()))

    @property
    def faults(self) -> list[dict[str, Any]]:
        return list(self.spec.get("faults", ()))

    @property
    def changes(self) -> dict[str, Any]:
        """Settings of the components that differ from the defaults, by dotted name."""
        settings = self.spec.get("settings", {})
        return {f"{part}.{key}": value for part, table in settings.items() for key, value in table.items()}

    @property
    def model(self) -> dict[str, Any]:
        """Parameters of the model that differ from the measured ones; such a scenario cannot run for real."""
        return dict(self.spec.get("model", {}))

    @property
    def arrivals(self) -> str:
        return str(self.spec.get("workload", {}).get("arrivals", {}).get("process", "burst"))

    @property
    def count_of_tasks(self) -> int | None:
        found = self.spec.get("workload", {}).get("count")
        return None if found is None else int(found)

    @property
    def rate_per_s(self) -> float | None:
        found = self.spec.get("workload", {}).get("arrivals", {}).get("rate_per_s")
        return None if found is None else float(found)

    @property
    def utilisation(self) -> float | None:
        """Share of all slots that the load asks for: rate x service time / slots; None where tasks come at once."""
        if not self.rate_per_s or not self.service_s:
            return None
        return self.rate_per_s * self.service_s / (self.workers * self.slots)

    @property
    def ticker(self) -> str:
        return str(self.topology.get("ticker", "rate"))

    @property
    def pull_interval_s(self) -> float:
        return float(self.topology.get("worker_poll_interval_s", 0.5))

    @property
    def poll_interval_s(self) -> float:
        return float(self.topology.get("scheduler_poll_interval_s", 0.1))

    @property
    def warmup_s(self) -> float:
        return float(self.spec.get("measure", {}).get("warmup_s", 0.0))

    @property
    def service_s(self) -> float | None:
        """Mean service time where the scenario states one; without any statement tasks take 1 s."""
        service = self.spec.get("workload", {}).get("service", {"value_s": 1.0})
        for key in ("value_s", "mean_s"):
            if key in service:
                return float(service[key])
        if "low_s" in service and "high_s" in service:
            return (float(service["low_s"]) + float(service["high_s"])) / 2
        return None

    @property
    def slot_bound_per_s(self) -> float | None:
        """Throughput when every slot is always busy: W C / s."""
        return self.workers * self.slots / self.service_s if self.service_s else None

    @property
    def tick_bound_per_s(self) -> float | None:
        """Throughput when a slot is refilled only at a tick of a fixed-rate pull: W C / (ceil((s + o) / d) d).

        The overhead o is taken as just above zero, so a service time that is a multiple of d misses its tick.
        """
        if self.dispatch != "poll" or self.service_s is None:
            return None
        return self.workers * self.slots / self.cycle_s if self.cycle_s else None

    @property
    def cycle_s(self) -> float | None:
        """From one start in a slot to the next with fixed-rate pulls: whole ticks, ceil((s + o) / d) d."""
        if self.dispatch != "poll" or self.service_s is None:
            return None
        return (math.floor(self.service_s / self.pull_interval_s + 1e-9) + 1) * self.pull_interval_s

    def told(self, name: str) -> Known | None:
        """A property that follows from the scenario alone, such as `workers`, with the keys that say so."""
        value = getattr(self, name)
        if value is None:
            return None
        return Known(value, *self.stated_at(*STATED.get(name, (f"topology.{name}",))))

    def stated_at(self, *keys: str) -> list[Source]:
        """Keys of the scenario's file as sources."""
        return [Source(f"{self.path.name}/scenario.toml", key) for key in keys]
