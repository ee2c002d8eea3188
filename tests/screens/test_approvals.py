"""The operator's word on what the heartbeat proposed: seen, given, run for real, and never run twice."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from payloads import PAYLOADS
from screens import scenes
from screens.scenes import NOW, Stack
from textual.pilot import Pilot

from timmy_tui.app import TimmyApp
from timmy_tui.config import ActionConfig, Settings, load_settings
from timmy_tui.screens import approvals as approvals_screen
from timmy_tui.screens.approvals import ApprovalsScreen
from timmy_tui.screens.dashboard import DashboardScreen
from timmy_tui.screens.dialogs import ConfirmDialog
from timmy_tui.services.heartbeat.approvals import PROPOSAL_S, Approval, Approvals
from timmy_tui.services.monitor import Monitor
from timmy_tui.services.severity import overall
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.widgets.line import plain

SIZE = (120, 40)
DEADLINE_S = 15.0
TICK = "20261120_040400"
SAID = "Ollama has not answered for three looks in a row.\nA restart has helped before."

Compare = Callable[..., bool]


def python(script: str, *, timeout_s: float = 30) -> ActionConfig:
    return ActionConfig(run=(sys.executable, "-c", script), timeout_s=timeout_s)


class Clock:
    """The time of a test."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Desk:
    """A home with approvals, and consoles over it."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.stack = stack
        self.clock = Clock()
        self.env = {**stack.env, "TIMMY_HOME": str(home)}
        self.settings = load_settings(self.env)
        self.store = Approvals(self.settings.database_path, self.clock)

    def console(self, **actions: ActionConfig) -> TimmyApp:
        return TimmyApp(self.configured(**actions), env=self.env, clock=self.clock, live=False)

    def configured(self, **actions: ActionConfig) -> Settings:
        return replace(self.settings, config=replace(self.settings.config, actions=actions))

    def propose(self, action: str, said: str = SAID) -> Approval:
        return self.store.propose(TICK, action, said)[0]

    def snapshot(self) -> Snapshot:
        """Everything well, and what waits."""
        return replace(self.stack.healthy(), approvals=scenes.fresh(self.store.open()))


@pytest.fixture
def desk(stack: Stack, tmp_path: Path) -> Desk:
    return Desk(stack, tmp_path / "timmy")


@pytest.fixture(autouse=True)
def alex(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "alex")


def screen(app: TimmyApp) -> ApprovalsScreen:
    found = app.screen_stack[-1]
    assert isinstance(found, ApprovalsScreen)
    return found


def rows(app: TimmyApp) -> str:
    return "\n".join(plain(content) for content in screen(app).proposals.lines)


def details(app: TimmyApp) -> str:
    return "\n".join(plain(content) for content in screen(app).details.lines)


def toasts(app: TimmyApp) -> list[str]:
    return [notification.message for notification in app._notifications]


async def opened(pilot: Pilot[None], desk: Desk) -> TimmyApp:
    """The screen, from the dashboard."""
    app = pilot.app
    assert isinstance(app, TimmyApp)
    app.publish(desk.snapshot())
    await pilot.pause()
    await pilot.press("p")
    await settled(pilot)
    return app


async def settled(pilot: Pilot[None]) -> None:
    """Until what was started is done and drawn: what that starts in turn as well."""
    while any(not worker.is_finished for worker in pilot.app.workers):
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.01)


async def test_when_nothing_waits_it_says_so_and_no_key_does_anything(desk: Desk) -> None:
    app = desk.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        assert "Nothing waits for you." in rows(app)
        await pilot.press("a", "x")
        await settled(pilot)
        assert toasts(app) == ["Nothing to approve here.", "Nothing to reject here."]
        assert not desk.settings.database_path.exists()
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


async def test_a_proposal_shows_what_would_run_and_why(desk: Desk) -> None:
    desk.propose("restart_ollama")
    app = desk.console(restart_ollama=ActionConfig(run=("systemctl", "restart", "ollama; rm -rf /")))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        assert "proposed  restart_ollama" in rows(app)
        assert "1 waiting" in rows(app)
        text = details(app)
        assert "systemctl restart 'ollama; rm -rf /'" in text  # one argument, and it looks like one
        assert "in 2 h" in text
        assert "Ollama has not answered for three looks in a row." in text
        assert TICK in text


async def test_the_command_runs_and_its_outcome_is_shown(desk: Desk, tmp_path: Path) -> None:
    proposal = desk.propose("restart_ollama")
    script = f"open({str(tmp_path / 'ran')!r}, 'a').write('x'); print('ollama is up'); print('token=abcdefgh12345678')"
    app = desk.console(restart_ollama=python(script))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        await pilot.press("a")
        await settled(pilot)
        assert (tmp_path / "ran").read_text() == "x"
        assert "done      restart_ollama" in rows(app)
        assert "waiting" not in rows(app)
        text = details(app)
        assert "ollama is up" in text
        assert "exit code   0" in text
        assert "decided by  alex" in text
        assert "abcdefgh12345678" not in text
        assert toasts(app) == ["restart_ollama: done, exit code 0"]
        await pilot.press("a")
        await settled(pilot)
        assert toasts(app)[-1] == "Nothing to approve here."
        assert (tmp_path / "ran").read_text() == "x"
        assert desk.store.get(proposal.id).exit_code == 0


async def test_a_command_that_fails_is_told_as_a_failure(desk: Desk) -> None:
    desk.propose("restart_ollama")
    app = desk.console(restart_ollama=python("import sys; print('no such service'); sys.exit(3)"))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        await pilot.press("a")
        await settled(pilot)
        assert "failed    restart_ollama" in rows(app)
        assert "no such service" in details(app)
        assert "exit code   3" in details(app)
        (told,) = app._notifications
        assert (told.message, told.severity) == ("restart_ollama: failed, exit code 3", "error")


async def test_a_command_goes_on_when_its_screen_is_left(desk: Desk, tmp_path: Path) -> None:
    """Leaving a screen ends the work that belongs to it; the command is not of that kind."""
    proposal = desk.propose("slow")
    go = tmp_path / "go"
    app = desk.console(slow=python(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        await pilot.press("a")
        await until(lambda: desk.store.get(proposal.id).state == "running", "the command")
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, DashboardScreen)
        go.touch()
        await settled(pilot)
        assert desk.store.get(proposal.id).state == "done"
        assert toasts(app) == ["slow: done, exit code 0"]


async def test_quitting_asks_while_an_approved_command_runs(desk: Desk, tmp_path: Path) -> None:
    proposal = desk.propose("slow")
    go = tmp_path / "go"
    app = desk.console(slow=python(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        await pilot.press("a")
        await until(lambda: desk.store.get(proposal.id).state == "running", "the command")
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("n")
        await pilot.pause()
        assert not app._exit
        go.touch()
        await settled(pilot)
        await pilot.press("q")
        await pilot.pause()
        assert app._exit


async def test_a_rejected_action_does_not_run(desk: Desk, tmp_path: Path) -> None:
    proposal = desk.propose("restart_ollama")
    app = desk.console(restart_ollama=python(f"open({str(tmp_path / 'ran')!r}, 'w')"))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        await pilot.press("x")
        await settled(pilot)
        assert "rejected  restart_ollama" in rows(app)
        assert "decided by  alex" in details(app)
        await pilot.press("a")
        await settled(pilot)
        assert toasts(app) == ["Nothing to approve here."]
        assert desk.store.get(proposal.id).state == "rejected"
        assert not (tmp_path / "ran").exists()


async def test_what_is_too_old_shows_as_expired_and_cannot_be_approved(desk: Desk, tmp_path: Path) -> None:
    """No tick has passed by since to mark it in the store."""
    proposal = desk.propose("restart_ollama")
    app = desk.console(restart_ollama=python(f"open({str(tmp_path / 'ran')!r}, 'w')"))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        desk.clock.now += PROPOSAL_S
        app.clock_signal.publish(desk.clock())
        await pilot.pause()
        assert "expired   restart_ollama" in rows(app)
        assert "waiting" not in rows(app)
        assert "expires" not in details(app)
        await pilot.press("a")
        await settled(pilot)
        (told,) = toasts(app)
        assert told == "restart_ollama has expired\nA later tick can propose it again"
        assert desk.store.get(proposal.id).state == "proposed"
        assert not (tmp_path / "ran").exists()


async def test_the_second_of_two_consoles_is_told_of_the_first(desk: Desk, tmp_path: Path) -> None:
    proposal = desk.propose("restart_ollama")
    app = desk.console(restart_ollama=python(f"open({str(tmp_path / 'ran')!r}, 'w')"))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        desk.store.reject(proposal.id, "bo")  # on the other console, a moment earlier
        assert "proposed  restart_ollama" in rows(app)
        await pilot.press("a")
        await settled(pilot)
        (told,) = toasts(app)
        assert told.startswith("restart_ollama has been rejected by bo already")
        assert "rejected  restart_ollama" in rows(app)
        assert "decided by  bo" in details(app)
        assert not (tmp_path / "ran").exists()


async def test_an_action_that_left_the_configuration_says_so_and_runs_nothing(desk: Desk) -> None:
    proposal = desk.propose("restart_ollama")
    app = desk.console()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        assert "nothing: no longer in the configuration" in details(app)
        await pilot.press("a")
        await settled(pilot)
        assert desk.store.get(proposal.id).state == "failed"
        assert "restart_ollama is no longer in the configuration's actions" in details(app)


async def test_the_details_are_of_the_row_under_the_cursor(desk: Desk, tmp_path: Path) -> None:
    """What is read below is what the key approves: by keys, by mouse, and after another one came on top."""
    for name in ("first", "second", "third"):
        desk.propose(name, f"Said of {name}.")
        desk.clock.now += 1
    actions = {name: python(f"open({str(tmp_path / name)!r}, 'w')") for name in ("first", "second", "third", "fourth")}
    app = desk.console(**actions)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        assert "Said of third." in details(app)
        await pilot.press("j")
        await pilot.pause()
        assert "Said of second." in details(app)
        await pilot.click("#proposals", offset=(4, 3))
        await pilot.pause()
        assert "Said of first." in details(app)
        desk.propose("fourth", "Said of fourth.")
        app.publish(desk.snapshot())
        await settled(pilot)
        assert "fourth" in rows(app)
        assert "Said of first." in details(app)
        await pilot.press("a")
        await settled(pilot)
        assert [name for name in actions if (tmp_path / name).exists()] == ["first"]


async def test_enter_goes_to_the_text_which_scrolls_to_the_end_of_a_long_outcome(desk: Desk) -> None:
    desk.propose("talk")
    app = desk.console(talk=python("for n in range(60): print('line', n)"))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, desk)
        await pilot.press("a")
        await settled(pilot)
        assert "line 59" not in details(app)
        await pilot.press("enter", "G")
        await pilot.pause()
        assert app.focused is screen(app).details
        assert "line 59" in details(app)
        app.clock_signal.publish(desk.clock())
        await pilot.pause()
        assert "line 59" in details(app)


@pytest.mark.parametrize("name", list(PAYLOADS))
async def test_what_a_model_said_is_text(desk: Desk, name: str) -> None:
    desk.propose("restart_ollama", PAYLOADS[name])
    app = desk.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, desk)
        shown = [content for view in (screen(app).proposals, screen(app).details) for content in view.lines]
        for content in shown:
            assert plain(content).isprintable(), ascii(plain(content))
        assert "the model's reasoning" in details(app)


async def test_markup_in_a_name_and_in_an_output_is_text(desk: Desk) -> None:
    desk.propose("[bold]x[/]", "[red]said[/red]")
    app = desk.console(**{"[bold]x[/]": python("print('[/] out \\x1b[31m')")})
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        assert "[bold]x[/]" in rows(app)
        assert "[red]said[/red]" in details(app)
        await pilot.press("a")
        await settled(pilot)
        assert "[/] out ^[[31m" in details(app)
        assert toasts(app) == ["[bold]x[/]: done, exit code 0"]


async def test_a_database_that_is_none_does_not_look_like_nothing_to_do(desk: Desk) -> None:
    desk.settings.database_path.parent.mkdir(parents=True)
    desk.settings.database_path.write_bytes(b"no database at all" * 400)
    app = desk.console()
    async with app.run_test(size=SIZE) as pilot:
        app.publish(desk.stack.healthy())
        await pilot.press("p")
        await settled(pilot)
        assert "timmy.db" in rows(app)
        assert "Nothing waits for you." not in rows(app)
        app.publish(desk.stack.degraded())
        await settled(pilot)
        assert not any("timmy.db" in told for told in toasts(app))


async def test_the_header_counts_what_waits(desk: Desk) -> None:
    desk.propose("restart_ollama")
    desk.propose("log_top")
    assert overall(desk.snapshot(), NOW).problems == ("2 to approve (p): restart_ollama, log_top",)
    app = desk.console()
    async with app.run_test(size=SIZE) as pilot:
        app.publish(desk.snapshot())
        await pilot.pause()
        header = app.screen_stack[0].header  # type: ignore[attr-defined]
        assert "▲ warning  2 to approve (p): restart_ollama, log_top" in plain(header.lines[0])
        for approval in desk.store.open():
            desk.store.reject(approval.id, "alex")
        app.publish(desk.snapshot())
        await pilot.pause()
        assert "approve" not in plain(header.lines[0])


async def test_the_monitor_brings_what_waits_and_a_decision_makes_it_look_again(desk: Desk) -> None:
    proposal = desk.propose("restart_ollama")
    monitor = Monitor(desk.settings, env=desk.env, clock=desk.clock)
    try:
        snapshot = await monitor.snapshot_once()
    finally:
        await monitor.aclose()
    assert snapshot.approvals.value == (proposal,)


async def test_a_decision_is_asked_for_at_once_everywhere(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.propose("restart_ollama")
    app = desk.console()
    asked: list[str | None] = []
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, desk)
        monkeypatch.setattr(app.monitor, "refresh", lambda name=None: asked.append(name))
        await pilot.press("x")
        await settled(pilot)
        assert asked == ["approvals"]


async def test_a_defect_in_this_screens_work_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_of: object) -> None:
        raise ZeroDivisionError("a defect")

    app = desk.console()
    monkeypatch.setattr(approvals_screen.Approvals, "recent", defect)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("p")
        await settled(pilot)
        assert toasts(app)
        assert toasts(app)[0].startswith("read the approvals failed: ZeroDivisionError")


def filled(desk: Desk) -> TimmyApp:
    """Every state, the newest a proposal whose details show."""
    ids = {}
    for number, name in enumerate(("rotate_logs", "log_top", "restart_gateway", "free_disk", "restart_ollama")):
        desk.clock.now = NOW - 3000 + 600 * number
        ids[name] = desk.propose(name).id
    desk.clock.now = NOW
    desk.store.reject(ids["rotate_logs"], "alex")
    actions = {
        "log_top": ActionConfig(run=("sh", "-c", "echo '12:00 load 4.2'; echo 'ollama 380 %'")),
        "restart_gateway": ActionConfig(run=("sh", "-c", "echo 'unit not found'; exit 5")),
        "free_disk": ActionConfig(run=("docker", "system", "prune", "--force")),
        "restart_ollama": ActionConfig(run=("systemctl", "--user", "restart", "ollama.service")),
    }
    for name in ("log_top", "restart_gateway"):
        desk.store.approve(ids[name], "alex")
        asyncio.run(desk.store.run_approved(ids[name], actions, {"PATH": "/usr/bin:/bin"}))
    return desk.console(**actions)


def showing(desk: Desk, *keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def run(pilot: Pilot[None]) -> None:
        await opened(pilot, desk)
        await pilot.press(*keys)
        await settled(pilot)

    return run


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_picture_empty(snap_compare: Compare, desk: Desk, size: tuple[int, int]) -> None:
    assert snap_compare(desk.console(), terminal_size=size, run_before=showing(desk))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_picture_filled(snap_compare: Compare, desk: Desk, size: tuple[int, int]) -> None:
    assert snap_compare(filled(desk), terminal_size=size, run_before=showing(desk))


def test_picture_outcome(snap_compare: Compare, desk: Desk) -> None:
    assert snap_compare(filled(desk), terminal_size=(120, 40), run_before=showing(desk, "j", "j"))
