"""The compose files keep the rules that `up --scale`, a busy queue and a crash need. No engine takes part."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.etcd.binary import known_bad
from core.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker-compose.cluster.yml")
COMPONENTS = {
    "docker-compose.yml": {"scheduler", "worker-1", "worker-2", "worker-3", "client"},
    "docker-compose.cluster.yml": {"scheduler-1", "scheduler-2", "worker-1", "worker-2", "worker-3", "client"},
}
MEMBERS = {"docker-compose.yml": {"etcd"}, "docker-compose.cluster.yml": {"etcd-1", "etcd-2", "etcd-3"}}

Service = dict[str, Any]


def services(name: str) -> dict[str, Service]:
    document = yaml.safe_load((ROOT / name).read_text())
    found: dict[str, Service] = document["services"]
    return found


def members(name: str) -> list[Service]:
    return [service for key, service in services(name).items() if key.startswith("etcd")]


def setting(service: Service, flag: str) -> str | None:
    """A setting of etcd, from the command line or the environment."""
    for word in service["command"]:
        if word.startswith(f"--{flag}="):
            return str(word.partition("=")[2])
    value = service["environment"].get("ETCD_" + flag.upper().replace("-", "_"))
    return None if value is None else str(value)


@pytest.mark.parametrize("name", FILES)
def test_both_composes_can_read_the_file(name: str) -> None:
    """1.29 knows no top-level `name`; v2 calls `version` obsolete; both take the services that the source names."""
    document = yaml.safe_load((ROOT / name).read_text())
    keys = {key for key in document if not key.startswith("x-")}
    assert keys == {"services", "volumes"}
    assert set(document["services"]) == COMPONENTS[name] | MEMBERS[name]


@pytest.mark.parametrize("name", FILES)
def test_whatever_can_be_scaled_has_no_fixed_name_and_no_fixed_port(name: str) -> None:
    for key in COMPONENTS[name]:
        service = services(name)[key]
        assert "container_name" not in service, key
        assert "ports" not in service, key
        assert "hostname" not in service, key


@pytest.mark.parametrize("name", FILES)
def test_a_port_that_is_published_is_chosen_by_the_engine_and_reaches_this_host_only(name: str) -> None:
    ports = [port for service in members(name) for port in service.get("ports", [])]
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\}:2379", port), port


@pytest.mark.parametrize("name", FILES)
def test_etcd_is_a_durable_version_with_a_quota_and_compaction(name: str) -> None:
    for service in members(name):
        match = re.fullmatch(r"quay\.io/coreos/etcd:v(3)\.(5)\.(\d+)", service["image"])
        assert match, service["image"]
        major, minor, patch = (int(part) for part in match.groups())
        assert not known_bad((major, minor, patch))
        assert int(setting(service, "quota-backend-bytes") or 0) >= 2 << 30
        assert setting(service, "auto-compaction-mode") == "periodic"
        assert setting(service, "auto-compaction-retention") == "1m"
        assert setting(service, "max-txn-ops") == "4096"
        assert service["healthcheck"]["test"][0] == "CMD"  # the image has no shell
        assert any(mount.split(":")[1] == "/var/lib/etcd" for mount in service["volumes"])
        assert setting(service, "data-dir") == "/var/lib/etcd/data"  # of its own, so that etcd alone may read it


@pytest.mark.parametrize("name", FILES)
def test_a_worker_has_time_to_drain_and_waits_for_etcd(name: str) -> None:
    for key in COMPONENTS[name]:
        service = services(name)[key]
        grace_s = float(service["stop_grace_period"].removesuffix("s"))
        assert grace_s > WorkerSettings().drain_limit_s, key
        assert float(service["environment"]["TANDEM_ETCD_WAIT_S"]) >= 30, key
        assert service["init"] is True, key
        assert set(service["depends_on"]) == MEMBERS[name], key


@pytest.mark.parametrize("name", FILES)
def test_up_starts_no_client_and_run_shows_what_became_of_the_tasks(name: str) -> None:
    client = services(name)["client"]
    assert client["profiles"] == ["client"]
    assert client["restart"] == "no"
    assert client["entrypoint"] == ["tandem", "submit", "--wait"]


def test_the_image_is_built_from_what_the_context_lets_through() -> None:
    """A file that is copied but ignored would only be missed by a build."""
    copied = re.findall(r"^COPY (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source.rstrip("/") for line in copied for source in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_has_the_versions_that_are_tested() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+==[^\s;\\]+)", (ROOT / ".ci" / name).read_text(), re.MULTILINE))

    image = pins("requirements-image.txt")
    assert image <= pins("requirements.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[=<>~!]", one)[0].lower() for one in project["dependencies"]}
    assert needed <= {pin.partition("==")[0] for pin in image}  # a new one needs `make pins`
