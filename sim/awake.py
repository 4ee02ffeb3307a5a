"""What a process has done since it slept: its first step to another thread, and on the wire, is the dearest."""

from sim.parameters import Values


class Awake:
    """Of one process. Costs are CPU seconds."""

    __slots__ = ("_flush_s", "_heard", "_hop_cold_s", "_hop_s", "_hopped", "_sent")

    def __init__(self, values: Values) -> None:
        self._hop_s = values.slot_hop_s
        self._hop_cold_s = values.slot_cold_s
        self._flush_s = values.flush_s
        self._hopped = self._heard = self._sent = False

    def begin(self) -> None:
        """It slept until now."""
        self._hopped = self._heard = self._sent = False

    def hop(self, *, own: bool) -> tuple[float, float]:
        """To hand a job to another thread: what that costs, and what it costs more where the process is cold.

        Threads that take work of the process's own, and those that take messages, are not the same.
        """
        again = self._hopped if own else self._heard
        if own:
            self._hopped = True
        else:
            self._heard = True
        return self._hop_s, 0.0 if again else self._hop_cold_s

    def flush_s(self) -> float:
        """What a request that is sent now costs besides its own."""
        if self._sent:
            return 0.0
        self._sent = True
        return self._flush_s
