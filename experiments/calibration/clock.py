"""CPU time of a process to the nanosecond: psutil's comes in hundredths of a second."""

import time


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of a process have used.

    Raises OSError where there is no such process. The clock's number is what clock_getcpuclockid(3) makes of a pid.
    """
    return time.clock_gettime((~pid << 3) | 2)
