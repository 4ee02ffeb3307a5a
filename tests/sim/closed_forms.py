"""Closed forms of queueing theory, from the library that has them, with this project's words and units.

Poisson arrivals at `rate_per_s`, service of `mean_s`, first come, first served. Waits are mean seconds in the queue.
"""

import heapq
import sys
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rv_continuous

_PATH = sys.path.copy()
with warnings.catch_warnings():
    # Its import warns of its own use of numpy.matlib, puts its folder on the path (where its `core` would stand beside
    # ours), and widens the tables of pandas: all of that is undone.
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    from line_solver.api.qsys import qsys_mg1, qsys_mm1, qsys_mmk, qsys_tandem_lindley
    from line_solver.api.qsys.mdc_crommelin import qsys_mdc_crommelin
sys.path[:] = _PATH
for _option in ("display.max_rows", "display.max_columns", "display.precision"):
    pd.reset_option(_option)


def mm1_wait_s(rate_per_s: float, mean_s: float) -> float:
    return float(qsys_mm1(rate_per_s, 1 / mean_s)["Wq"])


def mm1_sojourn_s(rate_per_s: float, mean_s: float) -> float:
    return float(qsys_mm1(rate_per_s, 1 / mean_s)["W"])


def mmc_wait_s(servers: int, rate_per_s: float, mean_s: float) -> float:
    """Erlang's C formula."""
    return float(qsys_mmk(rate_per_s, 1 / mean_s, servers)["Wq"])


def mg1_wait_s(rate_per_s: float, mean_s: float, variation: float) -> float:
    """Pollaczek and Khinchine. `variation`: standard deviation / mean of the service."""
    return float(qsys_mg1(rate_per_s, 1 / mean_s, variation)["Wq"])


def mdc_wait_s(servers: int, rate_per_s: float, service_s: float) -> float:
    """Crommelin."""
    return float(qsys_mdc_crommelin(rate_per_s, service_s, servers)["mean_waiting_time"])


def lindley_waits_s(arrivals_s: NDArray[np.float64], service_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The wait of each customer of one server with just these arrivals and services, whatever their distribution."""
    gaps_s = np.append(np.diff(arrivals_s), 0.0)
    waits: NDArray[np.float64] = qsys_tandem_lindley(gaps_s, service_s.reshape(-1, 1))["W"][:, 0]
    return waits


def one_queue_waits_s(servers: int, arrivals_s: Iterable[float], service_s: Iterable[float]) -> NDArray[np.float64]:
    """The same before several servers (Kiefer and Wolfowitz): whoever comes next gets the one that is free first."""
    free_at, waits = [0.0] * servers, []
    for arrived, lasts in zip(arrivals_s, service_s, strict=True):
        started = max(arrived, free_at[0])
        heapq.heapreplace(free_at, started + lasts)
        waits.append(started - arrived)
    return np.array(waits)


def mean_ticks(service: rv_continuous, added_s: float, tick_s: float) -> float:
    """Mean of ceil((S + `added_s`) / `tick_s`) for a random S: the sum of P(it is more than k)."""
    steps = np.arange(0.0, service.ppf(1 - 1e-12) / tick_s + 2.0)
    return float(np.sum(service.sf(steps * tick_s - added_s)))
