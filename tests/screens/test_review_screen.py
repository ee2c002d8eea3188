"""The review: a key is an answer, an answer is on disk before the next card shows, and nothing is ever lost."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from math import inf
from pathlib import Path

import pytest
from faulty_server import FaultyServer
from hermes_store_maker import make_empty_store
from label_maker import append, event_line, label_line
from payloads import PAYLOADS
from screens import scenes
from screens.scenes import NOW
from screens.test_dashboard import toasts
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, TextArea
from tick_maker import day_path, tick_line

from timmy_tui.app import TimmyApp
from timmy_tui.input_wall import InputWall
from timmy_tui.screens import alternative, review_cards
from timmy_tui.screens.alternative import AlternativeScreen
from timmy_tui.screens.dialogs import TextDialog
from timmy_tui.screens.edit import EditDialog, original_of
from timmy_tui.screens.export import ExportScreen
from timmy_tui.screens.queue_filter import FilterDialog
from timmy_tui.screens.review import ReviewScreen
from timmy_tui.screens.statistics import StatisticsScreen
from timmy_tui.screens.text import TextScreen
from timmy_tui.services.labels.records import Alternative
from timmy_tui.services.review.alternative import Sampled
from timmy_tui.services.ticks.records import Decision
from timmy_tui.widgets.choice_rows import ChoiceRows
from timmy_tui.widgets.line import plain
from timmy_tui.widgets.lines_view import LinesView

SIZE = (100, 30)
TODAY = date(2026, 11, 20)
Compare = Callable[..., bool]
OTHER = '{"actions": [], "severity": "critical", "reasoning": "Quite another view."}'

SAMPLED = Sampled(
    Alternative(OTHER, "llama3.2:3b", "ollama", "2026-11-20T04:05:00+00:00", 7),
    Decision("critical", "Quite another view: the disk is full by tomorrow.", ("ALERT: disk", "restart_ollama")),
    duration_ms=1834.0,
    same=False,
)


class Home:
    """A home with ticks, and what its label log says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heartbeat = folder / ".timmy" / "heartbeat"
        self.labels = self.heartbeat / "labels.jsonl"
        self.env = {"HOME": str(folder), "PATH": ""}
        self.heartbeat.mkdir(parents=True)

    def ticks(self, count: int, **extra: object) -> None:
        """Ticks of this morning, the last one the newest; each says its number."""
        at = datetime.fromtimestamp(NOW, UTC) - timedelta(minutes=10 * count)
        with day_path(self.heartbeat, TODAY).open("ab") as file:
            for number in range(count):
                decision = {
                    "actions": ["ALERT: disk"],
                    "severity": "warning",
                    "reasoning": f"card {number} of the disk",
                }
                tree = {"decision": decision, "response": json.dumps(decision), **extra}
                file.write(tick_line(number, at=at + timedelta(minutes=10 * number), **tree))  # type: ignore[arg-type]

    def console(self, **overrides: object) -> TimmyApp:
        app = scenes.console(self.env, **overrides)
        app.settings = app.settings.with_operator("alex")
        return app

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.labels.read_bytes().splitlines()] if self.labels.exists() else []

    def said(self) -> list[object]:
        return [event.get("label") or event["event"] for event in self.events()]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.ticks(5)
    return made


@pytest.fixture(autouse=True)
def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests type faster than anybody reads; what the guard does has a test of its own."""
    for module in (review_cards, alternative):
        monkeypatch.setattr(module, "GUARD_S", -1.0)
    monkeypatch.setattr(review_cards, "FIRST_GUARD_S", -1.0)


def screen_of(app: TimmyApp) -> ReviewScreen:
    return next(screen for screen in reversed(app.screen_stack) if isinstance(screen, ReviewScreen))


def text_of(view: LinesView) -> str:
    return "\n".join(plain(content) for content in view.lines)


def card_of(app: TimmyApp) -> str:
    return text_of(screen_of(app).decision)


def bar_of(app: TimmyApp) -> str:
    return text_of(screen_of(app).bar)


async def quiet(pilot: Pilot[None], *, but: str = "ask") -> None:
    """Until what was started is done and drawn; a dialog's own work waits for its answer."""
    app = pilot.app
    while True:
        await pilot.pause()
        running = [worker for worker in app.workers if not worker.is_finished and worker.group != but]
        if not running:
            break
        await app.workers.wait_for_complete(running)
    await pilot.pause()


