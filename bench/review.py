"""The review over a year of ticks: how soon a card shows, what it costs, what is exported; and ``kill -9``."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import msgspec
from e2e.homes import Home as KillHome
from e2e.review_driver import GUARD_S, CardLine, Sitting, card_line, card_on, deal, write_cards

from bench import ROOT
from bench.figures import Row, milliseconds, percentile, say, within
from bench.home import DAY_S, Home, make_home
from bench.process import rss_bytes
from bench.servers import server
from bench.start import CONSOLE
from bench.terminal import Terminal, python, watch
from timmy_tui.config import load_settings
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.review.desk import ReviewDesk
from timmy_tui.services.review.queue import QueueFilter

CANDIDATES = 100_000
DAYS = 365
LABELS = 20_000
"""In the log that the console finds, all of older ticks."""

EXPORTED = 60_000

FIRST_CARD_LIMIT_S = 1.0
NEXT_CARD_LIMIT_S = 0.05
FILTER_LIMIT_S = 0.2
MEMORY_LIMIT_BYTES = 100 * 10**6
ROWS_PER_S = 20_000
KILLS, QUICK_KILLS = 50, 5
CARDS_PER_KILL = 20
"""On the average: each round ends at a random card of twice as many."""

READY_S = 60.0
CALM_S = 2.5
"""A console that has written nothing but its clock for so long has read what there is to read."""

PATIENCE_S = 2.0

CTRL_U = b"\x15"

_CONFIG = """\
heartbeat: {every_minutes: 1440}
worker: {autostart: false}
session_export: {enabled: false}
"""
_MODELS = ("hermes4:14b", "qwen3:8b", "llama3.2:3b")
_SEVERITIES = ("ok", "ok", "ok", "warning", "ok", "ok", "critical")
_WORDS = ("chosen", "rejected", "chosen", "skipped")
_TOLD = (
    "All services answer and nothing has changed since the last look.\nNo action is needed.",
    "The disk of the build host fills slowly; everything else answers.\nWorth a look this week.",
)
_CARD = re.compile(rb"card-(\d{6})")

_EXPORT = """\
import json, os, sys, time
from pathlib import Path
from timmy_tui.config import load_settings
from timmy_tui.services.export.records import ExportOptions
from timmy_tui.services.export.run import export_datasets
from timmy_tui.services.labels.log import LabelLog
def kb(name):  # not ru_maxrss: that begins with what the parent had
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
settings, labels = load_settings(os.environ), LabelLog(Path(sys.argv[1]))
before = kb("VmRSS:")
started = time.perf_counter()
report = export_datasets(settings, labels, Path(sys.argv[2]), ExportOptions())
took_s = time.perf_counter() - started
print(json.dumps({"took_s": took_s, "grown_bytes": (kb("VmHWM:") - before) * 1024, "files": report.files}))
"""


def bench_review(quick: bool) -> list[Row]:
    """One home of a year; the parts one after another."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="timmy-bench-")))
        url = stack.enter_context(server("ollama"))
        home = make_home(folder / "year", url, ticks=0)
        (home.root / "timmy" / "tui.yaml").write_text(_CONFIG)
        keys = _write_year(home)
        _write_words(home.heartbeat / "labels.jsonl", random.Random(1).sample(keys[2_000:], LABELS))
        rows = [_first_card(home, rounds=4 if quick else 12)]
        _while_indexing(home, answers=40)
        rows += _sitting(home, answers=40 if quick else 200)
        rows.insert(2, _filters(home))
        words = folder / "words.jsonl"
        _write_words(words, random.Random(2).sample(keys, EXPORTED))
        rows += _export(home, words, folder / "datasets")
        rows.append(_kills(folder, url, QUICK_KILLS if quick else KILLS))
    return rows


def _write_year(home: Home) -> list[tuple[str, str]]:
    """A hundred thousand different candidates, spread evenly over the year; key and tick id, the newest first."""
    newest = datetime.now(UTC).astimezone() - timedelta(minutes=1)
    keys: list[tuple[str, str]] = []
    size = 0
    for last in range(CANDIDATES, 0, -5_000):  # the oldest first, as they are written
        cards = [_year_card(number, newest) for number in range(last - 5_000, last)]
        write_cards(home.heartbeat, cards)
        keys[:0] = [(card.candidate, card.tick_id) for card in cards]
        size += sum(len(card.line) for card in cards)
    days = len(list(home.heartbeat.glob("ticks_*.jsonl")))
    say(
        f"review: {CANDIDATES:,} ticks of {size / CANDIDATES / 1e3:.1f} kB in {days} files, {LABELS:,} of them labelled"
    )
    return keys


