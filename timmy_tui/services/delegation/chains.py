"""Which models a task may be given to, in what order (the chains of the configuration)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from timmy_tui.services.ollama.records import InstalledModel, LoadedModel


class Choice(Struct, frozen=True):
    """The models of a chain that can be asked, and those that can't."""

    models: tuple[str, ...]
    """Installed names, in the order in which they are asked."""
    missing: tuple[str, ...]


def choose(
    chain: Sequence[str],
    installed: Iterable[InstalledModel],
    loaded: Iterable[LoadedModel] = (),
) -> Choice:
    """The models of ``chain`` that are installed on this server; those in memory first, if ``loaded`` names any.

    A model of Ollama's cloud is never one of them: its answer would come from elsewhere.
    """
    names = {model.name.casefold(): model.name for model in installed if not model.remote}
    found: list[str] = []
    missing: list[str] = []
    for wanted in chain:
        name = names.get(wanted.casefold()) or names.get(f"{wanted}:latest".casefold())
        if name is None:
            missing.append(wanted)
        elif name not in found:
            found.append(name)
    in_memory = {model.name for model in loaded}
    found.sort(key=lambda name: name not in in_memory)
    return Choice(tuple(found), tuple(missing))
