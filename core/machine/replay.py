"""Recordings of a machine, and the proof that it is the same code in both worlds.

A recording is a header line and a line for each step: (event, now, commands), as JSON. Replaying one, from either
world, through a fresh machine must give the same commands, byte for byte.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from core.machine import messages
from core.machine.api import Machine
from core.machine.client import ClientMachine
from core.machine.messages import Message, Now
from core.machine.scheduler import SchedulerMachine
from core.machine.worker import WorkerMachine
from core.model import SchedulerRecord, WorkerRecord
from core.settings import ClientSettings, SchedulerSettings, WorkerSettings


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The header: how to build the machine again."""

    machine: Literal["scheduler", "worker", "client"]
    record: SchedulerRecord | WorkerRecord | None = None
    settings: dict[str, object]
    seed: int = 0
    trace: bool = False


class Mismatch(msgspec.Struct, frozen=True):
    """The first step (from 1) whose replay gave other commands."""

    step: int
    event: str
    recorded: str
    replayed: str


class _Step(msgspec.Struct, frozen=True, array_like=True):
    event: msgspec.Raw
    now: Now
    commands: msgspec.Raw


_encoder = msgspec.json.Encoder()
_header = msgspec.json.Decoder(Recording)
_step = msgspec.json.Decoder(_Step)
_event = msgspec.json.Decoder(
    messages.Started
    | messages.Timer
    | messages.Drain
    | messages.Registered
    | messages.LeaseRenewed
    | messages.LeaseLost
    | messages.Changes
    | messages.WatchLost
    | messages.Failed
    | messages.Loaded
    | messages.PageLoaded
    | messages.AssignDone
    | messages.RequeueDone
    | messages.PromoteDone
    | messages.Reconciled
    | messages.RunsListed
    | messages.Finished
    | messages.CompleteDone
    | messages.HandedBack
    | messages.Submit
    | messages.Follow
    | messages.SubmitDone
    | messages.TasksFetched
    | messages.OutcomesFetched
)


def header(
    machine: Literal["scheduler", "worker", "client"],
    settings: SchedulerSettings | WorkerSettings | ClientSettings,
    record: SchedulerRecord | WorkerRecord | None = None,
    *,
    seed: int = 0,
    trace: bool = False,
) -> Recording:
    """The header of a recording."""
    return Recording(machine=machine, record=record, settings=msgspec.to_builtins(settings), seed=seed, trace=trace)


def header_line(recording: Recording) -> bytes:
    return _encoder.encode(recording) + b"\n"


def step_line(event: Message, now: Now, commands: Sequence[Message]) -> bytes:
    return _encoder.encode((event, now, commands)) + b"\n"


def decode_header(line: bytes) -> Recording:
    return _header.decode(line)


def decode_step(line: bytes) -> tuple[Message, Now]:
    """The event of a step and its moment."""
    step = _step.decode(line)
    return _event.decode(step.event), step.now


def build(recording: Recording) -> Machine:
    """A fresh machine as the header says."""
    rng = random.Random(recording.seed)
    if recording.machine == "scheduler":
        assert isinstance(recording.record, SchedulerRecord)
        settings = msgspec.convert(recording.settings, SchedulerSettings)
        return SchedulerMachine(recording.record, settings, trace=recording.trace)
    if recording.machine == "worker":
        assert isinstance(recording.record, WorkerRecord)
        return WorkerMachine(
            recording.record, msgspec.convert(recording.settings, WorkerSettings), rng, trace=recording.trace
        )
    return ClientMachine(msgspec.convert(recording.settings, ClientSettings), trace=recording.trace)


def replay(lines: Iterable[bytes]) -> tuple[int, Mismatch | None]:
    """Replay a recording: the number of steps, and the first mismatch if there is one.

    A last line that was cut (the process was killed) is left out.
    """
    source = iter(lines)
    machine = build(_header.decode(next(source)))
    steps = 0
    for steps, line in enumerate(source, 1):
        if not line.endswith(b"\n"):
            return steps - 1, None
        step = _step.decode(line)
        commands = _encoder.encode(list(machine.handle(_event.decode(step.event), step.now)))
        if commands != bytes(step.commands):
            event = bytes(step.event).decode()
            return steps, Mismatch(steps, event, bytes(step.commands).decode(), commands.decode())
    return steps, None
