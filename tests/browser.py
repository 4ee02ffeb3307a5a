"""Headless Chromium for the tests of the report's page, driven over its debugging pipe: nothing listens on a port."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
STARTER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""The browser reads commands from descriptor 3 and writes answers to 4."""
READ_BYTES = 1 << 16


def executable() -> str | None:
    """The browser, where the machine has one."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


class Page:
    """One open page: run script in it, press keys, read what it shows."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._left = commands, answers, b""
        self._count, self._session = 0, ""

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol; the answer to it."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = self._await(lambda one: one.get("id") == self._count)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def _await(self, wanted: Any) -> dict[str, Any]:
        while True:
            end = self._left.find(b"\0")
            if end < 0:
                more = os.read(self._answers, READ_BYTES)
                assert more, "the browser ended"
                self._left += more
                continue
            message, self._left = json.loads(self._left[:end]), self._left[end + 1 :]
            if wanted(message):
                return dict(message)

    def open(self, path: Path, width: int, height: int, **media: str) -> None:
        """Show a file in a window of that size; `media` are features such as prefers_color_scheme="dark"."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Page.enable")
        self.send("Page.navigate", url=path.as_uri())
        self._await(lambda one: one.get("method") == "Page.loadEventFired")

    def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press and release a key, as a person would; `code` is its Windows virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def fonts_of(self, selector: str) -> list[dict[str, Any]]:
        """The fonts that the text of the elements is really shown with."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        self.send("CSS.enable")
        nodes = self.send("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
        return [font for node in nodes for font in self.send("CSS.getPlatformFontsForNode", nodeId=node)["fonts"]]


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A browser with an empty profile, ended with the block."""
    found = executable()
    assert found is not None
    child_reads, commands = os.pipe()
    answers, child_writes = os.pipe()
    arguments = [sys.executable, "-c", STARTER, str(child_reads), str(child_writes), found, *FLAGS]
    process = subprocess.Popen(
        [*arguments, f"--user-data-dir={profile}"], pass_fds=(child_reads, child_writes),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(child_reads)
    os.close(child_writes)
    try:
        page = Page(commands, answers)
        yield page
        page._session = ""
        page.send("Browser.close")
    finally:
        os.close(commands)
        os.close(answers)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
