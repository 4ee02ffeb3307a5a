"""What becomes of a finished execution."""

from core.machine.messages import Ending, Job, Now, Result
from core.model import MAX_ERROR_CHARS, Outcome, Verdict
from core.policy.backoff import retry_delay_s
from core.policy.rng import Rng


def ending(job: Job, result: Result, now: Now, rng: Rng) -> Ending:
    """Success ends the task; a failure is retried after a backoff until the attempts are used up.

    Executions that ended with their worker (`losses`) are not charged as attempts.
    """
    marker = job.marker
    worker = job.key.split("/", 2)[1]
    offset = now.wall - now.mono
    started_at, finished_at = result.started_mono + offset, result.finished_mono + offset
    if result.error is None:
        return Ending(
            job,
            Outcome(
                Verdict.SUCCEEDED,
                result.result,
                attempt=marker.attempt,
                losses=marker.losses,
                worker=worker,
                token=job.token,
                started_at=started_at,
                finished_at=finished_at,
            ),
        )
    failures = marker.attempt - marker.losses
    error = result.error[:MAX_ERROR_CHARS]
    if failures < marker.spec.max_attempts:
        return Ending(job, None, retry_at=now.wall + retry_delay_s(marker.spec, failures, rng), error=error)
    return Ending(
        job,
        Outcome(
            Verdict.FAILED,
            error=error,
            attempt=marker.attempt,
            losses=marker.losses,
            worker=worker,
            token=job.token,
            started_at=started_at,
            finished_at=finished_at,
        ),
    )
