"""A home with ticks and labels for the tests of the export, and what an export of it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hermes_store_maker import StoreWriter, make_empty_store
from tick_maker import tick_tree

from timmy_tui.config import Config, HermesConfig, ReviewConfig, Settings
from timmy_tui.services.export.records import ExportOptions, ExportReport
from timmy_tui.services.export.run import export_datasets
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import candidate_key

AT = "2026-11-20T10:00:00.000001+00:00"

Row = dict[str, object]


class ExportHome:
    """Ticks and label events as a worker and a review write them."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            Config(hermes=HermesConfig(), review=ReviewConfig(sources=("cli",))),
            folder / "timmy",
            folder / "hermes",
            folder / "tui.yaml",
            "",
        )
        self.target = folder / "exports" / "out"
        self.heartbeat = self.settings.heartbeat_dir
        self.heartbeat.mkdir(parents=True, exist_ok=True)
        self.day = self.heartbeat / "ticks_20261120.jsonl"
        self.day.touch()
        self.labels = self.heartbeat / "labels.jsonl"
        self._events = 0

    def tick(self, n: int = 0, *, prompt: str | None = None, response: str | None = None, **extra: object) -> str:
        """Append a tick; the key of its candidate."""
        tree = tick_tree(n, severity="ok", **extra)  # type: ignore[arg-type]
        if prompt is not None:
            tree["prompt"] = prompt
        if response is not None:
            tree["response"] = response
        return self.raw_tick(tree)

    def raw_tick(self, tree: dict[str, object]) -> str:
        with self.day.open("ab") as file:
            file.write(json.dumps(tree).encode() + b"\n")
        prompt, response = tree.get("prompt"), tree.get("response")
        return candidate_key(str(prompt), response if isinstance(response, str) else json.dumps(tree["decision"]))

    def session(self, id: str, prompt: str, answer: str, *, source: str = "cli") -> str:
        """A Hermes session of one exchange; the key of its candidate."""
        database = self.settings.hermes_home / "state.db"
        writer = StoreWriter(database) if database.exists() else make_empty_store(database)
        writer.session(id, source=source, model="hermes4:14b")
        writer.message(id, "user", prompt)
        writer.message(id, "assistant", answer)
        writer.close()
        return candidate_key(prompt, answer)

    def event(self, kind: str, **keys: object) -> str:
        """Append an event; its id."""
        self._events += 1
        event_id = f"e{self._events}"
        tree = {"v": 1, "event_id": event_id, "event": kind, "operator": "alex", "answered_at": AT, **keys}
        with self.labels.open("ab") as file:
            file.write(json.dumps(tree).encode() + b"\n")
        return event_id

    def label(self, candidate: str, word: str = "chosen", **keys: object) -> str:
        return self.event("label", candidate=candidate, label=word, **keys)

    def edit(self, candidate: str, reasoning: str = "All is well.", **keys: object) -> str:
        decision = {"actions": [], "severity": "ok", "reasoning": reasoning}
        return self.event("edit", **{"candidate": candidate, "decision": decision, **keys})

    def prefer(self, candidate: str, preferred: str, response: str = "another", **keys: object) -> str:
        alternative = {"response": response, "model": "other:7b", "provider": "ollama"}
        return self.event("prefer", candidate=candidate, preferred=preferred, alternative=alternative, **keys)

    def export(
        self,
        target: Path | None = None,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        **options: object,
    ) -> ExportReport:
        log = LabelLog(self.labels)
        try:
            return export_datasets(
                self.settings,
                log,
                self.target if target is None else target,
                ExportOptions(**options),  # type: ignore[arg-type]
                should_stop=should_stop,
            )
        finally:
            log.close()

    def rows(self, name: str) -> list[Row]:
        """The rows of one file; none when there is no such file."""
        path = self.target / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def manifest(self) -> dict[str, dict[str, object]]:
        tree: dict[str, dict[str, object]] = json.loads((self.target / "MANIFEST.json").read_text())
        return tree

    def labelled(self) -> set[tuple[str, str, bool]]:
        """Prompt, completion and label of each row for KTO."""
        return {(said(row["prompt"]), said(row["completion"]), bool(row["label"])) for row in self.rows("kto.jsonl")}

    def pairs(self) -> set[tuple[str, str, str]]:
        """Kind, chosen and rejected text of each row for DPO."""
        return {(str(row["pair_kind"]), said(row["chosen"]), said(row["rejected"])) for row in self.rows("dpo.jsonl")}

    def left_behind(self) -> list[str]:
        """What is at the place of the export and beside it."""
        folder = self.target.parent
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def said(messages: object) -> str:
    """The text of a list of one message."""
    assert isinstance(messages, list)
    (message,) = messages
    return str(message["content"])