def _year_card(number: int, newest: datetime) -> CardLine:
    severity = _SEVERITIES[number % len(_SEVERITIES)]
    told = _TOLD[severity != "ok"]
    at = newest - timedelta(seconds=number * (DAYS - 1) * DAY_S / CANDIDATES)
    return card_line(number, at, told, decided={"severity": severity}, model=_MODELS[number % len(_MODELS)])


def _write_words(path: Path, keys: Sequence[tuple[str, str]]) -> None:
    """Labels by two operators, given over the days before yesterday."""
    began = time.time() - 12 * DAY_S
    with path.open("wb") as file:
        for n, (candidate, tick_id) in enumerate(keys):
            shown_at = began + n * 10 * DAY_S / len(keys)
            event = {
                "v": 1,
                "event_id": f"bench-{n}",
                "event": "label",
                "candidate": candidate,
                "tick_id": tick_id,
                "label": _WORDS[n % len(_WORDS)],
                "note": "",
                "shown_at": _iso(shown_at),
                "answered_at": _iso(shown_at + 2),
                "operator": ("alex", "alex", "alex", "kim")[n % 4],
                "app": "0.1.0",
            }
            file.write(msgspec.json.encode(event) + b"\n")
            if n % 100 == 0:  # kim is of another opinion
                other = event | {"event_id": f"bench-other-{n}", "operator": "kim", "label": "rejected"}
                file.write(msgspec.json.encode(other) + b"\n")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


class _Review:
    """A console whose cards are told apart in the bytes, as they arrive: a terminal emulator would be too slow."""

    def __init__(self, home: Home) -> None:
        self.terminal = Terminal([*CONSOLE, "--operator", "alex"], home.env())
        self.card = -1
        self.seen_at = 0.0
        self.unheard = 0

    def __enter__(self) -> _Review:
        self.terminal.__enter__()
        self.settle()
        return self

    def __exit__(self, *error: object) -> None:
        self.terminal.__exit__(None, None, None)

    def settle(self) -> None:
        """Until the dashboard shows its ticks, and then for a while."""
        end = time.perf_counter() + READY_S
        while time.perf_counter() < end:
            watch([self.terminal], 0.5)
            self.terminal.catch_up()
            if " labelled" in self.terminal.text():
                watch([self.terminal], CALM_S)
                self.terminal.catch_up()
                return
        raise RuntimeError(f"no labels on the dashboard after {READY_S} s:\n{self.terminal.text()}")

    def open(self) -> float:
        """Seconds from ``r`` to the first card."""
        at = self.terminal.write(b"r")
        end = at + 10
        while time.perf_counter() < end:
            watch([self.terminal], 0.3)
            seen_at = self.terminal.first(lambda terminal: card_on(terminal.text()) is not None)
            if seen_at is not None:
                self.card, self.seen_at = card_on(self.terminal.text()) or 0, seen_at
                return seen_at - at
        raise RuntimeError(f"no card:\n{self.terminal.text()}")

    def answer(self, key: bytes, later_s: float = 0.0) -> float:
        """Seconds from a key, pressed so long after it counts, to the end of what shows the next card."""
        while (left := self.seen_at + GUARD_S + later_s - time.perf_counter()) > 0:
            watch([self.terminal], left)
        return self.press(key)

    def press(self, key: bytes) -> float:
        """Seconds from a key, pressed now, to another card."""
        for _ in range(3):
            begun = len(self.terminal.chunks)
            at = self.terminal.write(key)
            watch([self.terminal], PATIENCE_S, lambda begun=begun: self._other(begun) is not None)  # type: ignore[misc]
            found = self._other(begun)
            if found is not None:
                self.seen_at, self.card = found
                return self.seen_at - at
            self.unheard += 1
        self.terminal.catch_up()
        raise RuntimeError(f"no card behind card {self.card}:\n{self.terminal.text()}")

    def _other(self, begun: int) -> tuple[float, int] | None:
        """When the bytes since a chunk showed another card, and which."""
        data = b""
        for at, chunk in self.terminal.chunks[begun:]:
            data += chunk
            for found in _CARD.findall(data):
                if int(found) != self.card:
                    return at, int(found)
        return None

    def says(self, word: str) -> bool:
        """Whether the screen's first line has a word."""
        self.terminal.catch_up()
        return word in self.terminal.screen.display[0]

    def wait_indexed(self) -> float:
        """Until every file was read; returns how long that took from now."""
        began = time.perf_counter()
        while self.says("indexed"):
            if time.perf_counter() - began > READY_S:
                raise RuntimeError(f"not indexed:\n{self.terminal.text()}")
            watch([self.terminal], 0.2)
        return time.perf_counter() - began


