"""Messages of the queue, read without running anything: a pickle may name any callable of any module.

Huey's own message and plain values are all that a queue of ours holds; whatever names something else, or is damaged,
is no message. It is set aside, so that it stops nobody and can be looked at.
"""

from __future__ import annotations

import io
import logging
import pickle
import uuid
from typing import TYPE_CHECKING

from huey import Huey
from huey.exceptions import HueyException
from huey.serializer import Serializer

from timmy_tui.services.worker.records import BAD_PREFIX
from timmy_tui.text import clean

if TYPE_CHECKING:
    from huey.api import Task

MESSAGE_MAX_BYTES = 1_000_000

_ALLOWED = frozenset(
    {
        ("huey.registry", "Message"),
        ("datetime", "datetime"),
        ("datetime", "date"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
    }
)

log = logging.getLogger(__name__)


class BadMessage(HueyException):  # type: ignore[misc]
    """What is no message of Huey's with plain values; the text says why, on one line."""


class _PlainUnpickler(pickle.Unpickler):
    """Builds Huey's message and plain values, and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise BadMessage(f"it names {clean(f'{module}.{name}', limit=80)}")
        return super().find_class(module, name)

    def persistent_load(self, pid: object) -> object:
        raise BadMessage("it refers to something outside")


def plain(data: bytes) -> object:
    """What a message or a stored value says. Raises :class:`BadMessage` and nothing else."""
    if len(data) > MESSAGE_MAX_BYTES:
        raise BadMessage(f"it has {len(data):,} bytes")
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except BadMessage:
        raise
    except Exception as error:  # noqa: BLE001 -- damaged pickles raise whatever they like
        raise BadMessage(f"it is damaged ({type(error).__name__})") from None


class PlainSerializer(Serializer):  # type: ignore[misc]
    """Huey's serializer, reading by :func:`plain`."""

    def _deserialize(self, data: bytes) -> object:
        return plain(bytes(data))


class PlainHuey(Huey):  # type: ignore[misc]
    """A queue whose bad messages are set aside instead of stopping whoever takes them."""

    def dequeue(self) -> Task | None:
        """The next task; None when there is none, or none that is one."""
        data = self.storage.dequeue()
        return None if data is None else self._task_or_aside(data)

    def read_schedule(self, timestamp: object = None) -> list[Task]:
        """The tasks whose later time has come."""
        found = (self._task_or_aside(data) for data in self.storage.read_schedule(timestamp or self._get_timestamp()))
        return [task for task in found if task is not None]

    def _task_or_aside(self, data: bytes) -> Task | None:
        try:
            return self.deserialize_task(data)
        except (HueyException, TypeError, ValueError, AttributeError, LookupError) as error:
            self._set_aside(bytes(data), error)
            return None

    def _set_aside(self, data: bytes, error: Exception) -> None:
        log.warning("a message of the queue is none and is set aside: %s: %s", error, clean(repr(data[:40])))
        self.storage.put_data(f"{BAD_PREFIX}{uuid.uuid4().hex}", data[:MESSAGE_MAX_BYTES])
