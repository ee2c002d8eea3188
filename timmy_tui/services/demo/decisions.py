"""What the simulated models say: decisions about a perception, and a plain answer to anything else."""

from __future__ import annotations

import json
import re

from msgspec import Struct

from timmy_tui.text import Json

DISK_WARNING_PCT = 90


class Verdict(Struct, frozen=True):
    """A decision before it is written down."""

    severity: str
    reasoning: str
    actions: tuple[str, ...] = ()

    def document(self) -> dict[str, Json]:
        """The decision as the tick record has it."""
        return {"actions": list(self.actions), "severity": self.severity, "reasoning": self.reasoning}

    def text(self) -> str:
        """The decision as a model writes it."""
        return json.dumps(self.document(), ensure_ascii=False)


_CALM = (
    "All services answer and the disk has room.",
    "Nothing changed that matters: Gitea answers, the models are loaded, load is low.",
    "Everything is within its limits; there is nothing to do.",
    "Load and memory are normal for this hour, the queue is empty.",
    "Hermes and Ollama answer, the disk has room, no task is waiting.",
)

_DISK = re.compile(r'"?disk_used_pct"?\s*[:=]\s*(\d+)')
_GITEA_DOWN = re.compile(r'"?gitea_alive"?\s*[:=]\s*false', re.IGNORECASE)
_LOAD = re.compile(r'"?load"?\s*[:=]\s*\[\s*(\d+(?:\.\d+)?)')


def verdict_for(perception: dict[str, Json], turn: int = 0) -> Verdict:
    """What a sensible model makes of a perception; ``turn`` varies the words of a calm one."""
    health = perception.get("model_health")
    if perception.get("gitea_alive") is False:
        return Verdict(
            "critical",
            "Gitea does not answer on port 3000, so no push or review can go through. Everything else is up.",
            ("ALERT: gitea is down", "restart_gitea"),
        )
    if isinstance(health, dict) and health.get("ollama_running") is False:
        return Verdict("critical", "Ollama does not answer; no model can decide.", ("ALERT: ollama is down",))
    disk = perception.get("disk_used_pct")
    if isinstance(disk, int | float) and disk >= DISK_WARNING_PCT:
        host = perception.get("host", "this machine")
        return Verdict(
            "warning",
            f"Disk on {host} is at {disk} %, everything else answers.",
            ("ALERT: disk filling",),
        )
    load = perception.get("load")
    first = load[0] if isinstance(load, list) and load else 0
    if isinstance(first, int | float) and first > 8:
        return Verdict("warning", f"Load is {first} on 8 cores and rising; a long job may be stuck.", ("log_top",))
    return Verdict("ok", _CALM[turn % len(_CALM)])


def rules_verdict(perception: dict[str, Json]) -> Verdict:
    """What the hard-coded rules say when no model could be asked."""
    by_rules = verdict_for(perception)
    told = "nothing is out of its limits." if by_rules.severity == "ok" else by_rules.reasoning
    return Verdict("fallback", f"No model could decide; by the rules: {told}", by_rules.actions)


def answer_text(prompt: str, *, wants_json: bool = False) -> str:
    """The completion of any prompt: a decision where one is asked for, else a short plain answer."""
    if not (wants_json or "severity" in prompt.lower()):
        return (
            "The change reads well. Two remarks: the retry loop has no upper bound, and the error of the "
            "second call is swallowed; raise it with the name of the file that failed."
        )
    perception: dict[str, Json] = {"gitea_alive": re.search(r'"?gitea_alive"?\s*[:=]\s*false', prompt, re.I) is None}
    disk, load = _DISK.search(prompt), _LOAD.search(prompt)
    if disk:
        perception["disk_used_pct"] = int(disk[1])
    if load:
        perception["load"] = [float(load[1])]
    return verdict_for(perception, turn=len(prompt)).text()
