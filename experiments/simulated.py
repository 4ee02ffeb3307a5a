"""The simulated world: the model in `sim`, given the same load, read with the same eyes."""

import time
import zlib
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import pandas as pd

from experiments import expected, trace
from experiments.components import config_of
from experiments.metrics import RESOURCE_COLUMNS
from experiments.overrides import of_model
from experiments.scenario import ScenarioError
from experiments.schema import Scenario
from experiments.workload import BASE_MS, Workload
from experiments.world import Measured, Tell, join
from sim import aftermath, parameters
from sim.config import Fault, Load, SimConfig, SimResult
from sim.run import simulate

NO_PROFILE = "round figures, not calibrated"


class SimulatedWorld:
    """Runs repetitions in simulated time. Holds nothing between them but the model's parameters."""

    def __init__(
        self,
        _: Scenario,
        profile: Path | None = None,
        *,
        values: parameters.Values | None = None,
        refinement: parameters.Refinement = "station",
        replica: int = 0,
    ) -> None:
        """`values`: the parameters themselves, without a profile. `refinement`: how finely etcd is modelled.

        `replica`: the same load through other randomness of the model's own. Raises ScenarioError where the profile
        cannot be used.
        """
        self._refinement, self._replica = refinement, replica
        path = profile or parameters.REFERENCE
        self._values, self._about = parameters.Values(), {"profile": NO_PROFILE}
        if values is not None:
            self._values, self._about = values, {"profile": "given"}
            return
        if profile is None and not path.is_file():
            return
        try:
            loaded = parameters.load(path)
        except ValueError as error:
            raise ScenarioError(str(error)) from error
        self._values, self._about = loaded.values(), {"profile": path.stem, **loaded.about}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def run(self, one: Scenario, workload: Workload, tell: Tell) -> Measured:
        """One repetition."""
        tell("simulating")
        began = time.perf_counter()
        result = simulate(self.config(one, workload))
        took_s = time.perf_counter() - began
        tell("collecting")
        spools = trace.Spools()
        for component, kind, rows in result.spool:
            spools.add(component, kind, rows)
        after = aftermath.inspect(result.kv)
        rows_of_trace, counts = join(workload, spools, after, result.start_s)
        facts = {
            "model": self._about,
            "refinement": self._refinement,
            "disturbed": False,
            "unfinished": result.unfinished,
            "misplaced": after.misplaced,
            "events": result.events,
            "run_time_s": round(took_s, 3),
        }
        wrong = result.unfinished or after.lost or after.misplaced
        return Measured(rows_of_trace, _resources(result), counts, facts, _logs(result) if wrong else {})

    def config(self, one: Scenario, workload: Workload) -> SimConfig:
        config = config_of(one.topology, one.settings)
        return SimConfig(
            load=Load(workload.specs(BASE_MS / 1000), workload.service_s, workload.intended_s, workload.in_flight),
            schedulers=one.topology.schedulers,
            workers=one.topology.workers,
            scheduler=config.scheduler,
            worker=config.worker,
            client=config.client,
            faults=[Fault(fault.kind, fault.at_s, fault.target, fault.duration_s) for fault in one.faults],
            seed=_seed(one.measure.seed, workload.repetition, self._replica),
            values=msgspec.structs.replace(
                of_model(one.model, self._values) if one.model else self._values,
                etcd_members=one.topology.etcd_members,
                etcd_flush_delay_s=one.topology.etcd_flush_delay_s,
            ),
            refinement=self._refinement,
            limit_s=inf,
            quiet_s=expected.quiet_s(one, workload),
            start_wall_at=BASE_MS / 1000,
        )


def _seed(seed: int, repetition: int, replica: int) -> int:
    """The model's own randomness: another stream than the load's, another in each repetition and replica."""
    sequence = np.random.SeedSequence([seed, repetition, zlib.crc32(b"model"), *([replica] if replica else [])])
    return int(sequence.generate_state(1, np.uint64)[0])


def _resources(result: SimResult) -> pd.DataFrame:
    """CPU time as in the real world; the model knows no memory and no bytes."""
    rows = [(one.time_s, one.component, one.cpu_s) for one in result.samples]
    return pd.DataFrame(rows, columns=["time_s", "component", "cpu_s"]).reindex(columns=list(RESOURCE_COLUMNS))


def _logs(result: SimResult) -> dict[str, str]:
    logs: dict[str, Any] = {}
    for time_s, component, level, text in result.reports:
        logs.setdefault(component, []).append(f"{time_s - result.start_s:.6f} {level.upper()} {text}\n")
    return {component: "".join(lines) for component, lines in logs.items()}
