"""Profiles: what a file may say, and that the one which comes with the model is whole."""

from pathlib import Path

import msgspec
import pytest

from sim import parameters
from sim.parameters import Parameter, Profile, Values


def test_the_reference_profile_names_a_source_for_every_number() -> None:
    profile = parameters.load()
    assert isinstance(profile.values(), Values)
    assert profile.about["etcd"]["version"]
    for name, parameter in profile.parameters.items():
        assert parameter.source, name
        assert parameter.when, name


def test_an_unknown_parameter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    parameters.save(Profile(about={}, parameters={"etcd_fsnyc_s": Parameter(0.1, "s", "typo", "now")}), path)
    with pytest.raises(ValueError, match="etcd_fsnyc_s"):
        parameters.load(path)


def test_missing_and_broken_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        parameters.load(tmp_path / "none.json")
    (tmp_path / "broken.json").write_bytes(b"{")
    with pytest.raises(ValueError, match=r"broken\.json"):
        parameters.load(tmp_path / "broken.json")


def test_what_a_profile_leaves_out_keeps_its_default() -> None:
    profile = Profile(about={}, parameters={"cores": Parameter(8.0, "", "this test", "now")})
    assert profile.values() == msgspec.structs.replace(Values(), cores=8)
