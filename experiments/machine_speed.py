"""The model's parameters at the speed of this machine, for every command that compares the model with the real system.

The costs in the profile that comes with Tandem are those of the machine that it was measured on. Others are twice as
fast or half so fast, and one machine is not the same every hour. So where both worlds run here, and nobody has named a
profile, a few costs are measured first and the profile is scaled by them (`experiments.calibration.scaling`):

    a set of scenarios    in 20 s, once for all of them     ROOT/profile.json, kept for what is run there later
    a single run          in 4 s                            DIR/profile.json, where the speed differs
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments import calibrate
from experiments.calibration.scaling import ALIKE
from experiments.run import PROFILE, MakeWorld
from experiments.schema import Scenario
from experiments.simulated import SimulatedWorld
from experiments.validation.show import progress
from experiments.world import World, WorldName
from sim.parameters import save


def compared(worlds: Sequence[WorldName], endpoints: str | None, profile: Path | None) -> bool:
    """Whether the model is to be brought to this machine's speed: not for somebody else's etcd."""
    return profile is None and endpoints is None and {"real", "sim"} <= set(worlds)


def profile_for(root: Path, worlds: Sequence[WorldName], endpoints: str | None, profile: Path | None) -> Path | None:
    """The parameters' file for a set of scenarios in `root`; None: the one that comes with Tandem.

    One of this machine's speed need not be there yet: `measure` it before the first run.
    """
    return root / PROFILE if compared(worlds, endpoints, profile) else profile


def measure(root: Path, profile: Path | None, *, anew: bool = False) -> None:
    """Write the parameters at this machine's speed, if that is what `profile` is to be and they are not there yet.

    Raises ExperimentError, OSError.
    """
    if profile == root / PROFILE and (anew or not profile.is_file()):
        with progress("this machine's speed") as on_step:
            found = calibrate.run_scaled(profile, allow_known_bad=True, on_step=on_step)
        for line in calibrate.advice(found):
            Console(stderr=True).print(line, highlight=False, soft_wrap=True)


def model_at_speed(out: Path) -> MakeWorld:
    """The model for a single run in `out`: the machine's speed is measured when it is made."""

    def make(one: Scenario) -> World:
        profile = calibrate.scaled_in_brief()
        factors = profile.about["scaled"]
        if all(1 / ALIKE <= factors[name] <= ALIKE for name in ("python", "etcd", "disk")):
            return SimulatedWorld(one)
        save(profile, out / PROFILE)
        return SimulatedWorld(one, out / PROFILE)

    return make
