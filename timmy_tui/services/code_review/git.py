"""The diff to review, asked of git: what is staged, what one revision changed, a range, or the working tree."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from timmy_tui.services.code_review.records import CodeReviewError
from timmy_tui.services.process_group import signal_group
from timmy_tui.text import clean, clean_error

TIMEOUT_S = 120

# Whatever a configuration makes of a diff for people to read is switched off.
_DIFF = (
    *("--patch", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short", "--ignore-submodules=none"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--find-renames", "--unified=3", "--inter-hunk-context=0", "-O/dev/null"),
    *("--diff-algorithm=myers", "--no-indent-heuristic"),
)
_CONFIGURATION = {
    "core.quotePath": "true",
    "core.fsmonitor": "false",  # it may be a command of the repository's
    "core.hooksPath": "/dev/null",
    "core.ignoreStat": "false",
    "diff.relative": "false",
    "diff.noprefix": "false",
    "diff.mnemonicPrefix": "false",
    "diff.suppressBlankEmpty": "false",
    "diff.wsErrorHighlight": "none",
    "log.showSignature": "false",
}
"""What stands above every configuration file; a command line has no flag for some of it."""

_FOREIGN_VARIABLES = ("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_PAGER")
_FILTER = re.compile(r"filter\.(?P<name>.+)\.(?:clean|smudge|process|required)", re.IGNORECASE | re.DOTALL)


def staged_diff(env: Mapping[str, str]) -> str:
    """What the next commit will change."""
    _in_repository(env)
    return _asked(["diff", "--cached", *_DIFF, "--"], env)


def working_tree_diff(env: Mapping[str, str]) -> str:
    """What is changed and not staged."""
    _in_repository(env)
    return _asked(["diff", *_DIFF, "--"], env, _without_filters(env))


def revision_diff(revision: str, env: Mapping[str, str]) -> str:
    """What the commit ``revision`` changed (a merge: against its first parent), or a range ``a..b`` or ``a...b``.

    Each name is looked up first, so that none is ever read as an option or a path.
    """
    dots = "..." if "..." in revision else ".."
    first, found, last = revision.partition(dots)
    if not found:
        commit = _commit(revision, env)
        return _asked(["show", "--format=", "--no-show-signature", "-m", "--first-parent", *_DIFF, commit, "--"], env)
    return _asked(["diff", *_DIFF, f"{_commit(first or 'HEAD', env)}{dots}{_commit(last or 'HEAD', env)}", "--"], env)


def _without_filters(env: Mapping[str, str]) -> dict[str, str]:
    """Settings by which no filter of the repository's own configuration runs on the working tree.

    The operator's own, such as Git LFS, are in the global file and go on.
    """
    found: dict[str, str] = {}
    for scope in ("--local", "--worktree"):
        try:
            listed = _asked(["config", scope, "--null", "--name-only", "--get-regexp", r"^filter\."], env)
        except CodeReviewError:  # no such scope, or nothing in it
            continue
        for key in listed.split("\0"):
            name = _FILTER.fullmatch(key)
            if name is not None:
                for last, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")):
                    found[f"filter.{name['name']}.{last}"] = value
    return found


def _in_repository(env: Mapping[str, str]) -> None:
    """Elsewhere ``git diff`` compares two files and explains its usage."""
    _asked(["rev-parse", "--git-dir"], env)


def _commit(name: str, env: Mapping[str, str]) -> str:
    try:
        said = _asked(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"], env)
    except _NoSuchThing:
        raise CodeReviewError(
            f"{clean(name, limit=80)} is no commit of this repository", "git log shows them"
        ) from None
    return said.strip()


class _NoSuchThing(CodeReviewError):
    """Git ended with an error and without a word, as it does for a name that it was to look up quietly."""


def _asked(words: Sequence[str], env: Mapping[str, str], more: Mapping[str, str] = {}) -> str:
    """What git writes. A file in another encoding than UTF-8 costs its own odd bytes, not the whole review.

    A hook's GIT_DIR and GIT_INDEX_FILE are in ``env``. Raises :class:`CodeReviewError`.
    """
    git = shutil.which("git", path=env.get("PATH", os.defpath))
    if git is None:
        raise CodeReviewError("git is not installed", "Pipe a diff in: timmy-tui code-review - < FILE")
    settings = [word for key, value in {**_CONFIGURATION, **more}.items() for word in ("-c", f"{key}={value}")]
    try:
        process = subprocess.Popen(
            [git, "--no-pager", "--no-optional-locks", *settings, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **{name: value for name, value in env.items() if name not in _FOREIGN_VARIABLES},
                "LC_ALL": "C",
                "GIT_TERMINAL_PROMPT": "0",
            },
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise CodeReviewError(f"git can't be run: {clean_error(error)}") from None
    try:
        output, told = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise CodeReviewError(f"git gave no diff within {TIMEOUT_S} s, so it was ended") from None
    finally:
        if process.returncode is None:  # the deadline, or ctrl+c
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise _failure(told.decode("utf-8", "replace"))
    return output.decode("utf-8", "replace")


def _failure(told: str) -> CodeReviewError:
    lines = [line for line in told.splitlines() if line.strip()]
    if not lines:
        return _NoSuchThing("git failed without a word")
    if "not a git repository" in told:
        hint = "Go into one, or pipe a diff in: diff -u OLD NEW | timmy-tui code-review -"
        return CodeReviewError("This is no git repository", hint)
    reason = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0])
    return CodeReviewError(f"git: {clean_error(reason.removeprefix('fatal: ').removeprefix('error: '))}")
