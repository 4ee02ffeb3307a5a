"""Many tasks at once: how the queue grows and drains. Run it: `python -m experiments.burst --quick`."""

from experiments.suite_console import script

if __name__ == "__main__":
    script("experiments.burst", ("burst",), "Many tasks at once: how the queue grows and drains.")()
