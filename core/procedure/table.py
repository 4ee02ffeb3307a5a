"""Which procedure carries out which command."""

from collections.abc import Callable
from typing import Any

from core.machine import messages as m
from core.machine.messages import Failed, Message
from core.procedure import observe, recover
from core.procedure.assign import assign
from core.procedure.base import Procedure, RefusedError
from core.procedure.complete import complete
from core.procedure.submit import submit

_PROCEDURES: dict[type[Message], Callable[[Any], Procedure]] = {
    m.Register: observe.register,
    m.Unregister: observe.unregister,
    m.Announce: observe.announce,
    m.Load: observe.load,
    m.LoadPage: observe.load_page,
    m.Reconcile: observe.reconcile,
    m.ListRuns: observe.list_runs,
    m.FetchTasks: observe.fetch_tasks,
    m.FetchOutcomes: observe.fetch_outcomes,
    m.SubmitBatch: submit,
    m.Assign: assign,
    m.Complete: complete,
    m.Requeue: recover.requeue,
    m.HandBack: recover.hand_back,
    m.Promote: recover.promote,
}


def start(command: Message) -> Procedure | None:
    """The procedure for a command, None where the command is none of etcd's business.

    It returns the event for the machine; a refusal that no retry mends becomes `Failed`.
    """
    procedure = _PROCEDURES.get(type(command))
    return None if procedure is None else _guarded(command, procedure)


def _guarded(command: Message, procedure: Callable[[Any], Procedure]) -> Procedure:
    try:
        return (yield from procedure(command))
    except RefusedError as error:
        return Failed(type(command).__name__, str(error))
