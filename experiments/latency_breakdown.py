"""Where the time of a task goes, by watch and by polling. Run it: `python -m experiments.latency_breakdown --quick`."""

from experiments.suite import script

SCENARIOS = ("latency-watch", "latency-poll")

if __name__ == "__main__":
    script("experiments.latency_breakdown", SCENARIOS, "Where the time of a task goes, by watch and by polling.")()
