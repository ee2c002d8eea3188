"""What stands beside the store that is read: other profiles in use, and cron jobs that failed (hermes-jobs.md §A2)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from timmy_tui.services.hermes.profiles import DATABASE_NAME, ROOT_PROFILE, HermesPlace
from timmy_tui.services.hermes.records import FailedJob
from timmy_tui.text import clean, clean_error

IN_USE_S = 24 * 3600.0
"""A profile whose store changed within the last day is in use."""

JOBS_MAX_BYTES = 5_000_000
PROFILES_LIMIT, JOBS_LIMIT = 200, 1_000

_FAILED = ("error", "failed")


def other_profiles(place: HermesPlace, now: float) -> tuple[str, ...]:
    """The profiles besides the one at ``place`` whose store changed within :data:`IN_USE_S`, by name."""
    root = place.folder if place.profile is None else place.folder.parent.parent
    try:
        folders = sorted(entry.name for entry in os.scandir(root / "profiles") if entry.is_dir())[:PROFILES_LIMIT]
    except OSError:
        folders = []
    found = [clean(name, limit=60) for name in folders if _used(root / "profiles" / name, now)]
    if place.profile is not None and _used(root, now):
        found.insert(0, ROOT_PROFILE)
    return tuple(name for name in found if name != (place.profile or ROOT_PROFILE))


def failed_jobs(folder: Path) -> tuple[FailedJob, ...]:
    """The enabled jobs of ``cron/jobs.json`` whose last run failed; none where it is missing or unreadable."""
    try:
        with (folder / "cron" / "jobs.json").open("rb") as file:
            tree = json.loads(file.read(JOBS_MAX_BYTES).decode("utf-8-sig", "replace"), strict=False)
    except (OSError, ValueError, RecursionError):
        return ()
    listed = tree.get("jobs") if isinstance(tree, dict) else tree
    entries = listed[:JOBS_LIMIT] if isinstance(listed, list) else []
    return tuple(_failed(entry for entry in entries if isinstance(entry, dict)))


def _failed(entries: Iterator[dict[str, object]]) -> Iterator[FailedJob]:
    for job in entries:
        if job.get("enabled") is False or str(job.get("last_status") or "").lower() not in _FAILED:
            continue
        name = next((job[key] for key in ("name", "id", "job_id") if isinstance(job.get(key), str) and job[key]), "?")
        error = job.get("last_error")
        told = clean_error(" ".join(error.split()), limit=200) if isinstance(error, str) else ""
        yield FailedJob(clean(str(name), limit=60), told)


def _used(folder: Path, now: float) -> bool:
    for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal"):
        try:
            if now - os.stat(folder / name).st_mtime < IN_USE_S:
                return True
        except OSError:
            continue
    return False
