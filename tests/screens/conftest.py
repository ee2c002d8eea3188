"""The console at one fixed moment, over a demo home that is written once for all tests here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from screens.scenes import Stack


@pytest.fixture(scope="session", autouse=True)
def utc_for_all() -> Iterator[None]:
    """The demo home is written before any test's own environment is there; its days are those of UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(autouse=True)
def utc(own_environment: None) -> None:
    """Each test's environment says UTC as well."""
    time.tzset()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, utc_for_all: None) -> Stack:
    """A demo home and what its sources say. No test writes to it."""
    return Stack(tmp_path_factory.mktemp("demo"))
