"""The lease of a component: part of the scheduler's and of the worker's machine.

A component's id lives exactly as long as one lease. When the lease is lost, the component registers again and is
somebody new; what it did under the old id is settled by compares.
"""

from core.machine.messages import LeaseLost, LeaseRenewed, Message, Now, Register, Registered
from core.model import SchedulerRecord, WorkerRecord


class Registration:
    """`id` is None while there is none. `asked`: a lease may have been granted that we don't know yet."""

    def __init__(self, record: WorkerRecord | SchedulerRecord, ttl_s: float) -> None:
        self.record = record
        self.ttl_s = ttl_s
        self.id: str | None = None
        self.lease = 0
        self.asked = False
        self._asked_mono = 0.0
        self._expires_mono = 0.0

    def start(self, now: Now) -> list[Message]:
        self.id = None
        self.asked = True
        self._asked_mono = now.mono
        return [Register(self.record, self.ttl_s)]

    def registered(self, event: Registered) -> None:
        self.id, self.lease = event.id, event.lease
        self.asked = False
        self._expires_mono = self._asked_mono + event.ttl_s  # it cannot have been granted before we asked

    def renewed(self, event: LeaseRenewed) -> None:
        if event.lease == self.lease:
            self._expires_mono = max(self._expires_mono, event.expires_mono)

    def lost(self, event: LeaseLost) -> bool:
        """True if it is the lease in use, which then is none any more; call `start` for another."""
        if self.id is None or event.lease != self.lease:
            return False
        self.id = None
        return True

    def holds(self, now: Now) -> bool:
        """Whether the lease is certainly alive by this process's own clock."""
        return self.id is not None and now.mono < self._expires_mono
