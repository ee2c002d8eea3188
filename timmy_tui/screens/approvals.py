"""What the heartbeat proposed and waits for the operator's word."""

from __future__ import annotations

import asyncio
import getpass
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding

from timmy_tui.masking import masked
from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.heartbeat.approval_records import OPEN, Approval, ApprovalError, ApprovalState
from timmy_tui.services.heartbeat.approvals import Approvals
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.text import clean, span_text
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.list_pane import ListPane
from timmy_tui.widgets.reader import Reader, facts
from timmy_tui.widgets.table import Cell, row

if TYPE_CHECKING:
    from timmy_tui.app import TimmyApp

T = TypeVar("T")

SHOWN = 50
ROLES = {
    "proposed": "warning",
    "approved": "info",
    "running": "info",
    "done": "ok",
    "failed": "critical",
    "rejected": "quiet",
    "expired": "quiet",
    "lost": "critical",
}


class ApprovalsScreen(ConsoleScreen[None]):
    """The proposals, what waits first; below, everything about the one under the cursor."""

    BINDING_GROUP_TITLE = "Approvals"
    DECISIONS = ("approve", "reject")
    HELP = (
        "An action only names an entry of your own actions: list; what would run is shown below. "
        "Nothing of what a model says becomes a part of a command."
    )
    BINDINGS = [
        Binding("a", "approve", "approve", id="approvals.approve", tooltip="Run the action now"),
        Binding("x", "reject", "reject", id="approvals.reject", tooltip="Do not run it"),
        Binding("escape", "dismiss", "back", id="approvals.back"),
    ]
    AUTO_FOCUS = "#proposals"

    proposals = getters.query_one("#proposals", ListPane)
    details = getters.query_one("#reader", Reader)

    def __init__(self) -> None:
        super().__init__()
        self._approvals: dict[str, Approval] = {}
        self._trouble: ApprovalError | None = None
        """Why they can't be read: what is shown is then from before."""

    def compose(self) -> ComposeResult:
        """The list, the details, the keys."""
        yield ListPane("Approvals", id="proposals")
        reader = Reader("What it does", glyphs=self.console.glyphs, id="reader")
        reader.marks_focus = True
        yield reader
        yield KeyLine()

    def on_mount(self) -> None:
        """Read them."""
        self._read()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        self._read()

    def clock_ticked(self, now: float) -> None:
        self._show()

    @on(ListPane.Moved)
    def _moved(self) -> None:
        """What is shown below must be what a key would approve."""
        self._show_details()

    @on(ListPane.Opened)
    def _opened(self) -> None:
        """To the text below, where the arrows scroll."""
        self.set_focus(self.details)

    def _store(self) -> Approvals:
        return Approvals(self.console.settings.database_path, self.console.clock)

    async def _ask(self, question: Callable[[], T]) -> T | None:
        """The answer of the store, or a notification that says why there is none."""
        try:
            return await asyncio.to_thread(question)
        except ApprovalError as error:
            self.notify(f"{error.message}\n{error.hint}".strip(), severity="error", timeout=6, markup=False)
            return None

    @work(group="approvals", exclusive=True, exit_on_error=False, description="read the approvals")
    async def _read(self) -> None:
        try:
            recent = await asyncio.to_thread(self._store().recent, SHOWN)
        except ApprovalError as error:
            self._trouble = error
        else:
            self._trouble = None
            now = self.console.clock()
            waiting = [approval for approval in recent if _state(approval, now) in OPEN]
            rest = [approval for approval in recent if _state(approval, now) not in OPEN]
            self._approvals = {approval.id: approval for approval in (*waiting, *rest)}
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        look, approvals = self.console.view(), self._approvals

        def draw(key: str, width: int) -> Line:
            approval = approvals[key]
            state = _state(approval, look.now)
            age = span_text(look.now - approval.created_at)
            cells = [Cell(approval.tick_id, 17, 2, "quiet", to_right=False), Cell(age, 5, 1, "quiet")]
            return row(line((f"{state:<9} ", ROLES[state])), line((approval.action, "strong")), cells, width)

        nothing = [
            line("Nothing waits for you."),
            EMPTY,
            line(("A decision that names an entry of actions: in the configuration shows here.", "quiet")),
        ]
        trouble: list[Line] = []
        if self._trouble is not None:
            width = max(20, self.size.width - 4)
            trouble = [*wrap(self._trouble.message, width, "critical"), *wrap(self._trouble.hint, width, "strong")]
            nothing = []
        waiting = sum(1 for approval in approvals.values() if _state(approval, look.now) == "proposed")
        status = line((f"{waiting} waiting", "warning")) if waiting else EMPTY
        self.proposals.fill(list(approvals), draw, look, head=trouble, empty=nothing, status=status)
        self._show_details()

    def _show_details(self) -> None:
        chosen = self._chosen()
        self.details.read(lambda width: self._lines(chosen, width), keep_place=True)

    def _chosen(self) -> Approval | None:
        key = self.proposals.cursor_here()
        return self._approvals.get(key) if key else None

    def _lines(self, approval: Approval | None, width: int) -> list[Line]:
        if approval is None:
            return []
        action = self.console.settings.config.actions.get(approval.action)
        command = clean(masked(shlex.join(action.run))) if action else "nothing: no longer in the configuration"
        now = self.console.clock()
        state = _state(approval, now)
        pairs = [("action", approval.action), ("runs", command), ("state", state), ("tick", approval.tick_id)]
        if state == "proposed":
            pairs.append(("expires", f"in {span_text(approval.expires_at - now)}"))
        if approval.decided_by:
            pairs.append(("decided by", approval.decided_by))
        if approval.exit_code is not None:
            pairs.append(("exit code", str(approval.exit_code)))
        out = facts(pairs, width)
        if approval.said:
            out.extend([EMPTY, line(("the model's reasoning", "quiet")), *wrap(approval.said, width)])
        if approval.output:
            out.extend([EMPTY, line(("outcome", "quiet")), *wrap(approval.output, width)])
        return out

    def action_approve(self) -> None:
        """Approve the proposal under the cursor and run it; its real outcome is shown."""
        chosen = self._chosen()
        if chosen is None or chosen.state != "proposed":
            self.notify("Nothing to approve here.", timeout=3, markup=False)
            return
        # Work of the app, not of this screen: leaving the screen must not end the command.
        self.console.run_worker(
            self._approve(self.console, chosen.id),
            group="approved action",
            exit_on_error=False,
            description=f"run {chosen.action}",
        )

    async def _approve(self, console: TimmyApp, id: str) -> None:
        store, operator = self._store(), _operator()
        if await self._ask(lambda: store.approve(id, operator)) is None:
            self._decided(console)
            return
        self._decided(console)
        env = os.environ if console.env is None else console.env
        try:
            ended = await store.run_approved(id, console.settings.config.actions, env)
        except ApprovalError as error:
            console.notify(error.message, severity="error", timeout=8, markup=False)
        else:
            outcome = f", exit code {ended.exit_code}" if ended.exit_code is not None else ""
            told = f"{ended.action}: {ended.state}{outcome}"
            console.notify(told, severity="information" if ended.state == "done" else "error", timeout=6, markup=False)
        self._decided(console)

    @work(group="reject", exit_on_error=False, description="reject an action")
    async def action_reject(self) -> None:
        """Reject the proposal under the cursor."""
        chosen = self._chosen()
        if chosen is None or chosen.state != "proposed":
            self.notify("Nothing to reject here.", timeout=3, markup=False)
            return
        store, operator = self._store(), _operator()
        await self._ask(lambda: store.reject(chosen.id, operator))
        self._decided(self.console)

    def _decided(self, console: TimmyApp) -> None:
        """Something changed: the header's count, and this screen if it is still there."""
        console.monitor.refresh("approvals")
        if self.is_attached:
            self._read()


def _state(approval: Approval, now: float) -> ApprovalState:
    """The state that counts: the store marks what is too old only when a tick passes by."""
    waits = approval.state in ("proposed", "approved")
    return "expired" if waits and approval.expires_at <= now else approval.state


def _operator() -> str:
    try:
        return clean(getpass.getuser(), limit=60)
    except (KeyError, OSError):
        return "operator"
