"""CPU time of processes: of one to the nanosecond (psutil's comes in hundredths of a second), or of all of ours."""

import time

import psutil


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of a process have used.

    Raises OSError where there is no such process. The clock's number is what clock_getcpuclockid(3) makes of a pid.
    """
    return time.clock_gettime((~pid << 3) | 2)


def own_cpu_s() -> float:
    """CPU time of this process and everything it has started and starts."""
    times = psutil.Process().cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in psutil.Process().children(recursive=True):
        try:
            one = child.cpu_times()
        except psutil.Error:
            continue
        total += one.user + one.system
    return float(total)
