"""Where the time of a task goes, by watch and by polling. Run it: `python -m experiments.latency_breakdown --quick`."""

from experiments.suite_console import script

if __name__ == "__main__":
    script("experiments.latency_breakdown", ("latency-",), "Where the time of a task goes, by watch and by polling.")()
