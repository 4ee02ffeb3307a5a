"""Where to begin the search: the slots that queueing theory asks for, were slots all there is.

Poisson arrivals, n servers: a task waits with probability C (Erlang), and longer than t with probability
C exp(-(n mu - lambda) t / k), where k = (ca^2 + cs^2) / 2 corrects for service times that are not exponential
(Allen and Cunneen). That is a place to start from, nothing more: the model decides.
"""

import math

import numpy as np
from scipy.stats import poisson

from experiments.metrics import QUANTILES
from experiments.planning.question import Question
from experiments.planning.targets import UTILISATION, Target
from experiments.schema import ConstantRate
from experiments.workload import Floats

MAX_SLOTS = 100_000


def waiting_probability(slots: int, offered: float) -> float:
    """Erlang C: the share of tasks that find all slots busy; `offered` in Erlang. 1 where the slots do not suffice."""
    if offered <= 0.0:
        return 0.0
    if slots <= offered:
        return 1.0
    blocked = float(poisson.pmf(slots, offered) / poisson.cdf(slots, offered))
    return blocked / (1.0 - offered / slots * (1.0 - blocked))


def fewest_slots(question: Question) -> int:
    """The slot bound: with fewer the backlog grows for ever (or a utilisation asked for is exceeded)."""
    share = min((one.bound for one in question.targets if one.figure == UTILISATION), default=1.0)
    return max(math.floor(question.offered / share) + 1, 1)


def likely_slots(question: Question) -> int:
    """The slots with which Erlang's formula meets every latency asked for; at least the slot bound."""
    slots = fewest_slots(question)
    targets = [one for one in question.targets if one.is_latency]
    while slots < MAX_SLOTS and not all(_meets(question, slots, one) for one in targets):
        slots += max(slots // 50, 1)
    return slots


def _meets(question: Question, slots: int, target: Target) -> bool:
    service_s = question.service_s if target.stage == "total" else np.zeros(1)
    mean_s, service_cv = question.service_moments
    if mean_s <= 0.0:
        return True
    arrivals_cv2 = 0.0 if isinstance(question.arrivals, ConstantRate) else 1.0
    spread = max((arrivals_cv2 + service_cv**2) / 2, 1e-3)
    waits = waiting_probability(slots, question.offered)
    drain_per_s = (slots / mean_s - question.rate_per_s) / spread
    if target.statistic == "mean":
        return float(service_s.mean()) + waits / drain_per_s < target.bound
    return _exceeds(service_s, waits, drain_per_s, target.bound) < 1 - QUANTILES[target.statistic]


def _exceeds(service_s: Floats, waits: float, drain_per_s: float, bound_s: float) -> float:
    """Probability that wait + service > bound."""
    left_s = bound_s - service_s
    return float(np.where(left_s <= 0, 1.0, waits * np.exp(-drain_per_s * np.maximum(left_s, 0.0))).mean())
