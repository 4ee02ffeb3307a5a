"""Specifications of tasks, checked."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw
from uuid_utils import uuid7

from core.kv import keys
from core.kv.keys import check_name
from core.model import DEFAULT_PRIORITY, MAX_PAYLOAD_BYTES, NULL, PRIORITIES, TaskSpec
from core.runtime.clock import now


def make_spec(
    type: str,  # noqa: A002 - the field's word
    payload: object = None,
    *,
    queue: str = "default",
    priority: int = DEFAULT_PRIORITY,
    max_attempts: int = 3,
) -> TaskSpec:
    """A specification with a fresh, time-ordered id.

    Raises ValueError with a sentence for the user.
    """
    return make_specs(type, [payload], queue=queue, priority=priority, max_attempts=max_attempts)[0]


def make_specs(
    type: str,  # noqa: A002 - the field's word
    payloads: Iterable[object],
    *,
    queue: str = "default",
    priority: int = DEFAULT_PRIORITY,
    max_attempts: int = 3,
    mailbox: str = "",
) -> list[TaskSpec]:
    """A specification for each payload, in `mailbox` (eight hexadecimal digits) or in one each.

    Raises ValueError with a sentence for the user.
    """
    _check(type, queue, priority, max_attempts)
    submitted_at, kept = now().wall, -len(mailbox) or None
    return [
        TaskSpec(
            uuid7().hex[:kept] + mailbox,
            type,
            queue,
            NULL if payload is None else encode_payload(payload),
            priority,
            max_attempts,
            submitted_at=submitted_at,
        )
        for payload in payloads
    ]


def check_spec(spec: TaskSpec) -> None:
    """Raises ValueError with a sentence for the user."""
    _check(spec.type, spec.queue, spec.priority, spec.max_attempts)
    if not keys.is_task_id(spec.id):
        raise ValueError(f"task id {spec.id!r} is not 32 lower-case hexadecimal digits")


def _check(kind: str, queue: str, priority: int, max_attempts: int) -> None:
    check_name("task type", kind)
    check_name("queue", queue)
    if priority not in PRIORITIES:
        raise ValueError(f"priority {priority} is not one of 0 (first) to {PRIORITIES[-1]} (last)")
    if max_attempts < 1:
        raise ValueError(f"max_attempts must be at least 1, not {max_attempts}")


def encode_payload(payload: object) -> Raw:
    """Raises ValueError where the payload is not JSON or too large."""
    if payload is None:
        return NULL
    try:
        if isinstance(payload, Raw):
            msgspec.json.decode(payload)  # a record that holds something else could never be read again
            encoded = payload
        else:
            encoded = Raw(msgspec.json.encode(payload))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"the payload is not JSON: {error}") from error
    size = len(encoded)
    if size > MAX_PAYLOAD_BYTES:
        raise ValueError(
            f"the payload is {size} bytes of JSON, {MAX_PAYLOAD_BYTES} are allowed: "
            "put the data elsewhere and pass its address"
        )
    return encoded
