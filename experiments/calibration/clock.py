"""CPU time of a process to the nanosecond: psutil's comes in hundredths of a second. And what others took."""

import time

import psutil


def stolen_s() -> float:
    """CPU seconds since boot that a hypervisor gave to other machines while this one had work, in hundredths.

    0 where the system does not tell.
    """
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of a process have used.

    Raises OSError where there is no such process. The clock's number is what clock_getcpuclockid(3) makes of a pid.
    """
    return time.clock_gettime((~pid << 3) | 2)
