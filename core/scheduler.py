"""The scheduler process."""

import msgspec

from core.kv.keys import check_name
from core.machine.api import Machine
from core.machine.replay import Recording, header
from core.machine.scheduler import SchedulerMachine
from core.model import SchedulerRecord
from core.policy.placement import find_placement
from core.runtime.clock import now
from core.runtime.component import run_component
from core.runtime.driver import Inbox
from core.runtime.process import HOST, PID, Options
from core.settings import SchedulerSettings


def run_scheduler(options: Options, settings: SchedulerSettings) -> int:
    """Run a scheduler until SIGTERM; the exit code.

    Raises EtcdUnreachable, EtcdUnsupported, ValueError (a bad name, endpoint or placement).
    """
    find_placement(settings.placement)  # a mistake shows before etcd is asked
    record = SchedulerRecord(check_name("scheduler", options.name), HOST, PID, now().wall)

    def build(max_operations: int) -> tuple[Machine, Recording]:
        fitted = msgspec.structs.replace(settings, max_batch=min(settings.max_batch, tasks_per_txn(max_operations)))
        trace = options.trace_dir is not None
        return (
            SchedulerMachine(record, fitted, trace=trace),
            header("scheduler", fitted, record, trace=trace),
        )

    return run_component(options, build, Inbox(), {})


def tasks_per_txn(max_operations: int) -> int:
    """A task costs two operations to assign and up to three to end, and its worker one compare more."""
    return max(1, (max_operations - 8) // 3)
