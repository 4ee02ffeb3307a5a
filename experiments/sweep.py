"""Many repetitions of the model, spread over processors: joblib does the spreading.

Here that means processes of this machine (loky: started anew, never forked). Under
`joblib.parallel_config(backend="dask")` (or "ray", ...) the same calls run on that cluster. A job carries all it needs;
no files are read where it runs, and the results are the same, bit for bit, wherever that is.
"""

import os
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
from joblib import Parallel, delayed

from experiments import metrics, workload
from experiments.run import figures_of
from experiments.scenario import ScenarioError
from experiments.schema import ArrivalTrace, Empirical, Scenario
from experiments.simulated import SimulatedWorld
from experiments.workload import Workload
from experiments.world import Measured
from sim import parameters

T = TypeVar("T")
J = TypeVar("J")
Read: TypeAlias = Callable[[Scenario, Workload, Measured], T]
"""What is kept of a repetition; called where it ran, so that no trace has to travel. A function of a module."""

ALL_CORES = -1
CLEANED_UP = "ignore:resource_tracker:UserWarning"
"""For joblib's process that cleans up after others: a Ctrl-C leaves it something to do, and nobody wants to know."""

REPLACED = "A worker stopped while some jobs were given"
"""joblib's warning of a process that has grown much and is replaced: no job is lost."""


@dataclass(frozen=True, slots=True)
class Job:
    """One repetition of a scenario. `values`: the model's parameters; None: those that come with Tandem.

    `load`: the tasks; None: they are drawn from the scenario and the repetition. `replica`: the same tasks, through
    other randomness of the model's own.
    """

    scenario: Scenario
    repetition: int = 0
    load: Workload | None = None
    values: parameters.Values | None = None
    replica: int = 0


def jobs_of(one: Scenario, repetitions: int, values: parameters.Values | None = None) -> list[Job]:
    """The repetitions of a scenario, numbered from 0."""
    return [Job(one, repetition, values=values) for repetition in range(repetitions)]


def values_of(profile: Path | None = None, *, cores: int | None = None) -> parameters.Values:
    """The model's parameters from a profile (None: the one that comes with Tandem), on a host of `cores`.

    Raises ScenarioError where the profile cannot be used.
    """
    try:
        values = parameters.load(profile or parameters.REFERENCE).values()
    except ValueError as error:
        raise ScenarioError(str(error)) from error
    return values if cores is None else msgspec.structs.replace(values, cores=cores)


def replicate(
    jobs: Sequence[Job],
    *,
    n_jobs: int | None = ALL_CORES,
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[metrics.Values]:
    """The figures (`experiments.metrics`) of each job, in the order of the jobs. See `gather`."""
    return gather(jobs, _figures, n_jobs=n_jobs, on_done=on_done)


def gather(
    jobs: Sequence[Job],
    read: Read[T],
    *,
    n_jobs: int | None = ALL_CORES,
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[T]:
    """What `read` makes of each job, in the order of the jobs.

    `n_jobs` as joblib takes it (-1: all cores; 1: here, in this process; None: as `joblib.parallel_config` says).
    `on_done(done, total)` is called as results come in. Raises what a job raises (ExperimentError, ScenarioError); on
    that and on KeyboardInterrupt the jobs still under way are ended.
    """
    return spread(partial(_run, read), [_portable(job) for job in jobs], n_jobs=n_jobs, on_done=on_done)


def spread(
    work: Callable[[J], T],
    jobs: Sequence[J],
    *,
    n_jobs: int | None = ALL_CORES,
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[T]:
    """`work` done on each job, in the order of the jobs: `gather` for any function of a module."""
    if not jobs:
        return []
    total = len(jobs)
    results: list[T] = []
    wanted = os.environ.get("PYTHONWARNINGS", "")
    if CLEANED_UP not in wanted:
        os.environ["PYTHONWARNINGS"] = f"{wanted},{CLEANED_UP}".lstrip(",")
    warnings.filterwarnings("ignore", REPLACED, UserWarning)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes=None)  # no files in shared memory
    running: Generator[T, Any, None] = parallel(delayed(work)(job) for job in jobs)
    try:
        for result in running:
            results.append(result)
            on_done(len(results), total)
    except KeyboardInterrupt:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tasks are cancelled is what is wanted
            running.close()  # ends the processes
        raise
    return results


def _run(read: Read[T], job: Job) -> T:
    load = workload.draw(job.scenario, job.repetition) if job.load is None else job.load
    with SimulatedWorld(job.scenario, values=job.values, replica=job.replica) as world:
        return read(job.scenario, load, world.run(job.scenario, load, lambda _: None))


def _figures(one: Scenario, _: Workload, measured: Measured) -> metrics.Values:
    return figures_of(one, measured)


def _portable(job: Job) -> Job:
    """With the tasks drawn, where that takes a file: it need not exist where the job runs."""
    load = job.scenario.workload
    if job.load is None and (isinstance(load.arrivals, ArrivalTrace) or isinstance(load.service, Empirical)):
        return replace(job, load=workload.draw(job.scenario, job.repetition))
    return job
