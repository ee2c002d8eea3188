"""Pictures of the screen belong to the operator alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from timmy_tui.services.appending import AppendError
from timmy_tui.services.pictures import save_picture

NOW = 1_795_144_500.25


@pytest.fixture
def lax_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("lax_umask")
def test_a_picture_is_private_whatever_the_umask(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "timmy" / "pictures", "<svg>é</svg>", NOW)
    assert path.read_text(encoding="utf-8") == "<svg>é</svg>"
    assert path.suffix == ".svg"
    assert [place.stat().st_mode & 0o777 for place in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_no_picture_is_written_over_another(tmp_path: Path) -> None:
    first = save_picture(tmp_path, "first", NOW)
    with pytest.raises(AppendError, match="File exists"):
        save_picture(tmp_path, "second", NOW)
    assert first.read_text() == "first"
    assert save_picture(tmp_path, "second", NOW + 1).name > first.name


def test_where_no_folder_can_be_made_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(AppendError, match="pictures"):
        save_picture(tmp_path / "pictures", "", NOW)
