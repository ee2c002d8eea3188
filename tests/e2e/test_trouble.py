"""Promise 4: a source that is dead, slow or lying freezes nothing, and never looks healthy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.console import DOWN, ENTER, ESCAPE, Console
from e2e.homes import Home, healthy_bodies, usual_home
from faulty_server import FaultyServer
from tick_maker import tick_line

PANES = ("1 Models", "2 Sessions", "3 Heartbeat", "4 Providers")


def assert_alive(console: Console) -> None:
    """It answers keys, ends when told to, and never showed a traceback."""
    console.press("?")
    console.wait_for("Everywhere")
    console.press(ESCAPE)
    console.wait_for(*PANES)
    assert console.stop() == 0
    assert "Traceback" not in console.output
    assert "internal error" not in console.output


class TestOllama:
    """One console and one server that goes from one trouble to the next; the models' pane tells each."""

    TROUBLES = (
        ("refuse", "connection refused"),
        ("error", "answers 500"),
        ("html", "web page"),
        ("half", "breaks off"),
        ("drop", "breaks off"),
        ("redirect", "sends /api/ps on to"),
        ("hang", "nothing for 1 s"),
        ("drip", "still answering"),
        ("flood", "sends more than"),
    )

    def test_each_trouble_is_told_while_the_old_values_stay(self, home: Home, ollama: FaultyServer) -> None:
        with Console(home.env) as console:
            console.wait_for(*PANES, "● hermes4:14b", "○ qwen3:8b", "morning report", "All services answer")
            for trouble, words in self.TROUBLES:
                ollama.trouble = trouble  # type: ignore[assignment]
                console.wait_until(lambda text, words=words: words in " ".join(_words(text)), words)
                console.wait_for(" old", "last seen", "qwen3:8b", "morning report", "All services answer")
                ollama.trouble = "healthy"
                console.wait_gone("last seen")
            assert_alive(console)

    @pytest.mark.parametrize("trouble", ["refuse", "hang"])
    def test_a_server_that_never_answered_shows_no_model(self, home: Home, ollama: FaultyServer, trouble: str) -> None:
        ollama.trouble = trouble  # type: ignore[assignment]
        with Console(home.env) as console:
            text = console.wait_for("local ✖ down", "does not answer", "morning report")
            assert "qwen3:8b" not in text
            assert_alive(console)


def _words(text: str) -> Iterator[str]:
    """The words of the left column, where a pane's error is wrapped over several rows."""
    for row in text.split("\n"):
        yield from row.split("││")[0].strip("│ ").split()


