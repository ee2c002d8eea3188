"""A long transcript: laid out beside the loop, each message once per width, and found in at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hermes_store_maker import StoreWriter, make_empty_store
from screens import scenes
from screens.scenes import NOW
from screens.test_dashboard import SIZE, settle
from textual.pilot import Pilot

from timmy_tui.app import TimmyApp
from timmy_tui.glyphs import Glyphs
from timmy_tui.screens import transcript as transcript_lines
from timmy_tui.screens.session import SessionScreen
from timmy_tui.services.hermes.records import Message
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.widgets.line import Line, plain

MESSAGES = 300


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StoreWriter]:
    """A session of many messages."""
    made = make_empty_store(tmp_path / "hermes" / "state.db")
    made.session("long", title="A long one", started_at=NOW - 600)
    for number in range(MESSAGES):
        made.message("long", "user", f"number {number} " + "words " * 60, timestamp=NOW - 500 + number)
    yield made
    made.close()


@pytest.fixture
def console(writer: StoreWriter, tmp_path: Path) -> TimmyApp:
    """A console over that store alone."""
    return scenes.console({"HOME": str(tmp_path), "PATH": "", "HERMES_HOME": str(tmp_path / "hermes")})


Laid = list[tuple[int, str, int]]


@pytest.fixture
def laid(monkeypatch: pytest.MonkeyPatch) -> Laid:
    """Every message that is laid out: thread, first words, width."""
    record: Laid = []
    real = transcript_lines._message_lines

    def counted(message: Message, width: int, glyphs: Glyphs) -> list[Line]:
        record.append((threading.get_ident(), message.text[:12].strip(), width))
        return real(message, width, glyphs)

    monkeypatch.setattr(transcript_lines, "_message_lines", counted)
    return record


async def publish(pilot: Pilot[None], tmp_path: Path) -> None:
    """What the store holds now, as the monitor would tell it."""
    app = pilot.app
    assert isinstance(app, TimmyApp)
    store = HermesStore(tmp_path / "hermes", profile="", hours=24, clock=scenes.at_now)
    app.publish(Snapshot(host="mbp", hermes=scenes.fresh(store.read())))
    await pilot.pause()
    await settle(pilot)


async def opened(pilot: Pilot[None], tmp_path: Path, find: str = "") -> SessionScreen:
    await publish(pilot, tmp_path)
    screen = SessionScreen("long", find)
    await pilot.app.push_screen(screen)
    await pilot.pause()
    await settle(pilot)
    return screen


async def test_the_loop_lays_nothing_out(console: TimmyApp, tmp_path: Path, laid: Laid) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, tmp_path)
        await pilot.resize_terminal(90, 30)
        await pilot.pause()
        await settle(pilot)
        assert len(screen.reader._content(86)) > 2 * MESSAGES
    assert {width for _, _, width in laid} == {SIZE[0] - 4, 86}
    assert len(laid) == 2 * MESSAGES
    assert threading.get_ident() not in {thread for thread, _, _ in laid}


async def test_only_new_messages_are_laid_out_again(
    console: TimmyApp, writer: StoreWriter, tmp_path: Path, laid: Laid
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, tmp_path)
        laid.clear()
        writer.message("long", "assistant", "the newest", timestamp=NOW - 5)
        await publish(pilot, tmp_path)
        assert [text for _, text, _ in laid] == ["the newest"]
        assert "the newest" in "\n".join(plain(content) for content in screen.reader._content(SIZE[0] - 4))
        laid.clear()
        for text in ("n", "nu", "number 77 "):
            screen.reader.find(text)
        assert laid == []
        assert any("number 77 " in plain(content) for content in screen.reader.lines)


async def test_news_while_a_transcript_is_laid_out_does_not_overtake_it(
    console: TimmyApp, writer: StoreWriter, tmp_path: Path, laid: Laid
) -> None:
    """A session that changes every second must still be shown when its layout takes longer than that."""
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, tmp_path)
        reads = []
        real = screen._read_once

        async def read_once() -> None:
            reads.append("begun")
            await real()
            reads.append("shown")

        screen._read_once = read_once  # type: ignore[method-assign]
        for _ in range(5):
            screen._read()
            await pilot.pause()
        await settle(pilot)
        assert reads == ["begun", "shown"] * (len(reads) // 2)
        assert reads


async def test_what_was_searched_for_is_in_view_when_the_transcript_is(console: TimmyApp, tmp_path: Path) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, tmp_path, "number 250 ")
        assert any("number 250 " in plain(content) for content in screen.reader.lines)
        assert screen.reader.find_text == "number 250 "


async def test_a_terminal_without_room_lays_it_out_when_there_is_some(
    console: TimmyApp, tmp_path: Path, laid: Laid
) -> None:
    async with console.run_test(size=(3, 2)) as pilot:
        screen = await opened(pilot, tmp_path, "number 250 ")
        assert laid == []
        await pilot.resize_terminal(*SIZE)
        await pilot.pause()
        await settle(pilot)
        await pilot.pause()
        assert len(laid) == MESSAGES
        assert any("number 250 " in plain(content) for content in screen.reader.lines)
