"""A scenario with a slow disk: where it is refused, and what a report makes of it."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from experiments import scenario
from experiments.deployed import DeployedWorld
from experiments.real import RealWorld
from experiments.world import ExperimentError
from reports import selection, tables_setting

SLOW = scenario.load("disk-slow", quick=True)


def test_an_etcd_that_is_not_ours_is_not_slowed() -> None:
    with pytest.raises(ExperimentError, match="leave out --etcd-endpoints"):
        RealWorld(SLOW, "127.0.0.1:1")
    with pytest.raises(ExperimentError, match=r"slows etcd's disk .* leave out --deployed"):
        DeployedWorld(SLOW, "127.0.0.1:1", "/tandem/")
    usual = msgspec.structs.replace(SLOW, topology=msgspec.structs.replace(SLOW.topology, etcd_flush_delay_s=0.0))
    RealWorld(usual, "127.0.0.1:1")
    DeployedWorld(usual, "127.0.0.1:1", "/tandem/")


def run(name: str, **facts: Any) -> Any:
    usual = {"faults": [], "changes": {}, "model": {}, "flush_delay_s": 0.0, "claims": (), "schedulers": 1}
    return SimpleNamespace(name=name, **(usual | facts))


def test_puts_on_a_slow_disk_say_nothing_of_the_machine() -> None:
    quick = run("quick", environments=[{"etcd": {"put_p50_ms": 1.0}}])
    slow = run("slow", environments=[{"etcd": {"put_p50_ms": 12.0}}], flush_delay_s=0.01)
    assert tables_setting.put_p50_ms([quick, slow]) == [1.0]


@pytest.mark.parametrize(("rates", "slower"), [((100.0, 95.0), False), ((100.0, 50.0), True), ((100.0,), False)])
def test_more_schedulers_are_a_negative_result_where_they_do_clearly_less(
    rates: tuple[float, ...], *, slower: bool
) -> None:
    def of(count: int, rate: float) -> Any:
        figure = SimpleNamespace(value=rate)
        return run(f"schedulers-{count}", claims=("SCA-2",), schedulers=count, get=lambda _world, _key: figure)

    scenarios = [of(count, rate) for count, rate in enumerate(rates, start=1)]
    runs: Any = SimpleNamespace(everything=lambda: scenarios)
    assert selection.slower_with_schedulers(runs) == slower
