"""What git is asked for, and that nothing of the caller's words or configuration changes the question."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from timmy_tui.services.code_review.diff import parse_diff
from timmy_tui.services.code_review.git import revision_diff, staged_diff, working_tree_diff
from timmy_tui.services.code_review.records import CodeReviewError

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A repository of two commits, a branch and a tag, as the current folder."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {f"GIT_{who}_{what}": "me@here" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    git(env, "init", "--quiet", "--initial-branch=main")
    for number in (1, 2):
        Path("f").write_text(f"{number}\n")
        git(env, "add", "f")
        git(env, "commit", "--quiet", "--message", f"change {number}")
    git(env, "tag", "--annotate", "v2", "--message", "diff --git a/tag b/tag")
    return env


def git(env: dict[str, str], *words: str) -> str:
    return subprocess.run(["git", *words], env=env, capture_output=True, check=True, text=True).stdout.strip()


def changed(text: str) -> list[tuple[str, str]]:
    """The signs and texts of all changed lines."""
    hunks = [hunk for file in parse_diff(text).files for hunk in file.hunks]
    return [(line.sign, line.text) for hunk in hunks for line in hunk.numbered() if line.sign in "+-"]


SECOND = [("-", "1"), ("+", "2")]


def test_the_working_tree_and_what_is_staged_are_two_things(env: dict[str, str]) -> None:
    Path("f").write_text("3\n")
    git(env, "add", "f")
    Path("f").write_text("4\n")
    assert changed(staged_diff(env)) == [("-", "2"), ("+", "3")]
    assert changed(working_tree_diff(env)) == [("-", "3"), ("+", "4")]


def test_before_the_first_commit_everything_is_staged(env: dict[str, str], tmp_path: Path) -> None:
    git(env, "init", "--quiet", str(tmp_path / "fresh"))
    os.chdir(tmp_path / "fresh")
    Path("g").write_text("x\n")
    git(env, "add", "g")
    assert changed(staged_diff(env)) == [("+", "x")]


@pytest.mark.parametrize("revision", ["HEAD", "main", "v2", "HEAD~1..HEAD", "HEAD~1..", "HEAD~1...main"])
def test_a_revision_and_a_range(env: dict[str, str], revision: str) -> None:
    assert changed(revision_diff(revision, env)) == SECOND


def test_the_first_commit_and_an_empty_one(env: dict[str, str]) -> None:
    assert changed(revision_diff("HEAD~1", env)) == [("+", "1")]
    git(env, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    assert revision_diff("HEAD", env).strip() == ""


def test_a_merge_is_what_it_brought_to_the_branch(env: dict[str, str]) -> None:
    git(env, "checkout", "--quiet", "-b", "other", "HEAD~1")
    Path("g").write_text("new\n")
    git(env, "add", "g")
    git(env, "commit", "--quiet", "--message", "g")
    git(env, "checkout", "--quiet", "main")
    git(env, "merge", "--quiet", "--no-edit", "other")
    assert changed(revision_diff("HEAD", env)) == [("+", "new")]


@pytest.mark.parametrize(
    "revision",
    [
        *("nowhere", "--help", "--output=stolen", "-p", "f", "HEAD:f", "", "main..nowhere", "--output=stolen..HEAD"),
        *("..--no-index", "HEAD --stat", "a\nb", "\x1b[2J", ":/", "@{-9}"),
    ],
)
def test_what_is_no_commit_is_told_and_never_an_option(env: dict[str, str], revision: str) -> None:
    with pytest.raises(CodeReviewError) as failed:
        revision_diff(revision, env)
    assert "is no commit of this repository" in failed.value.message or "git: " in failed.value.message
    assert failed.value.message.isprintable()
    assert sorted(os.listdir()) == [".git", "f"]


def test_two_histories_have_no_range_of_three_dots(env: dict[str, str]) -> None:
    git(env, "checkout", "--quiet", "--orphan", "alone")
    git(env, "commit", "--quiet", "--message", "alone")
    with pytest.raises(CodeReviewError, match="no merge base"):
        revision_diff("main...alone", env)


def test_the_configuration_for_people_changes_nothing(env: dict[str, str]) -> None:
    for name, value in {
        "color.ui": "always",
        "core.pager": "false",
        "diff.external": "false",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "format.pretty": "fuller",
        "log.showSignature": "true",
        "diff.submodule": "log",
        "core.quotePath": "false",
    }.items():
        git(env, "config", name, value)
    Path("f").write_text("3\n")
    for text in (
        revision_diff("HEAD", env),
        working_tree_diff({**env, "GIT_PAGER": "false", "GIT_EXTERNAL_DIFF": "false"}),
    ):
        (file,) = parse_diff(text).files
        assert (file.path, len(changed(text))) == ("f", 2)
        assert "\x1b" not in text


def test_a_file_in_another_encoding_costs_its_own_bytes(env: dict[str, str]) -> None:
    Path("f").write_bytes("caf\xe9\nnext\n".encode("latin-1"))
    assert changed(working_tree_diff(env)) == [("-", "2"), ("+", "caf\ufffd"), ("+", "next")]


def test_a_hooks_own_index_is_the_one_that_is_asked(env: dict[str, str], tmp_path: Path) -> None:
    """``git commit -a`` and ``git commit FILE`` stage into an index of their own and tell the hook of it."""
    index = tmp_path / "index"
    shutil.copy(".git/index", index)
    Path("f").write_text("3\n")
    git({**env, "GIT_INDEX_FILE": str(index)}, "add", "f")
    assert staged_diff(env) == ""
    assert changed(staged_diff({**env, "GIT_INDEX_FILE": str(index)})) == [("-", "2"), ("+", "3")]
    git_dir = str(Path(".git").resolve())
    os.chdir(tmp_path)
    assert changed(revision_diff("HEAD", {**env, "GIT_DIR": git_dir})) == SECOND


def test_no_repository_and_no_git(env: dict[str, str], tmp_path: Path) -> None:
    os.chdir(tmp_path)
    for ask in (staged_diff, working_tree_diff, lambda env: revision_diff("HEAD", env)):
        with pytest.raises(CodeReviewError, match="This is no git repository"):
            ask(env)
        with pytest.raises(CodeReviewError, match="git is not installed"):
            ask({**env, "PATH": str(tmp_path)})


def test_a_git_that_can_not_run(env: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    with pytest.raises(CodeReviewError, match="git can't be run"):
        staged_diff({**env, "PATH": str(broken.parent)})


def files(text: str) -> list[str]:
    return sorted(file.path for file in parse_diff(text).files)


def test_every_file_is_reviewed_from_a_folder_below(env: dict[str, str]) -> None:
    git(env, "config", "diff.relative", "true")
    for folder in ("src", "top"):
        Path(folder).mkdir()
        Path(folder, "a.py").write_text("a = 1\n")
    git(env, "add", ".")
    os.chdir("src")
    assert files(staged_diff(env)) == ["src/a.py", "top/a.py"]
    git(env, "commit", "--quiet", "--message", "both")
    assert files(revision_diff("HEAD", env)) == ["src/a.py", "top/a.py"]


CONFIGURED = {
    "noprefix": ("diff.noprefix", "true"),
    "mnemonic": ("diff.mnemonicPrefix", "true"),
    "no context": ("diff.context", "0"),
    "blank lines": ("diff.suppressBlankEmpty", "true"),
    "order": ("diff.orderFile", "order"),
    "external": ("diff.external", "false"),
    "relative": ("diff.relative", "true"),
    "submodules": ("diff.ignoreSubmodules", "all"),
    "colour": ("color.ui", "always"),
    "copies": ("diff.renames", "false"),
    "between hunks": ("diff.interHunkContext", "99"),
    "source prefix": ("diff.srcPrefix", "x/"),
    "algorithm": ("diff.algorithm", "patience"),
    "pager": ("core.pager", "false"),
    "quoting": ("core.quotePath", "false"),
}


@pytest.mark.parametrize("setting", CONFIGURED.values(), ids=CONFIGURED.keys())
def test_no_setting_changes_the_diff(env: dict[str, str], setting: tuple[str, str]) -> None:
    Path("é.txt").write_text("one\n\nthree\n" * 9)
    git(env, "add", ".")
    git(env, "commit", "--quiet", "--message", "more")
    Path("é.txt").write_text("one\n\nthree\n" * 4 + "new\n" + "one\n\nthree\n" * 5)
    Path("order").write_text("zzz\n")
    plain = working_tree_diff(env)
    git(env, "config", *setting)
    assert working_tree_diff(env) == plain
    assert working_tree_diff(env | {"GIT_EXTERNAL_DIFF": "false", "GIT_DIFF_OPTS": "-u0"}) == plain


def test_nothing_of_a_foreign_repository_runs(env: dict[str, str], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    hook.chmod(0o755)
    Path(".gitattributes").write_text("*.txt filter=evil diff=evil\n")
    Path("x.txt").write_text("1\n")
    git(env, "add", ".")
    git(env, "commit", "--quiet", "--message", "attributes")
    for key in (
        "filter.evil.clean",
        "filter.evil.process",
        "core.fsmonitor",
        "diff.evil.command",
        "diff.evil.textconv",
    ):
        git(env, "config", key, str(hook))
    ran.unlink(missing_ok=True)
    Path("x.txt").write_text("22\n")
    assert changed(working_tree_diff(env)) == [("-", "1"), ("+", "22")]
    git(env | {"GIT_CONFIG_GLOBAL": "/dev/null"}, "-c", "core.fsmonitor=false", "-c", "filter.evil.clean=",
        "-c", "filter.evil.process=", "add", "x.txt")  # fmt: skip
    ran.unlink(missing_ok=True)
    assert changed(staged_diff(env)) == [("-", "1"), ("+", "22")]
    revision_diff("HEAD", env)
    assert not ran.exists()
