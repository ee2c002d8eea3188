"""A diff is read as git and ``diff`` write it, whatever stands around it and in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from timmy_tui.services.code_review.diff import Diff, FileDiff, parse_diff
from timmy_tui.services.code_review.file_names import header_names

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def run(folder: Path, *words: str, ok: tuple[int, ...] = (0, 1)) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "me@here" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, check=False)
    assert done.returncode in ok, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape")


def git(folder: Path, *words: str) -> str:
    return run(folder, "git", *words)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", ".")
    return tmp_path


def commit(folder: Path, message: str = "a change") -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def only(diff: Diff) -> FileDiff:
    (file,) = diff.files
    return file


def signed(file: FileDiff) -> list[tuple[str, int | None, int | None, str]]:
    return [tuple(line) for hunk in file.hunks for line in hunk.numbered()]


# What git writes of any edit is read back.

NASTY = [
    *("", "-- a/x", "++ b/x", "-", "+", " ", "@@ -1,9 +1,9 @@", "diff --git a/x b/x", "\\ No newline at end of file"),
    *(
        "\r",
        "x\r",
        "\ty",
        "\u2028",
        "\x0c",
        "\x1b[31mred",
        "--- a/x",
        "Binary files a and b differ",
        "é",
        "-- ",
        "\x85",
    ),
]
file_lines = st.lists(st.sampled_from([*NASTY, "one", "two", "three"]) | st.text(max_size=3), max_size=14)


def as_file(lines: list[str], newline: bool) -> bytes:
    return ("\n".join(lines) + ("\n" if newline and lines else "")).encode("utf-8", "replace")


def lines_of(content: bytes) -> list[str]:
    lines = content.decode().split("\n")
    return lines[:-1] if not lines[-1] else lines


@settings(max_examples=120)
@given(file_lines, file_lines, st.booleans(), st.booleans(), st.integers(0, 3), st.booleans())
def test_what_git_makes_of_an_edit_is_read_back(
    old: list[str], new: list[str], old_newline: bool, new_newline: bool, context: int, within: bool
) -> None:
    new = old[: len(old) // 2] + new + old[len(old) // 2 + 1 :] if within else new
    with TemporaryDirectory() as name:
        folder = Path(name)
        before, after = as_file(old, old_newline).replace(b"\0", b"0"), as_file(new, new_newline).replace(b"\0", b"0")
        (folder / "old").write_bytes(before)
        (folder / "new").write_bytes(after)
        text = git(folder, "diff", "--no-index", "--text", "--no-color", f"-U{context}", "--", "old", "new")
    if before == after:
        assert not text
        return
    diff = parse_diff(f"From me\n\n{text}-- \n2.39.5\n")
    assert diff.notes == ()
    file = only(diff)
    assert (file.path, file.old_path) == ("new", "old")
    old_lines, new_lines = lines_of(before), lines_of(after)
    rebuilt: list[str] = []
    done = 0
    for hunk in file.hunks:
        for sign, old_number, new_number, shown in hunk.numbered():
            if sign == "\\":
                continue
            if old_number is not None:
                rebuilt += old_lines[done : old_number - 1]
                done = old_number
                assert old_lines[old_number - 1] == shown
            elif not any(line[0] in " -" for line in hunk.lines):  # -U0: a hunk of added lines alone
                rebuilt += old_lines[done : hunk.old_start]
                done = max(done, hunk.old_start)
            if new_number is not None:
                assert new_lines[new_number - 1] == shown
                rebuilt.append(shown)
                assert len(rebuilt) == new_number
    assert rebuilt + old_lines[done:] == new_lines


FRAGMENTS = [
    *("diff --git a/x b/x", 'diff --git "a/\\303\\251" b/x', "diff --cc x", "--- a/x", "+++ b/x", "+++ /dev/null"),
    *("@@ -1,2 +1,2 @@ def f():", "@@ -0,0 +1 @@", "@@@ -1 -1 +1 @@@", "@@ -1,999999999 +1 @@", "new file mode 160000"),
    *("rename from a", "rename to b", "old mode 1", "Binary files a/x and b/x differ", "Binary files  differ"),
    *("GIT binary patch", "Submodule x 1234567..89abcde:", " one", "-one", "+two", "\\ No", "", "commit 12", "diff -u"),
    *('--- "', '+++ "a\\', "diff --git ", "diff --cc ", "* Unmerged path x", "rename to ", "@@ -9999999999 +1 @@"),
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=40), st.sampled_from(["\n", "\r\n"]))
@example(["diff --git a/x b/x", "@@ -1 +1 @@"], "\n")
def test_no_text_makes_the_parser_fail(lines: list[str], end: str) -> None:
    for file in parse_diff(end.join(lines)).files:
        assert isinstance(file.why_not_reviewed, str)
        assert file.path.isprintable()
        for line in signed(file):
            assert line[0] in " +-\\"


@given(st.text())
def test_no_text_at_all_makes_the_parser_fail(text: str) -> None:
    parse_diff(text)


# Kinds of changes, by real git.


def test_a_new_a_deleted_a_moved_and_an_executable_file(repository: Path) -> None:
    (repository / "gone").write_text("a\n")
    (repository / "old name").write_text("one\ntwo\nthree\nfour\n")
    (repository / "tool").write_text("x\n")
    (repository / "same").write_text("one\ntwo\nthree\nfive\nsix\n")
    commit(repository)
    (repository / "gone").unlink()
    (repository / "old name").rename(repository / "new name")
    (repository / "new name").write_text("one\ntwo\n3\nfour\n")
    (repository / "same").rename(repository / "moved")
    (repository / "tool").chmod(0o755)
    (repository / "fresh").write_text("b\n")
    (repository / "empty").touch()
    commit(repository)
    diff = parse_diff(git(repository, "show", "--find-renames"))
    told = {file.path: (file.status, file.why_not_reviewed) for file in diff.files}
    assert told == {
        "gone": ("deleted", "deleted"),
        "new name": ("renamed", ""),
        "moved": ("renamed", "renamed without a change"),
        "tool": ("modified", "only its mode changed"),
        "fresh": ("added", ""),
        "empty": ("added", "no changed lines"),
    }
    (renamed,) = [file for file in diff.files if file.path == "new name"]
    assert renamed.old_path == "old name"
    assert ("-", 3, None, "three") in signed(renamed)
    assert ("+", None, 3, "3") in signed(renamed)


@pytest.mark.parametrize(
    "name", ["spécial.py", 'a "quoted" one', "with space", "b/x", "tab\there", "two  b/x", "日本.txt"]
)
@pytest.mark.parametrize("options", [[], ["--no-prefix"], ["--src-prefix=i/", "--dst-prefix=w/"]])
@pytest.mark.parametrize("binary", [False, True])
def test_names_of_all_kinds(repository: Path, name: str, options: list[str], binary: bool) -> None:
    from timmy_tui.text import clean

    path = repository / name
    path.parent.mkdir(exist_ok=True)
    for content in (b"\0" if binary else b"a\n", b"\0b" if binary else b"b\n"):  # once added, once changed
        path.write_bytes(content)
        git(repository, "add", "--all")
        file = only(parse_diff(git(repository, "diff", "--cached", *options)))
        assert (file.path, file.binary) == (clean(name), binary)
        git(repository, "commit", "--quiet", "--message", "x")
    path.unlink()
    file = only(parse_diff(git(repository, "diff", *options)))
    assert (file.path, file.status) == (clean(name), "deleted")


def test_a_binary_patch_is_binary(repository: Path) -> None:
    (repository / "logo").write_bytes(bytes(range(256)))
    (repository / "z").write_text("a\n")
    git(repository, "add", "--all")
    logo, other = parse_diff(git(repository, "diff", "--cached", "--binary")).files
    assert (logo.why_not_reviewed, other.why_not_reviewed) == ("binary", "")


def test_a_submodule_is_named_and_not_read(repository: Path) -> None:
    commit(repository)
    head = git(repository, "rev-parse", "HEAD").strip()
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},lib/sub")
    for option in ("--submodule=short", "--submodule=log"):
        file = only(parse_diff(git(repository, "diff", "--cached", option)))
        assert (file.path, file.why_not_reviewed) == ("lib/sub", "a submodule")


def test_a_conflict_is_skipped_and_told(repository: Path) -> None:
    for branch, word in (("main", "a"), ("other", "b"), ("main", "c")):
        if word != "a":
            git(repository, "checkout", "--quiet", *(["-b"] if branch == "other" else []), branch)
        (repository / "f").write_text(f"{word}\n--- a/x\n")
        commit(repository)
    git(repository, "merge", "other")
    diff = parse_diff(git(repository, "diff"))
    assert only(diff).why_not_reviewed == "a merge's combined diff"
    assert only(diff).path == "f"


def test_a_log_has_a_file_as_often_as_it_changed(repository: Path) -> None:
    for number in (1, 2, 3):
        (repository / "f").write_text(f"{number}\n")
        commit(repository, f"change {number}\n\ndiff --git is a command\n--- a/f is a line of a diff\n@@ -1 +1 @@")
    diff = parse_diff(git(repository, "log", "-p"))
    assert [file.path for file in diff.files] == ["f", "f", "f"]
    assert diff.notes == ()


def test_a_mail_and_its_signature(repository: Path) -> None:
    (repository / "f").write_text("a\n")
    commit(repository)
    file = only(parse_diff(git(repository, "format-patch", "--root", "--stdout")))
    assert signed(file) == [("+", None, 1, "a")]


def test_colours_are_taken_out(repository: Path) -> None:
    (repository / "f").write_text("a\n")
    commit(repository)
    (repository / "f").write_text("b\n")
    assert signed(only(parse_diff(git(repository, "diff", "--color")))) == [("-", 1, None, "a"), ("+", None, 1, "b")]


def test_a_missing_newline_is_told_where_it_is(repository: Path) -> None:
    (repository / "f").write_text("a")
    commit(repository)
    (repository / "f").write_text("a\n")
    remark = ("\\", None, None, "\\ No newline at end of file")
    assert signed(only(parse_diff(git(repository, "diff")))) == [("-", 1, None, "a"), remark, ("+", None, 1, "a")]


# `diff`, and diffs that went through other hands.


@pytest.mark.skipif(shutil.which("diff") is None, reason="needs diff")
def test_plain_diffs_of_folders(tmp_path: Path) -> None:
    for side, files in {"old": {"f.c": "a\nb\n", "gone": "x\n"}, "new": {"f.c": "a\nc\n", "fresh": "y\n"}}.items():
        (tmp_path / side).mkdir()
        for name, text in files.items():
            (tmp_path / side / name).write_text(text)
    told = {file.path: file.status for file in parse_diff(run(tmp_path, "diff", "-ruN", "old", "new")).files}
    assert told == {"new/f.c": "modified", "new/fresh": "added", "new/gone": "deleted"}
    file = only(parse_diff(run(tmp_path, "diff", "-u", "old/f.c", "new/f.c")))
    assert signed(file) == [(" ", 1, 1, "a"), ("-", 2, None, "b"), ("+", None, 2, "c")]


PLAIN = "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@ def f():\n one\n-two\n+2\n three\n"


def test_windows_line_ends_of_the_diff_itself() -> None:
    file = only(parse_diff(PLAIN.replace("\n", "\r\n")))
    assert file.path == "f"
    assert [line[3] for line in signed(file)] == ["one\r", "two\r", "2\r", "three\r"]
    assert file.hunks[0].section == "def f():"


def test_an_empty_line_may_have_lost_its_blank() -> None:
    diff = parse_diff("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n\n-two\n+2\n")
    assert signed(only(diff)) == [(" ", 1, 1, "one"), (" ", 2, 2, ""), ("-", 3, None, "two"), ("+", None, 3, "2")]
    assert diff.notes == ()


def test_a_torn_hunk_is_read_as_far_as_it_goes_and_told() -> None:
    diff = parse_diff("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-two\n")
    assert [line[3] for line in signed(only(diff))] == ["one", "two"]
    assert diff.notes == ("f: 3 lines that its hunks announce are missing",)


def test_a_hunk_of_no_file_is_told() -> None:
    assert parse_diff("@@ -1 +1 @@\n-a\n+b\n") == Diff((), ("changes of no file: 1, not reviewed",))


def test_a_name_can_do_nothing_to_a_terminal() -> None:
    file = only(parse_diff('--- "a/\\033[2J"\n+++ "b/\\033[2J"\n@@ -1 +1 @@\n-a\n+b\n'))
    assert file.path == "^[[2J"


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a/x b/x", ("a/x", "b/x")),
        ("a/x y b/x y", ("a/x y", "b/x y")),
        ("x y x y", ("x y", "x y")),
        ('"a/\\303\\251" b/e', ("a/é", "b/e")),
        ('a/e "b/\\303\\251"', ("a/e", "b/é")),
        ("a/one name b/another", ("a/one name", "b/another")),
        ("nonsense", ("nonsense", "nonsense")),
        ("", ("", "")),
    ],
)
def test_the_names_of_a_header(header: str, names: tuple[str, str]) -> None:
    assert header_names(header) == names
