"""``timmy-tui usage`` as a process: the table in the terminal's width, the JSON document, the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from payloads import ENCODABLE
from usage_maker import usage_bytes, write_log

from timmy_tui.commands.output import Output
from timmy_tui.commands.usage import run_usage, usage_text
from timmy_tui.config import PriceConfig, PricesConfig, UsageConfig, load_settings
from timmy_tui.glyphs import UNICODE
from timmy_tui.services.usage.reading import UsageSums, read_usage
from timmy_tui.services.usage.summary import BYS, summary

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 20)
PRICES = """usage:
  prices: {date: 2026-11-01, models: {"*": {input: 3.0, output: 15.0}, "llama3.2:3b": {input: 0.1, output: 0.4}}}
"""


class Home:
    """A TIMMY_HOME with a usage log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "metrics" / "local-llm-usage.jsonl"
        self.env = {
            "HOME": str(folder),
            "TIMMY_HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PATH": "",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }

    def write(self, *lines: bytes) -> None:
        write_log(self.log, lines)

    def configure(self, text: str) -> None:
        (self.folder / "tui.yaml").write_text(text)

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "timmy_tui", "usage", *words],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=30,
            check=False,
        )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def at(days_ago: int) -> str:
    """Noon of a day before the process's own today."""
    moment = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_help_has_an_example(home: Home) -> None:
    done = home.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "timmy-tui usage --days 30 --by model\n" in done.stdout.split("Examples:\n")[1]


def test_nothing_in_the_log_is_one_friendly_line(home: Home) -> None:
    done = home.run()
    assert (done.returncode, done.stdout) == (0, f"No calls in the last 7 days in {home.log}\n")
    home.write(usage_bytes(timestamp=at(40)))
    assert home.run("--days", "1").stdout == f"No calls today in {home.log}\n"


def test_a_table_with_a_total_and_the_saving(home: Home) -> None:
    home.configure(PRICES)
    home.write(
        usage_bytes(timestamp=at(0), tokens_in=1_000_000, tokens_out=100_000),
        usage_bytes(timestamp=at(1), model="hermes4:14b", tokens_in=1_000_000, tokens_out=100_000),
        usage_bytes(timestamp=at(1), model="hermes4:14b", success=False, tokens_in=None, tokens_out=None),
        usage_bytes(timestamp=at(9)),
        b"garbage\n",
    )
    done = home.run("--by", "model")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "model           calls      ok      in     out      avg      p95    tok/s      saved",
        "hermes4:14b         2    50 %    1.0M    100k    5.0 s    5.0 s  ~19,920      $4.50",
        "llama3.2:3b         1   100 %    1.0M    100k    5.0 s    5.0 s  ~19,920      $0.14",
        "-" * 83,
        "total               3    67 %    2.0M    200k    5.0 s    5.0 s  ~19,920      $4.64",
        "saving: $4.64 against the prices of 2026-11-01",
        "left out: 1 line of the log that is no call",
    ]


def test_a_narrow_terminal_loses_columns_and_never_a_figure(home: Home) -> None:
    home.write(*(usage_bytes(timestamp=at(day)) for day in range(3)))
    for columns in (50, 60, 72, 90):
        rows = home.run(COLUMNS=str(columns)).stdout.splitlines()[:6]
        assert max(len(row) for row in rows) <= columns
        assert len({len(row) for row in rows}) == 1
        assert rows[0].split()[:2] == ["day", "calls"]
        assert rows[0].split()[-1] == "saved"
        assert rows[-1].split()[:2] == ["total", "3"]


def test_one_json_document_with_units_in_its_names(home: Home) -> None:
    home.configure(PRICES + "  power_watts: 100\n  price_per_kwh: 0.5\n")
    home.write(usage_bytes(timestamp=at(0), eval_sec=4.5, latency_sec=36.0, caller="triage"), b"garbage\n")
    done = home.run("--by", "caller", "--json", "--days", "30")
    assert (done.returncode, done.stderr) == (0, "")
    row = {
        "calls": 1, "succeeded": 1, "failed": 0, "success_share": 1.0, "tokens_in": 3, "tokens_out": 9,
        "average_latency_s": 36.0, "p95_latency_s": 36.0, "tokens_per_s": 2.0, "tokens_per_s_of": "generation",
        "saving": 0.000004, "unpriced_calls": 0, "energy_kwh": 0.001, "local_cost": 0.0005,
    }  # fmt: skip
    assert json.loads(done.stdout) == {
        "days": 30,
        "by": "caller",
        "total": row,
        "rows": [{"caller": "triage", **row}],
        "prices_date": "2026-11-01",
        "currency": "$",
        "bad_lines": 1,
    }


def test_json_of_nothing_has_null_for_what_is_unknown(home: Home) -> None:
    document = json.loads(home.run("--json", "--days", "0").stdout)
    assert (document["rows"], document["days"], document["prices_date"]) == ([], None, None)
    assert document["total"]["calls"] == 0
    assert document["total"]["saving"] is None
    assert document["total"]["p95_latency_s"] is None


@pytest.mark.parametrize("words", [["--days", "-1"], ["--days", "x"], ["--by", "hour"], ["extra"]])
def test_words_that_are_off_are_one_line_and_exit_2(home: Home, words: list[str]) -> None:
    done = home.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('prices: {models: {"*": {input: -1, output: 2}}}', "usage.prices.models[...].input: expected a number of at"),
        (
            'prices: {models: {"*": {inptu: 1, output: 2}}}',
            "unknown key 'usage.prices.models[...].inptu'; did you mean",
        ),
        ("prices: {date: soon}", "usage.prices.date: expected a date such as 2026-11-01"),
    ],
)
def test_a_typo_in_the_price_list_is_one_line_and_exit_2(home: Home, text: str, message: str) -> None:
    home.configure(f"usage: {{{text}}}\n")
    done = home.run()
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_log_that_cannot_be_read_is_one_line_and_exit_1(home: Home) -> None:
    os.makedirs(home.log)
    done = home.run()
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"timmy-tui: Can't read {home.log}")


@pytest.mark.parametrize("width", [50, 80, 120])
def test_hostile_names_reach_the_terminal_as_text_only(home: Home, width: int) -> None:
    home.write(*(usage_bytes(model=text, task_type=text, caller=text) for text in ENCODABLE.values()))
    prices = PricesConfig(None, {"*": PriceConfig(1, 1)})
    usage = UsageConfig(prices, currency="\x1b]0;PWNED\x07")
    for by in BYS:
        shown = usage_text(
            summary(read_usage(home.log), by, usage), 0, str(home.log), Output(True, width, 24, False, UNICODE)
        )
        assert all(character.isprintable() or character == "\n" for character in shown)


def test_nothing_of_a_million_rows_is_wider_than_a_reader_likes() -> None:
    empty = summary(UsageSums(()), "day", UsageConfig())
    wide = replace(empty, total=replace(empty.total, calls=12_345_678), rows=(replace(empty.total, name="n" * 80),))
    text = usage_text(wide, 7, "x", Output(False, 240, 24, False, UNICODE))
    assert max(len(row) for row in text.splitlines()) <= 120


def test_a_day_is_local(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.write(usage_bytes(timestamp="2026-11-19T23:59:59.999Z"), usage_bytes(timestamp="2026-11-20T00:00:00.000Z"))
    assert run_usage(load_settings(home.env), home.env, days=1, by="day", as_json=True, today=TODAY) == 0
    assert json.loads(capsys.readouterr().out)["total"]["calls"] == 1
