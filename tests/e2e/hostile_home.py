"""A home in which every string that the console may show is an attack, and the same home with harmless words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from e2e.homes import Home, healthy_bodies, ps, tags
from faulty_server import Answer, FaultyServer
from hermes_store_maker import tool_call
from payloads import LINES, PAYLOADS, SHORT
from tick_maker import tick_line

SAMPLE_NAMES = (
    "osc52-st", "title", "clear", "leave-alt", "reset", "dsr", "c1-osc", "kitty", "return", "rlo", "zero-width",
    "tag", "separators", "action", "close-any", "open-osc",
)  # fmt: skip
"""One of each class that matters to a terminal; together short enough for one line."""


def harmless(names: Mapping[str, str]) -> dict[str, str]:
    """Words instead of attacks; a few are enough to see what Textual writes."""
    return {name: f"x{name}" for name in list(names)[:24]}


class World:
    """Two fake Ollamas and a home; ``attack`` False makes the same world out of harmless words.

    Each place where a string may be shown has two letters of its own (``Mo`` for a model's name) before it, so
    that a test can tell that the place was really seen.
    """

    def __init__(self, folder: Path, *, attack: bool) -> None:
        self.names = SHORT if attack else harmless(SHORT)
        self.lines = LINES if attack else harmless(LINES)
        self.sample = "".join(LINES[name] if attack else f"x{name}" for name in SAMPLE_NAMES)
        self.attack = attack
        self.ollama = FaultyServer()
        self.broken = FaultyServer()
        self.home = Home(folder / ("Hf\x1b]0;PWNED\x07\u202e" if attack else "Hf"), ollama="")

    def __enter__(self) -> World:
        self.ollama.__enter__()
        self.broken.__enter__()
        self._fill_servers()
        self._fill_home()
        return self

    def __exit__(self, *error: object) -> None:
        self.broken.__exit__(None, None, None)
        self.ollama.__exit__(None, None, None)

    def all(self, letters: str) -> list[str]:
        """Every string for the place of these letters."""
        return [letters + text for text in self.names.values()]

    def one(self, letters: str) -> str:
        """A string of many attacks for the place of these letters."""
        return letters + self.sample

    def let_go(self) -> None:
        """The loaded model leaves the memory: an event."""
        self.ollama.bodies["/api/ps"] = ps()

    def mend_profile(self) -> None:
        """The active profile is an existing one again."""
        (self.home.hermes / "active_profile").unlink()

    def _fill_servers(self) -> None:
        first = {"name": self.one("Mo")[:24], "details": {key: self.one("De") for key in _DETAILS}}
        rest = [{"name": name, "details": {"quantization_level": name[:9]}} for name in self.all("Mo")]
        cloud = {"name": self.one("Mc"), "remote_model": self.one("Rm"), "remote_host": self.one("Rh")}
        show = {
            "parameters": "\n".join(f"stop {text}" for text in self.all("Pm") if "\n" not in text),
            "template": "\n".join(self.all("Te")),
            "system": "\n".join(self.all("Sy")),
            "license": "\n".join(self.all("Li")),
            "capabilities": [self.one("Ca")],
            "model_info": {text: text for text in self.all("In")},
        }
        error = Answer(json.dumps({"error": self.one("Er")}), 500)
        self.ollama.bodies.update(
            {
                **healthy_bodies(),
                "/api/tags": tags(first, cloud, *rest),
                "/api/ps": ps(first),
                "/api/show": json.dumps(show),
                "/api/version": json.dumps({"version": self.one("Ve")}),
                "/api/generate": error,
                "/api/pull": error,
                "/api/embed": error,
                "/v1/models": json.dumps({"data": [{"id": self.one("Vm")}]}),
            }
        )
        self.broken.bodies.update({"/api/ps": Answer(json.dumps({"error": self.one("Be")}), 500)})

    def _fill_home(self) -> None:
        home = self.home
        servers = [
            {"name": self.one("Sv")[:20], "url": self.ollama.url},
            {"name": "broken", "url": self.broken.url},
        ]
        home.configure(ollama=servers)
        home.providers(
            {
                "name": "plain",
                "type": "openai",
                "base_url": f"{self.ollama.url}/v1",
                "priority": 1,
                "models": [{"name": self.one("Pi")}],
            },
            *(
                {"name": f"Pn{text}", "type": "ollama", "base_url": self.broken.url, "priority": 2 + index}
                for index, text in enumerate(list(self.lines.values())[:12])
            ),
        )
        self._fill_metrics(home.metrics())
        self._fill_store()
        self._fill_ticks()
        (home.timmy / "heartbeat" / f"ticks_{self.one('Fn')[:60].replace('/', '')}.jsonl").write_bytes(b"{}\n")
        (home.hermes / "active_profile").write_text(self.one("Ap"))

    def _fill_metrics(self, connection: sqlite3.Connection) -> None:
        at = self.home.now.timestamp()
        name = "plain"
        connection.execute(
            "INSERT INTO provider_metrics VALUES (?, 9, 1, 8, 12, ?, 'open', ?, ?)", (name, at + 60, at, self.one("Le"))
        )
        for text in reversed(self.all("Ev")):
            data = json.dumps({"provider": name, "error": text})
            connection.execute(
                "INSERT INTO event_log (event_type, source, data, timestamp) VALUES (?, ?, ?, ?)",
                (f"Et{text[2:]}"[:50], name, data, at),
            )
        connection.close()

    def _fill_store(self) -> None:
        writer = self.home.store()
        now = self.home.now.timestamp()
        for index, text in enumerate(self.names.values()):
            at = now - 1_000 - index
            writer.session(
                f"s{index}", title=f"Ti{text}", source=f"So{text}", model=f"Hm{text}", started_at=at, ended_at=at + 1
            )
        top = "topid"
        writer.session(self.one("Id"), source=self.one("So"), model=None, started_at=now - 600, ended_at=now - 599)
        writer.session(
            top, title=self.one("Ti"), source=self.one("So"), model=self.one("Hm"), started_at=now - 500,
            ended_at=now - 1, end_reason=self.one("En"), parent_session_id=self.one("Pa"), input_tokens=5,
        )  # fmt: skip
        for text in self.names.values():
            call = tool_call(f"c{text}", f"Tn{text}"[:60], {f"Ta{text}": text})
            writer.message(top, "user", f"needle Me{text}", timestamp=now - 400)
            writer.message(
                top, "assistant", "", tool_calls=json.dumps([call]), reasoning=f"Re{text}",
                finish_reason=f"Fi{text}"[:30], timestamp=now - 300,
            )  # fmt: skip
            writer.message(
                top, "tool", f"Tr{text}", tool_call_id=f"c{text}", tool_name=f"Tn{text}", timestamp=now - 200
            )
        writer.message(top, self.one("Ro"), "last", timestamp=now - 100)
        writer.close()

    def _fill_ticks(self) -> None:
        home, now = self.home, self.home.now
        for index, text in enumerate(self.names.values()):
            at = now - timedelta(minutes=3 + index)
            decision = {"severity": f"Sr{text}", "reasoning": f"Su{text}", "actions": []}
            home.tick_bytes(tick_line(index, at=at, decision=decision, model=f"Mt{text}", dpo_label=f"Lb{text}"), at)
        surrogate = {
            "severity": "ok",
            "reasoning": "Su" + (PAYLOADS["surrogate"] if self.attack else "x"),
            "actions": [],
        }
        home.tick_bytes(tick_line(98, at=now - timedelta(minutes=2), decision=surrogate), now - timedelta(minutes=2))
        at = now - timedelta(minutes=1)
        decision = {"severity": "critical", "reasoning": self.one("Rs"), "actions": self.all("Ac")}
        home.tick_bytes(
            tick_line(
                99,
                at=at,
                tick_id=self.one("Tk"),
                decision=decision,
                actions=self.all("Ac"),
                perception={f"Pk{text}": {f"Pk{text}": f"Pv{text}"} for text in self.names.values()},
                prompt="\n".join(self.all("Pr")),
                response="\n".join(self.all("Rp")),
                provider=self.one("Pd"),
                model=self.one("Mt"),
                session_id=self.one("Se"),
                host=self.one("Ht"),
                writer=self.one("Wr"),
                trigger=self.one("Tg"),
                attempts=[{"provider": self.one("At"), "error": text, "duration_ms": 1} for text in self.all("Ae")],
            ),
            at,
        )


_DETAILS = ("family", "parameter_size", "quantization_level", "parent_model")