def _first_card(home: Home, rounds: int) -> Row:
    took_s: list[float] = []
    for _ in range(rounds):
        with _Review(home) as review:
            took_s.append(review.open())
            if review.card != 0:
                raise RuntimeError(f"the first card is {review.card}")
    say(f"review: from r to the first card {milliseconds(median(took_s))} (median),"
        f" {milliseconds(max(took_s))} (worst of {rounds})")  # fmt: skip
    return within("from r to the first card, 100,000 candidates in 365 files", max(took_s), FIRST_CARD_LIMIT_S, "worst")


def _while_indexing(home: Home, answers: int) -> None:
    """A sitting that begins at once, while all the older files are still read."""
    with _Review(home) as review:
        review.open()
        began = time.perf_counter()
        took_s: list[float] = []
        ended = ""
        while len(took_s) < answers and review.says("indexed"):
            try:
                took_s.append(review.answer(_key(len(took_s))))
            except RuntimeError as error:
                ended = str(error)
                break
        indexed_s = time.perf_counter() - began
        whole_s = indexed_s + review.wait_indexed()
    if ended:
        say(f"review: while indexing, after {len(took_s)} answers: {ended}")
    if took_s:
        say(f"review: while the rest is indexed ({whole_s:.1f} s), key to next card {milliseconds(median(took_s))}"
            f" (median), {milliseconds(percentile(took_s, 0.95))} (p95), {milliseconds(max(took_s))} (worst)"
            f" of {len(took_s)} answers")  # fmt: skip


def _sitting(home: Home, answers: int) -> list[Row]:
    """One console: what it needs more than its dashboard, how fast it answers, and new filters."""
    with _Review(home) as review:
        before = rss_bytes(review.terminal.pid)
        review.open()
        whole_s = review.wait_indexed()
        watch([review.terminal], 1.0)
        indexed = rss_bytes(review.terminal.pid)
        # Out of step with what an answer sets off 150 ms later: the label log's watcher, a new snapshot.
        answers_s = [review.answer(_key(n), 0.037 * (n % 19)) for n in range(50)]
        grown = rss_bytes(review.terminal.pid) - before
        answers_s += [review.answer(_key(n), 0.037 * (n % 19)) for n in range(max(0, answers - 50))]
        hasty_s = [review.answer(_key(n)) for n in range(40)]
        say(f"review: answers as fast as keys count: {milliseconds(median(hasty_s))} (median),"
            f" {milliseconds(percentile(hasty_s, 0.95))} (p95)")  # fmt: skip
        say(f"review: indexed after {whole_s:.1f} s, {(indexed - before) / 1e6:.1f} MB more than the dashboard's"
            f" {before / 1e6:.1f}; key to next card {milliseconds(median(answers_s))} (median),"
            f" {milliseconds(max(answers_s))} (worst of {len(answers_s)}), {review.unheard} keys were not heard;"
            f" load {os.getloadavg()[0]:.1f}")  # fmt: skip
        filters_s = list(_filters_on_screen(review))
    say(f"review: enter in the filter dialog to the first card {milliseconds(median(filters_s))} (median),"
        f" {milliseconds(max(filters_s))} (worst of {len(filters_s)})")  # fmt: skip
    return [
        within("key to next card, fsync and all", percentile(answers_s, 0.95), NEXT_CARD_LIMIT_S, "p95"),
        within("a filter, from enter to its first card on the screen", max(filters_s), FILTER_LIMIT_S, "worst"),
        Row(
            "memory of the review, indexed and 50 answers on",
            f"{grown / 1e6:.1f} MB",
            f"dashboard + {MEMORY_LIMIT_BYTES / 1e6:.0f} MB",
            grown / MEMORY_LIMIT_BYTES,
            1.0,
        ),
    ]


def _filters_on_screen(review: _Review) -> Iterator[float]:
    """Texts that stand in a hundred or in all cards, one after the other; a key that was not heard counts in full."""
    terminal = review.terminal
    for text in ("card-0500", "card-0321", "card-", "disk of the build", "card-0999"):
        watch([terminal], GUARD_S * 2)
        terminal.write(b"f")
        _until_text(terminal, "Which cards?", "fallbacks")
        watch([terminal], 0.3)
        terminal.write(b"\t")
        watch([terminal], 0.3)
        terminal.write(CTRL_U)
        watch([terminal], 0.3)
        terminal.write(text.encode())
        _until_text(terminal, f" {text} ")
        watch([terminal], 0.3)
        yield review.press(b"\r")


def _until_text(terminal: Terminal, *wanted: str) -> None:
    end = time.perf_counter() + 10
    while time.perf_counter() < end:
        terminal.catch_up()
        if all(part in terminal.text() for part in wanted):
            return
        watch([terminal], 0.1)
    raise RuntimeError(f"no {wanted}:\n{terminal.text()}")


