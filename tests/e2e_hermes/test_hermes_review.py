"""The review over the real Hermes: its sessions become cards, and an alternative is the same prompt once more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_openai import ANSWER, PROSE, FakeOpenAI, fake_openai
from msgspec.structs import replace

from timmy_tui.config import CascadeConfig, Settings, load_settings
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.review.alternative import sample_alternative
from timmy_tui.services.review.desk import ReviewDesk
from timmy_tui.services.review.records import Card

HERMES = os.environ.get("TIMMY_TEST_HERMES", "")

pytestmark = pytest.mark.skipif(not HERMES, reason="TIMMY_TEST_HERMES names no hermes; run: make test-hermes")

ASKED = "[triage_issues] The backup fails since Monday. Bug, feature or question?"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, server: FakeOpenAI) -> dict[str, str]:
    """A home in which a script has asked Hermes once."""
    home = tmp_path_factory.mktemp("home")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TIMMY_HOME": str(home / "timmy"),
        "HERMES_HOME": str(home / "hermes"),
        "OLLAMA_HOST": server.url,
    }
    (home / "hermes").mkdir()
    (home / "hermes" / "config.yaml").write_text(
        f"model:\n  default: hermes4:14b\n  provider: custom\n  base_url: {server.url}/v1\n  context_length: 65536\n"
    )
    asked = [HERMES, "chat", "-q", ASKED, "-Q", "-t", "context_engine", "--source", "tool", "--max-turns", "1"]
    made = {**env, "OPENAI_API_KEY": "no-key-required", "CUSTOM_BASE_URL": f"{server.url}/v1"}
    subprocess.run(asked, env=made, check=True, capture_output=True, cwd=home)
    return env


def settings_of(env: dict[str, str]) -> Settings:
    settings = load_settings(env, overrides={"hermes": {"command": HERMES}})
    cascade = CascadeConfig(timeout_seconds=60, max_retries_per_provider=0)
    return replace(settings, config=replace(settings.config, cascade=cascade))


def card_of(settings: Settings) -> Card:
    desk = ReviewDesk(settings, LabelLog(settings.heartbeat_dir / "labels.jsonl"), lambda: 0.0)
    desk.index.build()
    (entry,) = desk.index.entries
    return desk.cards.load(entry)


def test_a_scripts_session_is_a_card_with_the_prompt_that_was_sent(env: dict[str, str]) -> None:
    card = card_of(settings_of(env))
    assert (card.prompt, card.completion) == (ASKED, ANSWER)
    assert card.entry.source == "triage_issues"


async def test_an_alternative_is_the_same_prompt_to_the_byte_and_a_session_of_the_reviews(
    env: dict[str, str], server: FakeOpenAI
) -> None:
    settings = settings_of(env)
    card = card_of(settings)
    server.mode = "prose"
    found = await sample_alternative(settings, env, card)
    first, second = (str(body["messages"][-1]["content"]) for body in server.asked[-2:])  # type: ignore[index]
    assert first == second
    assert (found.same, found.alternative.response) == (False, PROSE)
    assert found.alternative.provider == "hermes"
    desk = ReviewDesk(settings, LabelLog(Path(os.devnull)), lambda: 0.0)
    desk.index.build()
    assert [entry.source for entry in desk.index.entries] == ["triage_issues"], "a sample is no card of its own"
