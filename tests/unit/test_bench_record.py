"""`make bench-record`: what it refuses before it measures, and what it writes."""

from pathlib import Path

import pytest

from experiments import baseline
from tests.bench import record
from tests.bench.figures import BACKLOG_RATIOS, RATIOS


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is written, in place of the committed one."""
    monkeypatch.setattr(record, "BASELINE", tmp_path / "baseline.toml")
    return tmp_path / "baseline.toml"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """In place of the suite, which takes minutes; holds for each run whether it had the long backlog."""
    seen: list[bool] = []

    def run(_: Path, *, backlog: bool) -> dict[str, float]:
        seen.append(backlog)
        return {name: 1.0 + len(seen) for name in RATIOS if backlog or name not in BACKLOG_RATIOS}

    monkeypatch.setattr(record, "_run", run)
    return seen


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["bench-record", *arguments])
    return record.main()


def test_it_records_each_ratio_and_runs_the_long_backlog_once(
    path: Path, runs: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(monkeypatch, "--reason", 'it\'s "quoted"', "--runs", "3") == 0
    assert runs == [True, False, False]
    found = baseline.read(path)
    assert {name: one.n for name, one in found.ratios.items()} == {
        name: 1 if name in BACKLOG_RATIOS else 3 for name in RATIOS
    }
    assert found.ratios["burst_over_puts"].mean == 3.0
    assert found.ratios["burst_over_puts"].reason == 'it\'s "quoted"'
    assert found.machine["cores"]


def test_only_renews_what_is_named(path: Path, runs: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(monkeypatch, "--reason", "first", "--runs", "1") == 0
    assert main(monkeypatch, "--reason", "second", "--runs", "1", "--only", "slot_efficiency") == 0
    reasons = {name: one.reason for name, one in baseline.read(path).ratios.items()}
    assert reasons == {name: "second" if name == "slot_efficiency" else "first" for name in RATIOS}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs its reason"),
        (("--reason", " "), "needs its reason"),
        (("--reason", "x", "--only", "nonsense"), "there is no ratio nonsense"),
        (("--reason", "x", "--runs", "0"), "--runs must be at least 1"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(
    path: Path,
    runs: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    assert main(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not runs
    assert not path.exists()


def test_a_broken_file_is_not_overwritten(
    path: Path, runs: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("xx")
    assert main(monkeypatch, "--reason", "x") == 2
    assert "is not usable" in capsys.readouterr().err
    assert path.read_text() == "xx"
    assert not runs
