"""The record that every tick has in the queue, from the wish for it to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from timmy_tui.services.worker.app import keyed_values, value_of
from timmy_tui.services.worker.queue import QueueAddress, read_value
from timmy_tui.services.worker.records import REQUEST_PREFIX, RequestRecord
from timmy_tui.text import clean

if TYPE_CHECKING:
    from huey import Huey

RECORD_MAX_BYTES = 8_192


def put_record(huey: Huey, record: RequestRecord) -> None:
    """Write ``record`` over what was there. Raises what the storage raises, as everything here with a ``huey``."""
    huey.storage.put_data(REQUEST_PREFIX + record.id, msgspec.json.encode(record))


def claim(huey: Huey, record: RequestRecord) -> bool:
    """Write ``record`` unless there is one of its id already; whether it was written. Atomic among all workers."""
    return bool(huey.storage.put_if_empty(REQUEST_PREFIX + record.id, msgspec.json.encode(record)))


def record_of(huey: Huey, id: str) -> RequestRecord | None:
    """The record of one request."""
    value = value_of(huey, REQUEST_PREFIX + id)
    return None if value is None else decoded(value)


def records_of(huey: Huey) -> list[RequestRecord]:
    """All records."""
    return list(_known(keyed_values(huey, REQUEST_PREFIX)))


def peek_record(address: QueueAddress, id: str) -> RequestRecord | None:
    """The record of one request, read without opening the queue for writing. Raises ``QueueUnreadable``."""
    value = read_value(address, REQUEST_PREFIX + id)
    return None if value is None else decoded(value)


def decoded(value: bytes) -> RequestRecord | None:
    """A record as it may be shown; None for what is none."""
    if len(value) > RECORD_MAX_BYTES:
        return None
    try:
        record = msgspec.json.decode(value, type=RequestRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return replace(
        record,
        host=clean(record.host, limit=80),
        phase=None if record.phase is None else clean(record.phase, limit=40),
        tick_id=None if record.tick_id is None else clean(record.tick_id, limit=80),
        error=None if record.error is None else clean(record.error),
    )


def _known(values: Mapping[str, bytes]) -> Iterable[RequestRecord]:
    for key, value in values.items():
        record = decoded(value)
        if record is not None and key == REQUEST_PREFIX + record.id:
            yield record
