"""`tandem submit --wait` while etcd does not answer."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from core.commands import submit
from core.etcd.errors import EtcdUnreachable
from core.kv.requests import Found, Response, Unknown


def client(answers: list[Response]) -> Any:
    def send(_request: object, reply: Callable[[Response], None]) -> None:
        reply(answers[0])

    return SimpleNamespace(send=send)


def test_silence_is_told_once_and_given_up_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[Response] = [Unknown("down")]
    monkeypatch.setattr(submit, "LOOK_EVERY_S", 0.01)
    silence = submit._Silence(client(answers))
    silence.look()
    silence.look()
    assert capsys.readouterr().err.count("etcd does not answer") == 1
    monkeypatch.setattr(submit, "GIVE_UP_S", 0.0)
    with pytest.raises(EtcdUnreachable, match="no etcd has answered"):
        silence.look()


def test_an_etcd_that_comes_back_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Response] = [Unknown("down")]
    monkeypatch.setattr(submit, "LOOK_EVERY_S", 0.01)
    silence = submit._Silence(client(answers))
    silence.look()
    answers[0] = Found((), 1)
    silence.look()
    answers[0] = Unknown("down again")
    monkeypatch.setattr(submit, "GIVE_UP_S", 0.005)
    silence.look()  # the first silence does not count any more
    monkeypatch.setattr(submit, "GIVE_UP_S", 0.0)
    with pytest.raises(EtcdUnreachable):  # but the second one does
        silence.look()