async def opened(pilot: Pilot[None]) -> TimmyApp:
    app = pilot.app
    assert isinstance(app, TimmyApp)
    await pilot.press("r")
    await quiet(pilot)
    return app


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await quiet(pilot)


async def test_the_newest_card_comes_first_with_its_whole_decision(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        assert "card 4 of the disk" in card_of(app)
        assert "▲ warning" in card_of(app)
        assert "→ ALERT: disk" in card_of(app)
        assert "review  5 of 5 left" in bar_of(app)
        assert "filter: unlabelled · any model" in bar_of(app)


async def test_the_key_that_opened_the_review_answers_nothing_until_another_came(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "r", "r")
        assert home.events() == []
        await press(pilot, "f", "escape", "r")
        assert home.said() == ["rejected"]


async def test_a_click_shows_that_somebody_looks(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await pilot.click("#decision")
        await press(pilot, "r")
        assert home.said() == ["rejected"]


async def test_the_first_answer_of_a_visit_is_told(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c", "s")
        told = [note.message for note in app._notifications]
        assert told == ["chosen · u undo"]


async def test_a_key_among_others_answers_nothing(home: Home) -> None:
    """As the input wall marks them; which keys it marks is its own test's matter."""
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        for message in InputWall().feed("cc]x"):
            app.post_message(message)
        await quiet(pilot)
        assert home.events() == []
        await press(pilot, "c")
        assert home.said() == ["chosen"]


async def test_each_key_answers_and_goes_on_and_each_answer_is_on_disk(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        for number, (key, label) in enumerate(
            {"c": "chosen", "x": "rejected", "s": "skipped", "a": "chosen", "r": "rejected"}.items(), 1
        ):
            await press(pilot, key)
            assert home.said()[-1] == label
            assert len(home.events()) == number
        assert "All done" in card_of(app)
        assert "0 of 5 left" in bar_of(app)
        assert "today 5" in bar_of(app)
        assert "● ✖ – ● ✖" in text_of(screen_of(app).answers)
    first = home.events()[0]
    assert (first["operator"], first["tick_id"]) == ("alex", "20261120_035500")
    assert all(event["shown_at"] for event in home.events())


async def test_space_skips_and_backspace_and_enter_do_nothing(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "backspace", "enter", "delete", "1", "0")
        assert home.events() == []
        await press(pilot, "space")
        assert home.said() == ["skipped"]
        assert not app.paused


async def test_a_key_that_was_pressed_before_the_card_could_be_read_is_not_heard(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_cards, "GUARD_S", 0.15)
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        screen = screen_of(app)
        seen_at = screen.heard_from - 0.15
        for moment, said in ((seen_at - 1, 0), (seen_at + 0.149, 0), (seen_at + 0.151, 1)):
            event = Key("c", "c")
            event.time = moment
            app.post_message(event)
            await quiet(pilot)
            assert len(home.events()) == said


async def test_undo_brings_the_card_back_as_it_was_with_its_old_answer(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c", "x", "s")
        assert "card 1 of" in card_of(app)
        await press(pilot, "u")
        assert "card 2 of" in card_of(app)
        assert "taken back: – skipped" in card_of(app)
        await press(pilot, "u", "u")
        assert "card 4 of" in card_of(app)
        assert "taken back: ● chosen" in card_of(app)
        assert "5 of 5 left" in bar_of(app)
        await press(pilot, "u")
        assert any("Nothing of yours" in toast for toast in toasts(app))
        await press(pilot, "x")
        assert "card 3 of" in card_of(app)
    assert home.said() == ["chosen", "rejected", "skipped", "undo", "undo", "undo", "rejected"]


async def test_undo_goes_on_in_a_new_console(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c", "x")
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        assert "card 2 of" in card_of(app)
        await press(pilot, "u", "u")
        assert "card 4 of" in card_of(app)
        assert "5 of 5 left" in bar_of(app)


async def test_a_label_of_another_console_shows_here(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        screen = screen_of(app)
        assert screen.card is not None
        append(home.labels, label_line("1", screen.card.entry.key, "rejected", operator="kim"))
        screen.clock_ticked(NOW)
        await quiet(pilot)
        assert "4 of 5 left" in bar_of(app)
        assert "now: ✖ rejected  by kim" in card_of(app)


async def test_a_new_tick_is_taken_in_while_the_card_stays(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c")
        with day_path(home.heartbeat, TODAY).open("ab") as file:
            file.write(tick_line(50, at=datetime.fromtimestamp(NOW, UTC)))
        screen_of(app).snapshot_changed(app.snapshot)
        await quiet(pilot)
        assert "card 3 of" in card_of(app)
        assert "5 of 6 left" in bar_of(app)


async def test_a_label_that_the_dashboard_has_read_first_shows_here_all_the_same(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        screen = screen_of(app)
        assert screen.card is not None
        screen.clock_ticked(NOW)
        await quiet(pilot)
        append(home.labels, label_line("1", screen.card.entry.key, "rejected", operator="kim"))
        app.monitor.sources.heartbeat.read()
        screen.clock_ticked(NOW)
        await quiet(pilot)
        assert "4 of 5 left" in bar_of(app)
        assert "now: ✖ rejected  by kim" in card_of(app)


async def test_what_was_just_chosen_to_be_shown_is_not_undone_by_a_new_tick(home: Home) -> None:
    append(home.folder / ".timmy" / "tui.yaml", b"review: {second_look: 1}\n")
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c", "c")
        screen = screen_of(app)
        async with screen.turn:
            screen.action_second_look()
            await asyncio.sleep(0)
            with day_path(home.heartbeat, TODAY).open("ab") as file:
                file.write(tick_line(50, at=datetime.fromtimestamp(NOW, UTC)))
            screen.snapshot_changed(app.snapshot)
            await asyncio.to_thread(app.monitor.sources.review.index.grow)
        await quiet(pilot)
        assert "second look  2 of 2 left" in bar_of(app)


async def test_two_keys_that_come_at_once_are_one_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_cards, "GUARD_S", 0.15)
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        screen = screen_of(app)
        for keys, said in (("cc", ["chosen"]), ("uc", ["chosen", "undo"]), ("cn", ["chosen", "undo", "chosen"])):
            screen.heard_from = 0.0
            for key in keys:
                app.post_message(Key(key, key))
            await quiet(pilot)
            assert home.said() == said
            assert app.screen is screen


async def test_a_key_that_closes_another_view_and_one_behind_it_answer_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        screen = screen_of(app)
        await press(pilot, "w")
        screen.heard_from = inf
        await press(pilot, "escape", "c")
        assert home.events() == []


@pytest.mark.parametrize("size", [(30, 6), (39, 40), (80, 7)])
async def test_where_no_card_can_be_seen_none_is_answered(home: Home, size: tuple[int, int]) -> None:
    app = home.console()
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await press(pilot, "c", "x", "u", "e", "g", "n")
        assert isinstance(app.screen, ReviewScreen)
        assert app.screen.query_one("#too-small").display
        assert not app.screen.decision.region
    assert home.events() == []


# What can't be written, or read.


async def test_what_can_not_be_saved_is_said_and_the_card_stays(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        os.symlink("/dev/null", home.labels)
        await press(pilot, "c")
        assert "card 4 of" in card_of(app)
        assert "✖ not saved:" in card_of(app)
        assert "link" in card_of(app)
        assert "5 of 5 left" in bar_of(app)
        home.labels.unlink()
        await press(pilot, "c")
        assert "not saved" not in card_of(app)
        assert home.said() == ["chosen"]


async def test_a_damaged_label_log_is_told_and_costs_nothing_else(home: Home) -> None:
    append(home.labels, b"garbage\n", b'{"v": 2, "event": "label"}\n', b'{"v": 1, "event": "la')
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        told = text_of(screen_of(app).answers)
        assert "1 bad line" in told
        assert "1 of a newer version" in told
        await press(pilot, "c")
        assert "4 of 5 left" in bar_of(app)


async def test_a_tick_that_leaves_the_log_is_passed_over(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        path = day_path(home.heartbeat, TODAY)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:3], b"x" * (len(lines[3]) - 1) + b"\n", lines[4]]))
        await press(pilot, "c")
        assert "card 2 of" in card_of(app)
        assert any("changed since" in toast for toast in toasts(app))


async def test_nothing_to_review_says_what_makes_a_card(tmp_path: Path) -> None:
    app = Home(tmp_path).console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        assert "nothing to review" in card_of(app)
        await press(pilot, "c", "x", "u", "e", "g", "n", "p", "w")
        assert isinstance(app.screen, ReviewScreen)


@pytest.mark.parametrize("name", PAYLOADS)
async def test_text_that_attacks_is_text_on_every_part_of_the_screen(tmp_path: Path, name: str) -> None:
    payload = PAYLOADS[name][:50_000]
    home = Home(tmp_path)
    decision = {"severity": payload, "reasoning": payload, "actions": [payload]}
    home.ticks(2, decision=decision, response=payload, prompt=payload, model=payload, perception={payload: payload})
    append(home.labels, event_line("1", "note", candidate="c", note=payload, operator=payload))
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "p", "escape", "w", "escape", "f", "escape", "S", "escape", "c")
        for line in card_of(app).splitlines():
            assert line.isprintable()
    assert home.said()[-1] == "chosen"


# Edits, notes, alternatives.


async def test_an_edit_is_a_correction_on_disk_and_goes_on(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "e")
        dialog = app.screen
        assert isinstance(dialog, EditDialog)
        dialog.query_one("#reasoning", TextArea).text = "The disk has room for weeks."
        dialog.query_one("#actions", TextArea).text = "\n"
        await press(pilot, "left")
        await press(pilot, "ctrl+s")
        assert "card 3 of" in card_of(app)
        assert "4 of 5 left" in bar_of(app)
    (event,) = home.events()
    assert event["event"] == "edit"
    assert event["decision"] == {"actions": [], "severity": "ok", "reasoning": "The disk has room for weeks."}


async def test_an_edit_that_is_no_decision_is_refused_and_nothing_typed_is_lost(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "e", "ctrl+s")
        dialog = app.screen
        assert isinstance(dialog, EditDialog)
        assert "Nothing was changed" in str(dialog.trouble.render())
        dialog.reasoning.text = "  "
        await press(pilot, "ctrl+s")
        assert "empty" in str(dialog.trouble.render())
        dialog.reasoning.text = "kept"
        dialog.query_one("#actions", TextArea).text = "\n".join(f"action {n}" for n in range(21))
        await press(pilot, "ctrl+s")
        assert "21 actions" in str(dialog.trouble.render())
        assert dialog.reasoning.text == "kept"
        await press(pilot, "escape")
        assert isinstance(app.screen, ReviewScreen)
    assert home.events() == []


async def test_enter_within_an_edit_is_a_new_line(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "e", "tab", "enter")
        assert isinstance(app.screen, EditDialog)
        assert "\n" in app.screen.reasoning.text


async def test_a_correction_that_could_not_be_saved_is_there_when_the_form_opens_again(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        os.symlink("/dev/null", home.labels)
        await press(pilot, "e")
        assert isinstance(app.screen, EditDialog)
        app.screen.reasoning.text = "typed with care"
        await press(pilot, "ctrl+s")
        assert "not saved" in card_of(app)
        home.labels.unlink()
        await press(pilot, "e")
        assert isinstance(app.screen, EditDialog)
        assert app.screen.reasoning.text == "typed with care"
        await press(pilot, "ctrl+s")
        assert home.said() == ["edit"]


async def test_what_was_typed_is_there_again_after_escape_and_after_an_undo(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "e")
        assert isinstance(app.screen, EditDialog)
        app.screen.reasoning.text = "half a thought"
        await press(pilot, "escape", "e")
        assert isinstance(app.screen, EditDialog)
        assert app.screen.reasoning.text == "half a thought"
        await press(pilot, "ctrl+s", "u", "e")
        assert isinstance(app.screen, EditDialog)
        assert app.screen.reasoning.text == "half a thought"


@pytest.mark.parametrize("text", ["👩‍🚒 at work 🇳🇱", "a\u200bb"])
async def test_an_edit_keeps_the_signs_that_it_does_not_touch(home: Home, text: str) -> None:
    decision = {"actions": [text], "severity": "ok", "reasoning": "calm"}
    home.ticks(6, decision=decision, response=json.dumps(decision))
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        screen = screen_of(app)
        assert screen.card is not None
        original = original_of(screen.card)
        assert isinstance(original, Decision)
        assert original.actions == (text,)


async def test_an_undone_note_is_told_and_no_longer_stands_on_the_card(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "n", *"odd", "enter", "u")
        assert "taken back: · note “odd”" in card_of(app)
        assert "note: odd" not in card_of(app)


async def test_a_note_is_kept_at_once_and_stands_on_the_card(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "n")
        assert isinstance(app.screen, TextDialog)
        await press(pilot, *"odd", "enter")
        assert "note: odd" in card_of(app)
        assert home.said() == ["note"]
        await press(pilot, "x")
    assert home.events()[1]["note"] == "odd"


def ollama() -> FaultyServer:
    model = {"name": "m:1b", "model": "m:1b", "digest": "m", "size": 9}
    running = {**model, "size_vram": 9, "expires_at": "2318-01-01T00:00:00Z"}
    answer = {"model": "m:1b", "message": {"role": "assistant", "content": OTHER}, "done": True}
    return FaultyServer(
        {
            "/api/ps": json.dumps({"models": [running]}),
            "/api/tags": json.dumps({"models": [model]}),
            "/api/chat": json.dumps(answer),
        }
    )


@pytest.mark.parametrize(("key", "preferred"), [("1", "original"), ("2", "alternative"), ("0", "neither")])
async def test_another_answer_is_shown_beside_and_the_better_one_is_named(home: Home, key: str, preferred: str) -> None:
    with ollama() as server:
        home.env["OLLAMA_HOST"] = server.url
        app = home.console()
        async with app.run_test(size=SIZE) as pilot:
            await opened(pilot)
            await press(pilot, "g")
            beside = app.screen
            assert isinstance(beside, AlternativeScreen)
            assert "Quite another view." in text_of(beside.other)
            assert "m:1b" in text_of(beside.other)
            await press(pilot, key)
            assert "card 3 of" in card_of(app)
            assert "4 of 5 left" in bar_of(app)
    (event,) = home.events()
    assert (event["event"], event["preferred"]) == ("prefer", preferred)
    alternative = event["alternative"]
    assert isinstance(alternative, dict)
    assert (alternative["response"], alternative["model"]) == (OTHER, "m:1b")
    assert alternative["seed"]


async def test_a_model_that_is_down_is_said_and_nothing_can_be_preferred(home: Home) -> None:
    home.env["OLLAMA_HOST"] = "http://127.0.0.1:9"
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "g")
        beside = app.screen
        assert isinstance(beside, AlternativeScreen)
        assert "No alternative: ollama" in text_of(beside.other)
        await press(pilot, "2")
        assert isinstance(app.screen, AlternativeScreen)
        await press(pilot, "escape")
        assert "card 4 of" in card_of(app)
    assert home.events() == []


# Other views.


async def test_the_filter_shows_other_cards_and_the_count_says_which(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "x", "f")
        dialog = app.screen
        assert isinstance(dialog, FilterDialog)
        dialog.query_one(Input).value = "CARD 2"
        await press(pilot, "enter")
        assert "card 2 of" in card_of(app)
        assert "1 of 1 left" in bar_of(app)
        await press(pilot, "f", "ctrl+x", "f", "right", "right", "right", "enter")
        assert "card 4 of" in card_of(app)
        assert "1 of 5 rejected" in bar_of(app)


async def test_a_form_is_walked_by_keys_and_by_clicks(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "f")
        dialog = app.screen
        assert isinstance(dialog, FilterDialog)
        await pilot.click(ChoiceRows, offset=(14, 1))
        await press(pilot, "right", "down", "left")
        assert dialog.choices.chosen("severity") == 2
        await press(pilot, "enter")
        assert "warning" in bar_of(app)


async def test_a_second_look_hides_what_was_said_and_counts_apart(home: Home) -> None:
    append(home.folder / ".timmy" / "tui.yaml", b"review: {second_look: 1}\n")
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c", "c", "x", "b")
        assert "second look  3 of 3 left" in bar_of(app)
        assert "now:" not in card_of(app)
        assert "nothing yet" in text_of(screen_of(app).answers)
        await press(pilot, "c", "c", "c")
        assert "0 of 3 left" in bar_of(app)
        assert [event.get("blind") for event in home.events()[3:]] == [True, True, True]
        await press(pilot, "S")
        assert isinstance(app.screen, StatisticsScreen)
        told = text_of(app.screen.reader)
        assert "second looks: 2 of 3 the same" in told
        assert "1 disputed" in told


async def test_a_second_look_takes_back_only_itself_and_escape_leaves_it(home: Home) -> None:
    append(home.folder / ".timmy" / "tui.yaml", b"review: {second_look: 1}\n")
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "x", "b", "u", "e", "g")
        assert isinstance(app.screen, ReviewScreen)
        assert home.said() == ["rejected"]
        assert any("Nothing of this second look" in toast for toast in toasts(app))
        assert any("c, r or s" in toast for toast in toasts(app))
        await press(pilot, "escape")
        assert isinstance(app.screen, ReviewScreen)
        assert "review  4 of 5 left" in bar_of(app)


async def test_the_second_answer_has_to_be_seen_before_it_can_be_preferred(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alternative, "GUARD_S", 60.0)
    with ollama() as server:
        home.env["OLLAMA_HOST"] = server.url
        app = home.console()
        async with app.run_test(size=SIZE) as pilot:
            await opened(pilot)
            await press(pilot, "g", "2")
            assert isinstance(app.screen, AlternativeScreen)
            await press(pilot, "p")
            assert isinstance(app.screen, TextScreen)
    assert home.events() == []


async def test_the_whole_prompt_and_the_raw_response_are_a_key_away(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "p")
        assert isinstance(app.screen, TextScreen)
        assert "System state at 2026-11-20" in text_of(app.screen.reader)
        await press(pilot, "p", "w")
        assert isinstance(app.screen, TextScreen)
        assert '"reasoning": "card 4 of the disk"' in text_of(app.screen.reader)
        await press(pilot, "w", "right_square_bracket")
        assert "card 3 of" in card_of(app)
        await press(pilot, "left_square_bracket")
        assert "card 4 of" in card_of(app)
    assert home.events() == []


def tell_session(folder: Path) -> None:
    """A Hermes store with the session of a script."""
    (folder / ".hermes").mkdir()
    writer = make_empty_store(folder / ".hermes" / "state.db")
    writer.session("s1", started_at=NOW - 60)
    writer.message("s1", "user", "[triage_issues] Which one first?")
    writer.message("s1", "assistant", "The crash, then the leak.")
    writer.close()


async def test_a_callers_session_is_reviewed_by_its_prompt(tmp_path: Path) -> None:
    home = Home(tmp_path)
    tell_session(tmp_path)
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        assert "The crash, then the leak." in card_of(app)
        assert "Which one first?" in text_of(screen_of(app).asked)
        await press(pilot, "e")
        assert isinstance(app.screen, EditDialog)
        app.screen.reasoning.text = "The leak first."
        await press(pilot, "ctrl+s")
    (event,) = home.events()
    assert (event["response"], event["tick_id"]) == ("The leak first.", "s1")


async def test_the_datasets_are_written_from_the_screen(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await press(pilot, "c", "x", "E")
        dialog = app.screen
        assert isinstance(dialog, ExportScreen)
        await press(pilot, "enter")
        told = text_of(dialog.told)
        assert "Written to" in told
        assert "kto.jsonl" in told
        target = Path(dialog.folder.value)
        assert len((target / "kto.jsonl").read_text().splitlines()) == 2
        await press(pilot, "enter")
        assert "Written to" in text_of(dialog.told), "written once, however often it is asked for"
        await press(pilot, "escape", "E", "tab", "enter")
        again = app.screen
        assert isinstance(again, ExportScreen)
        assert "exists" in text_of(again.told)
        await press(pilot, "escape")
        assert isinstance(app.screen, ReviewScreen)


async def test_leaving_in_the_middle_of_the_index_goes_on_with_it_next_time(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("r", "escape")
        await quiet(pilot)
        assert not isinstance(app.screen, ReviewScreen)
        await opened(pilot)
        assert "card 4 of" in card_of(app)


# How it looks.

SIZES = [(120, 40), (80, 24), (50, 40)]


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("size", [(200, 60), *SIZES], ids=named)
def test_picture_of_a_card(snap_compare: Compare, home: Home, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await press(pilot, "c", "x", "s", "u")

    assert snap_compare(home.console(), terminal_size=size, run_before=run)


@pytest.mark.parametrize("scene", ["empty", "done", "not_saved", "hostile", "second_look", "session"])
@pytest.mark.parametrize("size", SIZES[1:], ids=named)
def test_picture_of_the_review(snap_compare: Compare, tmp_path: Path, scene: str, size: tuple[int, int]) -> None:
    home = Home(tmp_path)
    keys: tuple[str, ...] = ()
    if scene in ("done", "not_saved", "second_look"):
        home.ticks(3)
        keys = {"done": ("c", "x", "s"), "not_saved": (), "second_look": ("c", "x", "b")}[scene]
        append(tmp_path / ".timmy" / "tui.yaml", b"review: {second_look: 1}\n")
    elif scene == "hostile":
        texts = list(PAYLOADS.values())
        decision = {"severity": texts[0], "reasoning": " ".join(texts[:8]), "actions": texts[8:12]}
        home.ticks(2, decision=decision, response=texts[3], perception={text: text for text in texts[:9]})
    elif scene == "session":
        tell_session(tmp_path)

    async def run(pilot: Pilot[None]) -> None:
        app = await opened(pilot)
        if scene == "not_saved":
            screen_of(app).trouble = (
                "No room to write labels.jsonl: No space left on device",
                "Free some space:  df -h",
            )
            screen_of(app).draw_decision()
        await press(pilot, *keys)

    assert snap_compare(home.console(), terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES[1:], ids=named)
@pytest.mark.parametrize("key", ["e", "f", "n", "S", "E"])
def test_picture_over_a_card(snap_compare: Compare, home: Home, key: str, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await press(pilot, "c", "x", key)
        if key == "E":
            screen = pilot.app.screen
            assert isinstance(screen, ExportScreen)
            screen.folder.value = "/home/alex/.timmy/exports/datasets-20261120-040500"

    assert snap_compare(home.console(), terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES[1:], ids=named)
def test_picture_of_two_answers(snap_compare: Compare, home: Home, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await press(pilot, "g")
        beside = pilot.app.screen
        assert isinstance(beside, AlternativeScreen)
        beside.show_sampled(SAMPLED)
        await pilot.pause()

    home.env["OLLAMA_HOST"] = "http://127.0.0.1:9"
    assert snap_compare(home.console(), terminal_size=size, run_before=run)
