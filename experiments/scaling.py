"""Throughput against the number of workers, by watch and by polling: `python -m experiments.scaling --quick`."""

from experiments.suite_console import script

if __name__ == "__main__":
    script(
        "experiments.scaling", ("scaling-", "knee-"), "Throughput against the number of workers, by watch and polling."
    )()
