"""A page in a real Chromium without network, driven through a pipe by the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.report.viewer import find_niivue

WORDS = "--headless=new --no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --remote-debugging-pipe"
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "PageUp": 33, "Escape": 27, "Enter": 13}
_MIDDLE = """(() => {
  const element = document.querySelector(%s);
  element.scrollIntoView({block: "center"});
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""
PATIENCE = 240.0  # seconds; a loaded machine draws slowly


class Page:
    """What a user sees and does, and what the page complained of or asked the network for."""

    def __init__(self, read: int, write: int) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._read, self._write, self._rest, self._count = read, write, b"", 0
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """The answer to a command of the protocol."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """From now on, through a screen of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go there and wait until all is loaded."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, f"{expression}: {told['exceptionDetails']}"
        return told["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"never true: {expression}; {self.errors}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of the first such element."""
        box = self.evaluate(_MIDDLE % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": "\r"} if key == "Enter" else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def picture(self, path: Path) -> Path:
        """Write what is on the screen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return path

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._read], [], [], PATIENCE)[0], "Chromium does not answer"
            received = os.read(self._read, 1 << 20)
            assert received, "Chromium has ended"
            self._rest += received
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.errors.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(str(told["entry"]))
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(
            ("file:", "data:", "blob:")
        ):
            self.requests.append(told["request"]["url"])


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A page in a new Chromium; skips where there is none, or no NiiVue."""
    if (browser := shutil.which("chromium")) is None:
        pytest.skip("Chromium is not installed: NO REPORT IS LOOKED AT IN A BROWSER")
    if find_niivue() is None:
        pytest.skip("NiiVue is not there (`make viewer`): NO REPORT IS LOOKED AT IN A BROWSER")
    alone = ["unshare", "-n"] if os.geteuid() == 0 else []
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    fixed = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash"]  # the descriptors that Chromium wants
    command = [*alone, *fixed, browser, *WORDS.split(), f"--user-data-dir={profile}"]
    with subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Page(ours_in, ours_out)
        finally:
            process.kill()
            os.close(ours_in)
            os.close(ours_out)
