"""Many tasks at once: how the queue grows and drains. Run it: `python -m experiments.burst --quick`."""

from experiments.suite import script

SCENARIOS = ("burst", "burst-short")

if __name__ == "__main__":
    script("experiments.burst", SCENARIOS, "Many tasks at once: how the queue grows and drains.")()
