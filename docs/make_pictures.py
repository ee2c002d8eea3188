"""Make the README's pictures: the console's own SVG export over the simulated stack, at a fixed moment.

Run by ``make pictures``. The same code gives the same pictures, so a changed picture is a changed screen.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from msgspec.structs import replace

from timmy_tui.app import TimmyApp
from timmy_tui.config import load_settings
from timmy_tui.services.demo.stack import DemoStack
from timmy_tui.services.snapshot import Snapshot

NOW = 1_795_147_500.0
SHOTS: tuple[tuple[str, tuple[int, int], str, tuple[str, ...]], ...] = (
    ("dashboard", (120, 40), "timmy-dark", ()),
    ("dashboard-light", (120, 40), "timmy-light", ()),
    ("split", (50, 40), "timmy-dark", ()),
    ("tick", (120, 36), "timmy-dark", ("3", "enter")),
    ("session", (120, 36), "timmy-dark", ("2", "j", "enter")),
    ("history", (100, 24), "timmy-dark", ("H",)),
    ("usage", (120, 40), "timmy-dark", ("U",)),
    ("review", (110, 30), "timmy-dark", ("r", "c", "x")),
)


async def take(folder: Path, name: str, size: tuple[int, int], theme: str, keys: tuple[str, ...]) -> None:
    """One picture: a fresh stack, a fresh console, the keys, the export."""
    with tempfile.TemporaryDirectory() as home, DemoStack(Path(home), clock=lambda: NOW) as simulated:
        env = {"PATH": os.environ["PATH"], "HOME": home, **simulated}
        settings = load_settings(env, overrides={"theme": theme})
        settings = replace(settings, demo=True)
        app = TimmyApp(settings, env=env, clock=lambda: NOW, live=False)
        async with app.run_test(size=size) as pilot:
            app.publish(still(await app.monitor.snapshot_once()))
            await pilot.pause()
            for key in keys:
                await pilot.press(key)
                await app.workers.wait_for_complete()
                await pilot.pause(0.2)  # the review hears no key so soon after a card came
            app.save_screenshot(filename=f"{name}.svg", path=str(folder))
            await app.monitor.aclose()


def still(snapshot: Snapshot) -> Snapshot:
    """The snapshot without what a clock measured: a picture should not change with the machine it is made on."""
    servers = tuple(
        replace(server, reading=replace(server.reading, value=replace(server.reading.value, latency_ms=3.0)))
        for server in snapshot.ollama
        if server.reading.value is not None
    )
    return replace(snapshot, ollama=servers)


def main() -> None:
    """Write every picture into the folder that is named."""
    os.environ["TZ"] = "UTC"
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, size, theme, keys in SHOTS:
        asyncio.run(take(folder, name, size, theme, keys))
        sys.stdout.write(f"{folder / name}.svg\n")


if __name__ == "__main__":
    main()
