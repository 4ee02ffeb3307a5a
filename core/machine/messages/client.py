"""Events and commands of the client's machine."""

from core.machine.messages.common import Message
from core.model import Outcome, TaskSpec


class Submit(Message, frozen=True):
    """Event: the user wants these tasks. The specs carry ids already, so a repeated submit is harmless.

    `follow`: the outcomes are wanted too. `called_mono`: when the user called.
    """

    specs: tuple[TaskSpec, ...]
    called_mono: float
    follow: bool = False


class Follow(Message, frozen=True):
    """Event: the user waits for the outcome of these ids."""

    ids: tuple[str, ...]


class SubmitBatch(Message, frozen=True):
    """Call: write these tasks, in one transaction."""

    batch: int
    specs: tuple[TaskSpec, ...]


class SubmitDone(Message, frozen=True):
    """Indices into the specs: `accepted` (now or before), or in `conflicts` (the id exists with another spec)."""

    batch: int
    accepted: tuple[int, ...]
    conflicts: tuple[int, ...]
    refused: str = ""
    """Where not empty, etcd refused, for this reason, what is in neither list."""
    existing: tuple[int, ...] = ()
    """Those of the accepted that stood there before: they may have ended already."""


class FetchOutcomes(Message, frozen=True):
    """Call: how these tasks have ended, as far as they have."""

    ids: tuple[str, ...]


class OutcomesFetched(Message, frozen=True):
    """`outcomes`: of those that have ended. `missing`: no such task. The client watches from `revision` + 1 on."""

    outcomes: tuple[tuple[str, Outcome], ...]
    missing: tuple[str, ...]
    revision: int


class Acknowledge(Message, frozen=True):
    """Tell the user: these ids are durably submitted; those in `failed` are not, for a reason."""

    ids: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()


class Deliver(Message, frozen=True):
    """Tell the user: these tasks have ended. None: there is no such task."""

    outcomes: tuple[tuple[str, Outcome | None], ...]
