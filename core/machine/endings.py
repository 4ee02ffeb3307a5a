"""What becomes of a finished execution."""

from sys import intern

from core.kv import keys
from core.machine.messages import Ending, Job, Now, Result
from core.model import MAX_ERROR_CHARS, NULL, Outcome, Verdict
from core.policy.backoff import retry_delay_s
from core.policy.rng import Rng

_SUCCEEDED = Verdict.SUCCEEDED  # a member of an enumeration is slow to find, and this is for every task


def ending(job: Job, result: Result, now: Now, rng: Rng) -> Ending:
    """Success ends the task; a failure is retried after a backoff until the attempts are used up.

    Executions that ended with their worker (`losses`) are not charged as attempts.
    """
    key, token, marker = job
    worker = intern(key[len(keys.RUN) : key.find("/", len(keys.RUN))])  # outcomes are kept, and workers are few
    offset = now.wall - now.mono
    attempt, losses = marker.attempt, marker.losses
    started, finished = result.started_mono + offset, result.finished_mono + offset
    if result.error is None:
        outcome = Outcome(_SUCCEEDED, result.result, "", attempt, losses, worker, token, started, finished)
        return Ending(job, outcome)
    failures = attempt - losses
    error = result.error[:MAX_ERROR_CHARS]
    if failures < marker.spec.max_attempts:
        return Ending(job, None, retry_at=now.wall + retry_delay_s(marker.spec, failures, rng), error=error)
    return Ending(job, Outcome(Verdict.FAILED, NULL, error, attempt, losses, worker, token, started, finished))
