"""The console's driver: Textual's own for Linux and macOS, with the input wall where its parser was."""

from __future__ import annotations

import codecs
import os
import selectors
from typing import TYPE_CHECKING, cast

from textual.drivers.linux_driver import LinuxDriver

from timmy_tui.input_wall import IN_BAND_RESIZE, SYNCHRONISED_OUTPUT, InputWall

if TYPE_CHECKING:
    from timmy_tui.app import TimmyApp

READ_BYTES = 4096
LOOK_S, WAIT_S = 0.1, 0.02
"""How often the thread looks whether it should end, and how often while a sequence waits for its rest."""


class ConsoleDriver(LinuxDriver):
    """Reads the terminal through the wall; a defect in its thread ends the console as a crash."""

    _wall: InputWall | None = None

    def _request_terminal_sync_mode_support(self) -> None:
        self._note_question(SYNCHRONISED_OUTPUT)
        super()._request_terminal_sync_mode_support()

    def _query_in_band_window_resize(self) -> None:
        self._note_question(IN_BAND_RESIZE)
        super()._query_in_band_window_resize()

    def _note_question(self, mode: str) -> None:
        if self._wall is not None:
            self._wall.ask(mode)

    def start_application_mode(self) -> None:
        """Begin, or go on after a suspension, with nothing half read."""
        self._wall = InputWall(self._debug)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the console and is told
            cast("TimmyApp", self._app).crashed(error)

    def run_input_thread(self) -> None:
        """Read until the console ends."""
        wall = self._wall
        assert wall is not None  # start_application_mode made it
        # Bytes that are no UTF-8 must not end the thread (facts/textual.md §3.3), and the wall may know them.
        decode = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(WAIT_S if wall.waits else LOOK_S):
                    data = os.read(self.fileno, READ_BYTES)
                    for message in wall.feed(decode(data)):
                        self.process_message(message)
                    if not data:  # the terminal is closed: SIGHUP or the look at it ends the console
                        self.exit_event.wait(LOOK_S)
                for message in wall.tick():
                    self.process_message(message)
