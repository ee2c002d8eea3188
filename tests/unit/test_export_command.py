"""``timmy-tui export``: what stands on which stream, and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from export_home import ExportHome
from tick_maker import tick_line

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> ExportHome:
    home = ExportHome(tmp_path)
    home.label(home.tick(1, prompt="P", response="one"))
    home.label(home.tick(2, prompt="Q", response="two"), "rejected", operator="sam")
    return home


def environment(home: ExportHome) -> dict[str, str]:
    return {
        "HOME": str(home.settings.timmy_home.parent),
        "TIMMY_HOME": str(home.settings.timmy_home),
        "HERMES_HOME": str(home.settings.hermes_home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def export(home: ExportHome, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "timmy_tui", "export", *words]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False, timeout=60)


def test_it_tells_what_it_wrote_in_a_few_lines(home: ExportHome) -> None:
    home.label(home.tick(3), "skipped")
    done = export(home, str(home.target))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"wrote {home.target}",
        "  1 chosen, 1 rejected, 0 edited; pairs: none",
        "  kto.jsonl                       2",
        "  llamafactory_kto.jsonl          2",
        "  sft.jsonl                       1",
        "  ticks/                          3",
        "  left out: skipped (1)",
        "  note: 0 cross-tick pairs possible: prompts differ",
    ]


def test_json_is_the_manifest_and_nothing_else(home: ExportHome) -> None:
    words = ("--json", "--format", "sft", "--format", "kto", "--since", "2026-11-20", "--split", "0.25")
    done = export(home, str(home.target), *words, "--no-redact", "--operator", "alex")
    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads(done.stdout)
    assert manifest == home.manifest()
    assert manifest["options"] == {
        "formats": ["kto", "sft"],
        "since": "2026-11-20",
        "operator": "alex",
        "split": 0.25,
        "redact": False,
    }


def test_an_earlier_export_is_replaced_only_when_asked_to(home: ExportHome) -> None:
    assert export(home, str(home.target)).returncode == 0
    done = export(home, str(home.target))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"timmy-tui: {home.target} exists already: an earlier export; Name another folder, or use --replace\n"
    )
    assert export(home, str(home.target), "--replace").returncode == 0


def test_nothing_labelled_is_one_line_and_exit_code_1(home: ExportHome) -> None:
    home.labels.unlink()
    done = export(home, str(home.target))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ('timmy-tui: Nothing is labelled yet; Press r in the console: "c" chosen, "r" rejected\n')
    assert not home.target.parent.exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["out", "--format", "csv"],
        ["out", "--since", "yesterday"],
        ["out", "--split", "1"],
        ["out", "--split", "-0.1"],
        ["out", "--split", "nan"],
        ["out", "more"],
    ],
)
def test_words_that_are_off_are_usage_errors(home: ExportHome, words: list[str]) -> None:
    done = export(home, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("timmy-tui: ")
    assert done.stderr.count("\n") == 1


def test_help_shows_examples(home: ExportHome) -> None:
    done = export(home, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert "timmy-tui export out --format kto" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_nothing_left_behind(home: ExportHome, number: signal.Signals) -> None:
    with home.day.open("ab") as day:
        for n in range(100, 160):
            day.write(b"".join(tick_line(n * 1000 + more) for more in range(500)))
    process = subprocess.Popen(
        [sys.executable, "-m", "timmy_tui", "export", str(home.target)],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not home.target.parent.exists() and time.monotonic() < until:
        os.sched_yield()
    process.send_signal(number)
    out, told = process.communicate(timeout=30)
    assert out == ""
    assert process.returncode == (130 if number == signal.SIGINT else 1)
    assert told == ("" if number == signal.SIGINT else told)
    assert number == signal.SIGINT or "The export was stopped; nothing was written" in told
    assert not home.target.parent.exists()


def test_progress_is_shown_where_somebody_looks_and_wiped(home: ExportHome) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "timmy_tui", "export", str(home.target)]
    done = subprocess.run(command, env=environment(home), stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    shown = os.read(ours, 65_536)
    os.close(ours)
    assert done.returncode == 0
    assert b"reading" in shown
    assert shown.endswith(b"\r\x1b[K")
