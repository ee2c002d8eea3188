"""A proposed action runs once, after one person's yes, and its real outcome is told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from timmy_tui.config import ActionConfig
from timmy_tui.services.appending import write_lock
from timmy_tui.services.database import open_database
from timmy_tui.services.events import recent_events
from timmy_tui.services.heartbeat.approvals import APPROVED_S, PROPOSAL_S, Approval, ApprovalError, Approvals

NOW = 1_795_144_500.0

RUNNER = """
import asyncio, sys
from pathlib import Path
from timmy_tui.config import ActionConfig
from timmy_tui.services.heartbeat.approvals import Approvals
action = ActionConfig(run=("sh", "-c", 'echo $$ > "$0"; exec sleep 600', sys.argv[3]), timeout_s=600)
asyncio.run(Approvals(Path(sys.argv[1])).run_approved(sys.argv[2], {"restart": action}))
"""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def approvals(tmp_path: Path, clock: Clock) -> Approvals:
    return Approvals(tmp_path / "timmy.db", clock)


def proposed(approvals: Approvals, action: str = "restart") -> Approval:
    approval, new = approvals.propose("20261120_031500", action, "Ollama does not answer.")
    assert new
    return approval


def approved(approvals: Approvals) -> Approval:
    return approvals.approve(proposed(approvals).id, "alex")


def marking(tmp_path: Path, code: int = 0) -> dict[str, ActionConfig]:
    """An action that leaves a line behind for every time it ran."""
    script = f'echo ran >> "$0"; echo "on stdout"; echo "token=abcdefgh12345678" >&2; exit {code}'
    return {"restart": ActionConfig(run=("sh", "-c", script, str(tmp_path / "ran")))}


def a_runner(database: Path, id: str, started: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", RUNNER, str(database), id, str(started)])


def times_run(tmp_path: Path) -> int:
    path = tmp_path / "ran"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_proposal_waits_for_the_operator(approvals: Approvals) -> None:
    approval = proposed(approvals)
    assert (approval.state, approval.action, approval.said) == ("proposed", "restart", "Ollama does not answer.")
    assert approvals.open() == approvals.recent() == (approval,)


def test_a_database_that_is_not_there_holds_no_proposals_and_is_not_made(approvals: Approvals, tmp_path: Path) -> None:
    assert approvals.open() == ()
    assert not (tmp_path / "timmy.db").exists()


def test_a_repeated_proposal_does_not_pile_up(approvals: Approvals, clock: Clock) -> None:
    first = proposed(approvals)
    clock.now += PROPOSAL_S - 1
    again, new = approvals.propose("20261120_051459", "restart", "Still down.")
    assert not new
    assert again.id == first.id
    assert again.expires_at == clock.now + PROPOSAL_S
    assert len(approvals.recent()) == 1
    assert approvals.propose("20261120_051459", "log_top", "Load.")[1]


def test_after_a_rejection_it_can_be_proposed_again(approvals: Approvals) -> None:
    approvals.reject(proposed(approvals).id, "alex")
    assert approvals.open() == ()
    proposed(approvals)


def test_two_consoles_cannot_both_approve(approvals: Approvals) -> None:
    id = proposed(approvals).id
    start = threading.Barrier(6)
    won: list[str] = []
    refused: list[str] = []

    def console(name: str) -> None:
        start.wait()
        try:
            (approvals.approve if name != "eve" else approvals.reject)(id, name)
            won.append(name)
        except ApprovalError as error:
            refused.append(error.message)

    threads = [threading.Thread(target=console, args=(name,)) for name in ("alex", "bo", "cy", "di", "eve", "flo")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == 5
    assert approvals.get(id).decided_by == won[0]
    assert won[0] in refused[0]


def test_an_expired_proposal_can_no_longer_be_approved(approvals: Approvals, clock: Clock) -> None:
    id = proposed(approvals).id
    clock.now += PROPOSAL_S
    with pytest.raises(ApprovalError, match="expired"):
        approvals.approve(id, "alex")
    assert approvals.open() == ()
    assert [ended.state for ended in approvals.expire()] == ["expired"]
    assert approvals.expire() == ()


async def test_a_key_pressed_long_ago_runs_nothing_now(approvals: Approvals, clock: Clock, tmp_path: Path) -> None:
    id = approved(approvals).id
    clock.now += APPROVED_S
    with pytest.raises(ApprovalError):
        await approvals.run_approved(id, marking(tmp_path))
    assert [ended.state for ended in approvals.expire()] == ["expired"]
    assert times_run(tmp_path) == 0


async def test_the_real_outcome_is_recorded(approvals: Approvals, clock: Clock, tmp_path: Path) -> None:
    id = approved(approvals).id
    clock.now += 5
    ended = await approvals.run_approved(id, marking(tmp_path))
    assert (ended.state, ended.exit_code, ended.decided_by) == ("done", 0, "alex")
    assert ended.output == "on stdout\ntoken=***"
    assert (ended.started_at, ended.finished_at) == (clock.now, clock.now)
    assert approvals.open() == ()


async def test_a_failing_command_is_an_outcome(approvals: Approvals, tmp_path: Path) -> None:
    ended = await approvals.run_approved(approved(approvals).id, marking(tmp_path, code=3))
    assert (ended.state, ended.exit_code) == ("failed", 3)
    assert ended.output is not None
    assert ended.output.startswith("exit code 3")


async def test_a_command_that_does_not_end_is_ended(approvals: Approvals) -> None:
    action = ActionConfig(run=("sleep", "600"), timeout_s=0.05)
    ended = await approvals.run_approved(approved(approvals).id, {"restart": action})
    assert (ended.state, ended.exit_code) == ("failed", None)
    assert "0.05 s" in (ended.output or "")


async def test_an_action_that_left_the_configuration_runs_nothing(approvals: Approvals) -> None:
    ended = await approvals.run_approved(approved(approvals).id, {})
    assert ended.state == "failed"
    assert "no longer in the configuration" in (ended.output or "")


@pytest.mark.parametrize("state", ["proposed", "rejected"])
async def test_what_was_not_approved_does_not_run(approvals: Approvals, tmp_path: Path, state: str) -> None:
    id = proposed(approvals).id
    if state == "rejected":
        approvals.reject(id, "alex")
    with pytest.raises(ApprovalError):
        await approvals.run_approved(id, marking(tmp_path))
    assert times_run(tmp_path) == 0


async def test_it_runs_once_whoever_asks(approvals: Approvals, clock: Clock, tmp_path: Path) -> None:
    id = approved(approvals).id
    other = Approvals(tmp_path / "timmy.db", clock)
    runs = [runner.run_approved(id, marking(tmp_path)) for runner in (approvals, other, approvals, other)]
    ended = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(one) for one in ended].count(ApprovalError) == 3
    with pytest.raises(ApprovalError):
        await other.run_approved(id, marking(tmp_path))
    assert times_run(tmp_path) == 1


@pytest.fixture
async def waiting(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a runner has begun to wait for its lock; it waits as long as the test may take."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def lock(path: Path, *, wait_s: float) -> AbstractContextManager[int]:
        loop.call_soon_threadsafe(begun.set)
        return write_lock(path, wait_s=2.0)

    monkeypatch.setattr("timmy_tui.services.heartbeat.approvals.write_lock", lock)
    return begun


async def test_waiting_for_the_runners_lock_holds_nobody_else_up(
    approvals: Approvals, waiting: asyncio.Event, tmp_path: Path
) -> None:
    id = approved(approvals).id
    with write_lock(tmp_path / "running" / f"{id}.lock"):
        run = asyncio.ensure_future(approvals.run_approved(id, marking(tmp_path)))
        await waiting.wait()
    assert (await run).state == "done"


async def test_a_runner_cancelled_while_it_waits_keeps_no_lock(
    approvals: Approvals, waiting: asyncio.Event, tmp_path: Path
) -> None:
    id = approved(approvals).id
    with write_lock(tmp_path / "running" / f"{id}.lock"):
        run = asyncio.ensure_future(approvals.run_approved(id, marking(tmp_path)))
        await waiting.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert (await approvals.run_approved(id, marking(tmp_path))).state == "done"


async def test_what_runs_when_its_runner_dies_is_lost_and_not_run_again(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "timmy.db")
    id = approved(approvals).id
    started = tmp_path / "started"
    os.mkfifo(started)
    runner = a_runner(tmp_path / "timmy.db", id, started)
    command_pid = int(await asyncio.to_thread(started.read_text))
    try:
        assert approvals.expire() == ()  # it lives
        assert approvals.get(id).state == "running"
        assert not approvals.propose("20261120_032500", "restart", "Still down.")[1]
        runner.kill()
        runner.wait()
        assert [ended.state for ended in approvals.expire()] == ["lost"]
    finally:
        os.kill(command_pid, signal.SIGKILL)
    with pytest.raises(ApprovalError, match="lost"):
        await approvals.run_approved(id, marking(tmp_path))
    assert times_run(tmp_path) == 0
    proposed(approvals)


async def test_every_step_is_an_event(approvals: Approvals, clock: Clock, tmp_path: Path) -> None:
    await approvals.run_approved(approved(approvals).id, marking(tmp_path))
    approvals.reject(proposed(approvals).id, "alex")
    proposed(approvals)
    clock.now += PROPOSAL_S
    approvals.expire()
    types = [event.event_type.removeprefix("action_") for event in reversed(recent_events(tmp_path / "timmy.db", 20))]
    assert types == ["proposed", "approved", "started", "done", "proposed", "rejected", "proposed", "expired"]


def test_an_unknown_id_and_a_damaged_database_are_told(approvals: Approvals, tmp_path: Path) -> None:
    proposed(approvals)
    with pytest.raises(ApprovalError, match="no proposal"):
        approvals.approve("nonsense", "alex")
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ApprovalError, match=r"broken\.db"):
        Approvals(tmp_path / "broken.db").recent()


def test_rows_of_another_programs_are_safe_to_show(approvals: Approvals, tmp_path: Path) -> None:
    connection = open_database(tmp_path / "timmy.db")
    connection.execute(
        "INSERT INTO approvals (id, action, state, created_at, expires_at, exit_code)"
        " VALUES ('../../x', 'a' || char(27) || '[2J', 'running', 'yesterday', 1e12, 'three')"
    )
    connection.close()
    (found,) = approvals.recent()
    assert (found.action, found.created_at, found.exit_code) == ("a^[[2J", 0.0, None)
    assert [ended.state for ended in approvals.expire()] == ["lost"]
    assert not (tmp_path.parent / "x.lock").exists()