class TestHermes:
    """The store that Hermes owns: the sessions' pane tells what is wrong with it, the others stay live."""

    def test_missing(self, home: Home) -> None:
        (home.hermes / "state.db").unlink()
        self.check(home, "no store")

    def test_empty_file(self, home: Home) -> None:
        (home.hermes / "state.db").write_bytes(b"")
        self.check(home, "no store")

    def test_corrupt(self, home: Home) -> None:
        (home.hermes / "state.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
        self.check(home, "no store")

    def test_no_database_at_all(self, home: Home) -> None:
        (home.hermes / "state.db").write_bytes(b"<html>\n" * 4_000)
        self.check(home, "no store")

    def test_locked(self, home: Home) -> None:
        path = home.hermes / "state.db"
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=delete")
        connection.execute("PRAGMA locking_mode=exclusive")
        connection.execute("BEGIN EXCLUSIVE")
        try:
            self.check(home, "locked")
        finally:
            connection.close()

    @pytest.mark.parametrize("schema", [14, 26])
    def test_other_schemas_show_their_sessions(self, tmp_path: Path, ollama: FaultyServer, schema: int) -> None:
        home = Home(tmp_path / "home", ollama=ollama.url).configure()
        writer = home.store(schema=schema)
        started = home.now.timestamp() - 60
        writer.session("s1", title="another age", started_at=started, input_tokens=1_200)
        writer.message("s1", "user", "Are you there?", timestamp=started)
        writer.close()
        with Console(home.env) as console:
            console.wait_for(*PANES, "another age", "1.2k")
            console.press("2", ENTER)
            console.wait_for("Are you there?")
            console.press(ESCAPE)
            console.wait_for(*PANES)
            assert_alive(console)

    def check(self, home: Home, words: str) -> None:
        with Console(home.env) as console:
            text = console.wait_for(*PANES, words, "hermes4:14b", "All services answer")
            assert "morning report" not in text
            assert_alive(console)


class TestTickLog:
    def test_every_kind_of_bad_line_is_counted_and_the_good_ones_are_shown(self, home: Home) -> None:
        deep = b'{"tick_id":"deep","perception":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}\n"
        lines = (
            b"garbage\n",
            b"\0" * 4_096 + b"\n",
            b'{"tick_id": "utf8", "reasoning": "\xff\xfe"}\n',
            b"[1, 2, 3]\n",
            b'{"no_tick_id": true}\n',
            b'{"tick_id": "nan", "duration_ms": NaN, "decision": {"severity": "ok"}}\n',
            deep,
            b'{"tick_id": "long", "pad": "' + b"x" * 10_000_000 + b'"}\n',
            tick_line(50, at=home.now, tick_id="twice", severity="ok"),
            tick_line(51, at=home.now, tick_id="twice", severity="ok"),
            tick_line(52, at=home.now, severity="critical", model="last:1b"),
            b'{"tick_id": "torn',
        )
        for line in lines:
            home.tick_bytes(line)
        with Console(home.env) as console:
            console.wait_for(*PANES, "✖ critical", "last:1b", "bad lines", "hermes4:14b")
            console.press("H")
            console.wait_for("Every tick", "last:1b")
            console.press(ESCAPE)
            console.wait_for(*PANES)
            assert_alive(console)

    def test_a_file_of_nothing_but_garbage(self, tmp_path: Path, ollama: FaultyServer) -> None:
        home = Home(tmp_path / "home", ollama=ollama.url).configure()
        home.tick_bytes(b"garbage\n\0\0\0\n" * 1_000)
        with Console(home.env) as console:
            console.wait_for(*PANES, "bad lines", "hermes4:14b")
            assert_alive(console)


class TestPlaces:
    def test_a_home_that_is_no_folder_is_told_in_one_line(self, tmp_path: Path, ollama: FaultyServer) -> None:
        home = Home(tmp_path / "home", ollama=ollama.url)
        home.timmy.write_text("a file, not a folder")
        with Console(home.env) as console:
            assert console.end() == 2
            assert console.output.count("\n") == 1
            assert ".timmy" in console.output

    def test_without_a_place_to_write_everything_else_works(self, home: Home) -> None:
        """The log and the pictures go below a file: not even root can make a folder there."""
        for name in ("logs", "pictures"):
            (home.timmy / name).write_text("a file, not a folder")
        with Console(home.env) as console:
            console.wait_for(*PANES, "● hermes4:14b")
            console.press(":")
            console.wait_for("Search for commands")
            console.press("picture")
            console.wait_for("as an SVG file")
            console.press(DOWN, ENTER)
            console.wait_for("No picture")
            assert_alive(console)
            assert "no log" in console.output

    def test_a_locale_without_utf_8(self, home: Home) -> None:
        env = home.env | {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        with Console(env) as console:
            console.wait_for(*PANES, "o hermes4:14b", "morning report")
            assert_alive(console)
            assert "\\u" not in console.output
            assert console.output.isascii()

    def test_any_size_is_survived(self, home: Home) -> None:
        with Console(home.env) as console:
            console.wait_for(*PANES, "hermes4:14b")
            for columns, rows, told in ((39, 11, "too small"), (10, 3, ""), (1, 1, ""), (2, 40, ""), (200, 2, "")):
                console.resize(columns, rows)
                if told:
                    console.wait_for(told)
                else:
                    console.wait_raw(b"\x1b[", since=len(console.raw))
            console.resize(120, 36)
            console.wait_for(*PANES, "hermes4:14b", "morning report")
            assert_alive(console)

    @pytest.mark.parametrize("size", [(1, 1), (10, 3), (39, 11)])
    def test_a_start_in_a_tiny_terminal(self, home: Home, size: tuple[int, int]) -> None:
        with Console(home.env, columns=size[0], rows=size[1]) as console:
            console.wait_raw(b"\x1b[?2004h")
            console.resize(120, 36)
            console.wait_for(*PANES, "hermes4:14b")
            assert_alive(console)


def test_everything_is_absent(tmp_path: Path) -> None:
    """A machine with nothing: the setup opens by itself and says what to do."""
    with FaultyServer(healthy_bodies()) as ollama:
        ollama.trouble = "refuse"
        with Console(Home(tmp_path / "home", ollama=ollama.url).env) as console:
            console.wait_for("Setup: what was found here", "ollama serve")
            console.press(ESCAPE)
            console.wait_for(*PANES)
            assert_alive(console)


def test_a_source_that_comes_back_is_live_again(tmp_path: Path) -> None:
    with FaultyServer(healthy_bodies()) as ollama:
        ollama.trouble = "refuse"
        with Console(usual_home(tmp_path / "home", ollama.url).env) as console:
            console.wait_for(*PANES, "✖ down", "connection refused")
            ollama.trouble = "healthy"
            console.press("\x12")
            console.wait_for("● hermes4:14b", "qwen3:8b")
            assert_alive(console)
