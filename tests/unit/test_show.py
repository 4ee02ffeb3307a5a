"""`tandem status` and `tandem task` say what is wrong with etcd itself."""

from collections.abc import Generator

import pytest

from core.commands import show
from core.etcd.store import EtcdStore, ServerInfo
from core.kv.requests import Request, Response


def nothing() -> Generator[Request, Response, str]:
    yield from ()
    return "answer"


@pytest.mark.parametrize(("alarms", "said"), [((), ""), (("NOSPACE",), "quota"), (("STRANGE",), "see its log")])
def test_alarms_are_named(
    alarms: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = ServerInfo("3.5.16", 1, 1, ("etcd-1",), 1, alarms)
    monkeypatch.setattr(EtcdStore, "check", lambda _: info)
    assert show.ask("127.0.0.1:1", "/tandem/", nothing()) == "answer"
    shown = " ".join(capsys.readouterr().err.split())
    assert (f"etcd's alarm {alarms[0]} is on" in shown and said in shown) if alarms else shown == ""
