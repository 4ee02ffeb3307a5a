"""Throughput against the number of workers, by watch and by polling: `python -m experiments.scaling --quick`."""

from experiments.suite import script

WATCH = ("scaling-1", "scaling-3", "scaling-5", "scaling-10")
POLL = ("scaling-poll-095-rate", "scaling-poll-100-rate", "scaling-poll-105-rate", "scaling-poll-100-delay")
POLL_MORE = ("scaling-poll-095-delay", "scaling-poll-105-delay", "scaling-1-poll", "scaling-5-poll", "scaling-10-poll")
"""Left out of the quick report: the model shows them, and they take a minute."""

SCENARIOS = (*WATCH, *POLL, *POLL_MORE)

if __name__ == "__main__":
    script("experiments.scaling", SCENARIOS, "Throughput against the number of workers, by watch and by polling.")()
