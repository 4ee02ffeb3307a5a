"""What a machine is, for the two drivers that run one (`core.runtime.driver`, `sim.driver`)."""

from collections.abc import Sequence
from typing import Protocol

from core.machine.messages import Message, Now


class Machine(Protocol):
    """Long-lived reactive state. No clock, no lock, no I/O, no global randomness."""

    def handle(self, event: Message, now: Now) -> Sequence[Message]:
        """Take in one event, return the commands that follow from it, in order.

        `now` never goes back between calls.
        """
        ...

    def next_deadline(self) -> float | None:
        """The monotonic time at which the driver must send `Timer`, None where nothing is pending."""
        ...

    def validate(self) -> None:
        """Check the invariants; raises AssertionError. Tests call it after every step."""
        ...
