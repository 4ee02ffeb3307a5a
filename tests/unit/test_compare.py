"""Comparing runs: known differences are found, none is invented, and what cannot be compared is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments import cli, compare, metrics
from experiments.compare import Change
from experiments.scenario import ScenarioError

SCENARIO = """
name = "{name}"
[workload]
count = {count}
arrivals = {{process = "burst"}}
[measure]
seed = {seed}
"""


def run(root: Path, name: str, rates: list[float], *, seed: int = 1, count: int = 10, world: str = "real") -> Path:
    folder = root / name
    text = SCENARIO.format(name=name, count=count, seed=seed)
    for number, rate in enumerate(rates):
        one = {"throughput_per_s": rate, "latency_s": {"total": {"p50": 1 / rate}}, "lost": 0, "failed": 0}
        metrics.write({world: metrics.summarise([one])}, folder / world / str(number) / "metrics.json")
        (folder / world / str(number) / "scenario.toml").write_text(text)
    (folder / "scenario.toml").write_text(text)
    metrics.write({world: {}}, folder / "metrics.json")
    return folder


def changes(a: Path, b: Path, **how: Any) -> dict[str, Change]:
    (found,) = compare.folders(a, b, "real", **how)
    return {each.figure: each for each in found.changes}


def test_a_difference_beyond_the_noise_is_found_with_its_size(tmp_path: Path) -> None:
    a = run(tmp_path, "a", [100, 102, 98, 101, 99])
    b = run(tmp_path, "b", [120, 122, 118, 121, 119])
    found = changes(a, b)["throughput_per_s"]
    assert (found.a, found.b, found.judgement) == (100, 120, "more")
    assert found.change == pytest.approx(0.2)
    assert found.low is not None
    assert found.high is not None
    assert 0.15 < found.low <= 0.2 <= found.high < 0.25
    assert changes(b, a)["throughput_per_s"].judgement == "less"


def test_noise_is_no_difference(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a", [100, 120, 80, 110, 90]), run(tmp_path, "b", [101, 85, 118, 92, 109], seed=2)
    assert changes(a, b)["throughput_per_s"].judgement == "no significant difference"


def test_pairs_see_what_the_luck_of_the_draw_hides(tmp_path: Path) -> None:
    draws = [50.0, 150.0, 80.0, 120.0, 100.0]
    a, better = run(tmp_path, "a", draws), [1.05 * rate for rate in draws]
    paired = changes(a, run(tmp_path, "same", better))["throughput_per_s"]
    assert (paired.paired, paired.judgement) == (True, "more")
    assert [paired.low, paired.high] == pytest.approx([0.05, 0.05])
    other = changes(a, run(tmp_path, "others", better, seed=2))["throughput_per_s"]
    assert (other.paired, other.judgement) == (False, "no significant difference")
    fewer = changes(a, run(tmp_path, "fewer", better[:4]))["throughput_per_s"]
    assert (fewer.paired, fewer.n_a, fewer.n_b) == (False, 5, 4)
    larger = changes(a, run(tmp_path, "larger", better, count=20))["throughput_per_s"]
    assert larger.paired is False


@pytest.mark.parametrize("n", [1, 2])
def test_few_repetitions_allow_no_judgement(tmp_path: Path, n: int) -> None:
    found = changes(run(tmp_path, "a", [100.0] * n), run(tmp_path, "b", [200.0] * n))["throughput_per_s"]
    assert (found.low, found.high, found.judgement) == (None, None, "too few repetitions")
    assert found.change == pytest.approx(1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        bounds = compare.interval(rng.normal(100, 5, 20), rng.normal(110, 5, 20), paired=False)
        assert bounds is not None
        hits += bounds[0] <= 0.1 <= bounds[1]
    assert 50 <= hits <= 60


def test_equal_runs_do_not_differ_and_zeros_divide_nothing(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a", [100.0] * 3), run(tmp_path, "b", [100.0] * 3)
    found = changes(a, b)
    assert {each.judgement for each in found.values()} == {"the same"}
    assert found["lost"].change is None
    assert "failed" not in found
    assert "failed" in changes(a, b, everything=True)


def test_folders_of_runs_are_compared_by_name(tmp_path: Path) -> None:
    for side in ("one", "two"):
        for name in ("x", "y"):
            run(tmp_path / side, name, [100.0, 101.0, 99.0])
    run(tmp_path / "one", "only-here", [1.0])
    found = compare.folders(tmp_path / "one", tmp_path / "two", "real")
    assert [Path(each.a).name for each in found] == ["x", "y"]


def test_mistakes_get_a_sentence(tmp_path: Path) -> None:
    single, several, model = (
        run(tmp_path, "a", [1.0]),
        tmp_path / "many",
        run(tmp_path / "sims", "a", [1.0], world="sim"),
    )
    run(several, "b", [1.0])
    for a, b, said in (
        (single, tmp_path / "nowhere", "there is no folder"),
        (single, several, "is one scenario and"),
        (several, tmp_path / "sims", "no scenario in common"),
        (single, model, "has no finished real repetitions"),
        (tmp_path / "many" / "b" / "real", single, "holds no finished runs"),
    ):
        with pytest.raises(ScenarioError, match=said):
            compare.folders(a, b, "real")
    (single / "real" / "0" / "metrics.json").write_text("{")
    with pytest.raises(ScenarioError, match="a repetition cannot be read"):
        compare.folders(single, run(tmp_path, "b", [1.0]), "real")


def test_the_command_shows_a_table_and_writes_json(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a", [100, 102, 98]), run(tmp_path, "b", [120, 122, 118])
    arguments = ["compare", str(a), str(b), "--json", str(tmp_path / "out.json")]
    done = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    assert "+20.0 %" in done.output
    assert "in pairs: the same loads" in done.output
    (written,) = json.loads((tmp_path / "out.json").read_text())
    assert written["changes"][0]["judgement"] == "more"
    wrong = CliRunner().invoke(cli.app, ["compare", str(a), str(tmp_path / "nowhere")])
    assert (wrong.exit_code, wrong.output) == (2, f"tandem-bench: there is no folder {tmp_path / 'nowhere'}\n")