def _key(n: int) -> bytes:
    return (b"c", b"x", b"s")[n % 3]


def _filters(home: Home) -> Row:
    """The queue of each filter, made in this process."""
    settings = load_settings(home.env()).with_operator("alex")
    labels = LabelLog(settings.heartbeat_dir / "labels.jsonl")
    labels.poll()
    desk = ReviewDesk(settings, labels, time.time)
    started = time.perf_counter()
    desk.index.build()
    built_s = time.perf_counter() - started
    entries = desk.index.entries
    if len(entries) < CANDIDATES:
        raise RuntimeError(f"{len(entries)} candidates")
    day = datetime.fromtimestamp(entries[len(entries) // 2].at, UTC).date()
    filters = {
        "unlabelled": QueueFilter(),
        "not by me": QueueFilter(show="not by me"),
        "all": QueueFilter(show="all", fallbacks=True),
        "a text in few": QueueFilter(text="card-0500"),
        "a text in none": QueueFilter(text="nowhere to be found"),
        "a severity": QueueFilter(severity="critical"),
        "a model": QueueFilter(model=_MODELS[1]),
        "a day": QueueFilter(day=day),
        "chosen": QueueFilter(show="chosen"),
        "disputed": QueueFilter(show="disputed"),
        "second look": QueueFilter(show="second look"),
        "edited": QueueFilter(show="edited"),
    }
    worst_s: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for name, wanted in filters.items():
        for _ in range(3):
            started = time.perf_counter()
            queue = desk.queue(wanted)
            queue.next_open(-1)
            worst_s[name] = max(worst_s.get(name, 0.0), time.perf_counter() - started)
        sizes[name] = queue.left
    told = ", ".join(f"{name} {milliseconds(took_s)} ({sizes[name]:,})" for name, took_s in worst_s.items())
    say(f"review: index {built_s:.1f} s ({CANDIDATES / built_s / 1e3:.0f}k ticks a second), {labels.fold.events:,}"
        f" label events; filters: {told}")  # fmt: skip
    name = max(worst_s, key=worst_s.__getitem__)
    return within(
        "a filter over 100,000 candidates with 20,000 labels", worst_s[name], FILTER_LIMIT_S, f"worst: {name}"
    )


def _export(home: Home, words: Path, target: Path) -> list[Row]:
    """All datasets of 60,000 labels, in a process of its own."""
    command = python("-c", _EXPORT, str(words), str(target))
    done = subprocess.run(command, env=home.env(), cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        say(f"review: no export: {done.stderr.decode(errors='replace')[-2_000:]}")
        return [Row("export of 60,000 labels, rows per second", "failed", f"{ROWS_PER_S:,}", 0.0, 1.0, at_least=True)]
    told = json.loads(done.stdout)
    rows = sum(count for _, count in told["files"])
    per_s = rows / told["took_s"]
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    files = ", ".join(f"{name} {count:,}" for name, count in told["files"] if "/" not in name)
    say(f"review: exported {rows:,} rows, {size / 1e6:.0f} MB in {told['took_s']:.1f} s; at its peak with"
        f" {told['grown_bytes'] / 1e6:.0f} MB more memory than before; {files}")  # fmt: skip
    name = f"export of {EXPORTED:,} labels over {CANDIDATES:,} ticks, rows per second"
    return [Row(name, f"{per_s:,.0f}", f"{ROWS_PER_S:,}", per_s / ROWS_PER_S, 1.0, at_least=True)]


def _kills(folder: Path, url: str, rounds: int) -> Row:
    """A reviewer whose console is killed again and again."""
    home = KillHome(folder / "killed", ollama=url).configure()
    heartbeat = home.timmy / "heartbeat"
    cards = deal(heartbeat, rounds * CARDS_PER_KILL * 2 + 10, now=home.now)
    sitting = Sitting(home.env, heartbeat, cards, seed=20)
    started = time.perf_counter()
    for _ in range(rounds):
        sitting.round(sitting.chance.randint(1, 2 * CARDS_PER_KILL - 1))
    left = sitting.go_on()
    took_s = time.perf_counter() - started
    lost, doubled = sitting.check()
    for told in sitting.found:
        say(f"review: {told}")
    say(f"review: {sitting.kills} kills in {took_s:.0f} s: {len(sitting.seen):,} answers were seen to be taken,"
        f" {len(sitting.in_doubt)} more were on their way, {left:,} of {len(cards):,} cards are left")  # fmt: skip
    wrong = max(lost + doubled, len(sitting.found))
    name = f"{rounds} kill -9, {len(sitting.seen):,} answers: lost or doubled"
    return Row(name, f"{wrong}", "0", float(wrong), 0.0)
