"""Bands around recorded errors, and the validated region: what they say, how they are kept."""

import datetime as dt
from pathlib import Path

import pytest

from experiments.validation import bands, command, region
from experiments.validation.bands import Band, Bands, Recorded
from experiments.validation.catalogue import cases
from experiments.validation.region import Point, Region

TODAY = dt.date(2026, 11, 24)
# --- bands and region --------------------------------------------------------------------------------------------


def recorded(**figures: Band) -> dict[str, Recorded]:
    return {"idle": Recorded(TODAY, "why", 10, figures)}


@pytest.mark.parametrize(
    ("band", "measured", "verdict"),
    [
        (Band(0.10, 0.0, 0.05), 0.14, "within"),
        (Band(0.10, 0.0, 0.05), 0.16, "beyond"),
        (Band(0.10, 0.0, 0.05), 0.01, "better"),
        (Band(0.10, 0.0, 0.05), -0.09, "better"),
        (Band(0.10, 0.0, 0.05), -0.11, "beyond"),
        (Band(-0.10, 0.0, 0.05), -0.16, "beyond"),
        (Band(0.10, 0.03, 0.05), 0.18, "within"),  # three deviations
        (Band(0.10, 0.03, 0.05), 0.20, "beyond"),
    ],
)
def test_an_error_may_move_so_far(band: Band, measured: float, verdict: str) -> None:
    (finding,) = bands.judge(recorded(makespan_s=band), {"idle": {"makespan_s": measured}})
    assert finding.verdict == verdict
    assert f"{measured:+.1%}" in str(finding)


def test_what_has_no_band_or_no_error_is_told() -> None:
    known = recorded(gone=Band(0.0, 0.0, 0.1))
    findings = bands.judge(known, {"idle": {"new": 0.5}, "burst-none": {"new": 0.5}})
    told = [(one.scenario, one.figure, one.verdict) for one in findings]
    assert told == [
        ("idle", "gone", "not measured"),
        ("idle", "new", "not recorded"),
        ("burst-none", "new", "not recorded"),
    ]
    assert len(command.told(findings)[0]) == 1


def test_bands_are_read_as_they_were_written_and_keep_edited_margins(tmp_path: Path) -> None:
    path = tmp_path / "bands.toml"
    reason = 'a "reason" with \\ and é'
    first = Recorded(TODAY, reason, 10, {"w1.slot_wait": Band(-0.123456, 0.0, 0.1)})
    bands.write(Bands(full={"idle": first}), path)
    again = bands.read(path)
    assert again.full["idle"].reason == reason
    assert again.full["idle"].figures["w1.slot_wait"] == Band(-0.1235, 0.0, 0.1)
    edited = path.read_text().replace("margin = 0.1", "margin = 0.4")
    path.write_text(edited)
    new = recorded(**{"w1.slot_wait": Band(0.2, 0.01, 0.1), "other": Band(0.3, 0.01, 0.1)})
    renewed = bands.renew(bands.read(path), "full", new)
    assert renewed.full["idle"].figures == {"w1.slot_wait": Band(0.2, 0.01, 0.4), "other": Band(0.3, 0.01, 0.1)}
    assert renewed.quick == {}


def test_files_that_cannot_be_used_are_told_in_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("[full.idle]\nn = 0\n")
    with pytest.raises(ValueError, match=r"bands .*broken are not usable"):
        bands.read(broken)
    with pytest.raises(ValueError, match=r"region .*broken is not usable"):
        region.load_region(broken)
    assert bands.read(tmp_path / "none") == Bands()
    assert region.load_region(tmp_path / "none") == Region()


def test_the_region_is_read_as_it_was_written(tmp_path: Path) -> None:
    point = Point(
        scenario="idle",
        dispatch="watch",
        schedulers=1,
        workers=3,
        slots=10,
        etcd_members=1,
        arrivals="poisson",
        rate_per_s=20.0,
        utilisation=0.1,
        service_mean_s=0.01,
        service_cv=0.0,
        errors={"makespan_s": -0.01},
        missed=("w1.pull",),
    )
    whole = Region(TODAY, "why", {"cores": 2}, (point,))
    region.save_region(whole, tmp_path / "region.json")
    assert region.load_region(tmp_path / "region.json") == whole


def test_the_files_that_come_with_tandem_can_be_read() -> None:
    known = {case.name for case in (*cases(), *cases(stress=True))}
    assert {*bands.read().full, *bands.read().quick} <= known
    assert {one.scenario for one in region.load_region().points} <= known
