"""Which server is found, and which releases are distrusted."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.etcd import binary
from core.etcd.binary import EtcdServerError, Origin, Server, find_server, known_bad


def fake_etcd(folder: Path, version: str, *, name: str = "etcd") -> Path:
    """A program that answers --version as etcd does. ELF programs don't start with `#!`, so neither does this one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"echo 'etcd Version: {version}'\necho 'Git SHA: none'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _shell_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does not run a script without `#!`; a shell does."""
    real = subprocess.run

    def run(argv: list[Path], **options: Any) -> Any:
        return real(["/bin/sh", *argv], **options)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(binary, "_pypi_server", lambda: None)


def find(tmp_path: Path, **environ: str) -> Server:
    return find_server(environ={"PATH": str(tmp_path / "bin")} | environ, project=tmp_path)


def test_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pypi = fake_etcd(tmp_path / "pypi", "3.5.16")
    monkeypatch.setattr(binary, "_pypi_server", lambda: pypi)
    assert find(tmp_path) == Server(pypi, (3, 5, 16), Origin.PYPI)
    project = fake_etcd(tmp_path / ".tools/etcd/usr/bin", "3.5.17")
    assert find(tmp_path) == Server(project, (3, 5, 17), Origin.PROJECT)
    system = fake_etcd(tmp_path / "bin", "3.5.18")
    assert find(tmp_path) == Server(system, (3, 5, 18), Origin.SEARCH_PATH)
    chosen = fake_etcd(tmp_path / "mine", "3.6.1")
    assert find(tmp_path, TANDEM_ETCD=str(chosen)) == Server(chosen, (3, 6, 1), Origin.ENVIRONMENT)


def test_a_lossy_server_gives_way_to_a_durable_one_unless_it_was_asked_for(tmp_path: Path) -> None:
    lossy = fake_etcd(tmp_path / "bin", "3.5.1")
    assert find(tmp_path).path == lossy
    durable = fake_etcd(tmp_path / ".tools/etcd/usr/bin", "3.4.23")
    assert find(tmp_path).path == durable
    assert find(tmp_path, TANDEM_ETCD=str(lossy)).path == lossy


def test_the_wrapper_of_the_pypi_package_is_not_a_system_server(tmp_path: Path) -> None:
    wrapper = fake_etcd(tmp_path / "bin", "3.5.16")
    wrapper.write_text("#!/bin/sh\n" + wrapper.read_text())
    project = fake_etcd(tmp_path / ".tools/etcd/usr/bin", "3.4.23")
    assert find(tmp_path).path == project


@pytest.mark.parametrize(
    ("version", "bad"),
    [
        ((3, 3, 25), True),
        ((3, 4, 20), True),
        ((3, 4, 21), False),
        ((3, 4, 23), False),
        ((3, 5, 0), True),
        ((3, 5, 4), True),
        ((3, 5, 5), False),
        ((3, 5, 16), False),
        ((3, 6, 0), False),
    ],
)
def test_known_bad(version: binary.Version, bad: bool) -> None:
    assert known_bad(version) is bad
    warning = Server(Path("etcd"), version, Origin.PYPI).warning
    assert ("may lose writes" in (warning or "")) is bad


def test_durable_refuses_a_lossy_server(tmp_path: Path) -> None:
    fake_etcd(tmp_path / "bin", "3.5.1")
    with pytest.raises(EtcdServerError, match=r"etcd 3\.5\.1 \(from PATH\) may lose writes.*apt install etcd-server"):
        find_server(durable=True, environ={"PATH": str(tmp_path / "bin")}, project=tmp_path)


def test_no_server_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EtcdServerError, match=r"no etcd server found: install one .*TANDEM_ETCD.*--etcd-endpoints"):
        find(tmp_path)


def test_a_wrong_variable_is_an_error_not_a_silent_fallback(tmp_path: Path) -> None:
    fake_etcd(tmp_path / "bin", "3.5.16")
    other = fake_etcd(tmp_path, "3.5.16", name="other")
    other.write_text("echo 'hello'\n")
    with pytest.raises(EtcdServerError, match=r"TANDEM_ETCD does not name an etcd server: .*other is not an etcd"):
        find(tmp_path, TANDEM_ETCD=str(other))
