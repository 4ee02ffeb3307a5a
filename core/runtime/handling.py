"""Calls a handler; whatever it does, there is a result that etcd can store."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from core.handlers import Handlers, Task
from core.machine.messages import Job
from core.model import MAX_PAYLOAD_BYTES, NULL
from core.policy.pace import Pace

log = logging.getLogger("tandem")

_NONE = Raw(b"null")  # not `NULL`: a default is left out of a record by identity, which a replay could not repeat

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Kind:
    """The handler of one type (None: there is none), and how long it takes."""

    __slots__ = ("_function", "_takes_task", "pace")

    def __init__(self, function: Callable[..., Any] | None, *, takes_task: bool = False) -> None:
        self._function = function
        self._takes_task = takes_task
        self.pace = Pace()

    def call(self, job: Job) -> tuple[Raw, str | None]:
        """Result and error of one execution; never raises."""
        marker = job.marker
        spec = marker.spec
        function = self._function
        if function is None:
            return NULL, f"this worker has no handler for {spec.type!r}"
        try:
            payload = None if spec.payload is NULL else _decode(spec.payload)
            if self._takes_task:
                value = function(payload, Task(spec.id, spec.type, spec.queue, marker.attempt, job.token))
            else:
                value = function(payload)
        except BaseException as error:
            log.info("task %s (%s), attempt %d failed: %s", spec.id, spec.type, marker.attempt, _sentence(error))
            log.debug("where it failed", exc_info=error)  # with --verbose
            return NULL, _sentence(error)
        return (_NONE, None) if value is None else _encoded(value)


class Kinds(dict[str, Kind]):
    """By type, as they are asked for; `get` gives only those that have been. Types without a handler are not kept."""

    def __init__(self, handlers: Handlers) -> None:
        super().__init__()
        self._handlers = handlers

    def __missing__(self, name: str) -> Kind:
        found = self._handlers.find(name)
        if found is None:
            return Kind(None)
        return self.setdefault(name, Kind(found[0], takes_task=found[1]))


def _encoded(value: object) -> tuple[Raw, str | None]:
    try:
        encoded = _encode(value)
    except Exception as error:  # noqa: BLE001 - a user's object decides what encoding it raises
        return NULL, f"the handler's return value is not JSON: {_sentence(error)}"
    if len(encoded) > MAX_PAYLOAD_BYTES:
        return NULL, f"the handler's return value is {len(encoded)} bytes of JSON; {MAX_PAYLOAD_BYTES} are allowed"
    return Raw(encoded), None


def _sentence(error: BaseException) -> str:
    """Type and text of a user's exception. Its text may fail, or hold what no JSON can (names of odd files)."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001
        text = "(its text cannot be shown)"
    return f"{type(error).__name__}: {text}".encode(errors="replace").decode()
