"""When a failed task may run again."""

from core.model import TaskSpec
from core.policy.rng import Rng


def retry_delay_s(spec: TaskSpec, failures: int, rng: Rng) -> float:
    """Seconds until the next attempt after `failures` (>= 1) failures.

    Exponential with equal jitter: half of the step is certain, half is drawn, so that tasks which failed together do
    not come back together (Brooker, "Exponential backoff and jitter", 2015).
    """
    step_s = min(spec.backoff_s * 2.0 ** min(failures - 1, 60), spec.backoff_max_s)
    return step_s * (0.5 + 0.5 * rng.random())
