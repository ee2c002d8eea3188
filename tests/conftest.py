"""Every test runs in an environment of its own: no home, no servers, no proxies of the person who runs it."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["COLORTERM"] = "truecolor"

# A suite that a shell started in the background ignores SIGINT, and so would every process that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("suite")

FOREIGN = (
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_COLOR",
    "NO_PROXY",
    "OLLAMA_HOST",
    "OPENAI_API_KEY",
    "TIMMY_TUI_CONFIG",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


@pytest.fixture(autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh HOME, and nothing of the caller's that a source would read. The zone is UTC, as in the fixtures."""
    home = tmp_path_factory.mktemp("home")
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TIMMY_HOME", str(home / ".timmy"))
    monkeypatch.setenv("HERMES_HOME", str(home / ".hermes"))
    monkeypatch.setenv("TZ", "UTC")
