"""What a review finds, what it could not look at, and why there is none."""

from __future__ import annotations

from typing import Literal, cast, get_args

from msgspec import Struct

from timmy_tui.services.reading import SourceError

Severity = Literal["info", "warning", "error", "critical"]

SEVERITIES: tuple[Severity, ...] = cast("tuple[Severity, ...]", get_args(Severity))
"""From the least to the gravest."""


class CodeReviewError(SourceError):
    """There is no review: no git, no such revision, no diff, no room in the model's context."""


class Finding(Struct, frozen=True):
    """One remark on one line of the new file. Its texts are safe to show."""

    file: str
    line: int
    severity: Severity
    message: str
    """One line."""
    suggestion: str | None = None
    approximate: bool = False
    """The model named a line that the diff does not show; this is the nearest that it does."""


class Gap(Struct, frozen=True):
    """Lines of the new file that were to be reviewed and were not, or not to the end."""

    file: str
    first_line: int
    last_line: int
    reason: str


class Skipped(Struct, frozen=True):
    """A file of the diff with no lines to review."""

    file: str
    reason: str


class Progress(Struct, frozen=True):
    """How far a review is."""

    done: int
    total: int


class Review(Struct, frozen=True):
    """The whole diff, reviewed."""

    findings: tuple[Finding, ...] = ()
    """By file and line."""
    gaps: tuple[Gap, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    unread: tuple[str, ...] = ()
    """Files whose changes can't be read: combined, binary, in no form of a diff."""
    notes: tuple[str, ...] = ()
    """What else was not looked at as it stands: parts of the diff that make no sense, long lines that were cut."""
    files: int = 0
    """Files with lines to review."""
    pieces: int = 0
    answered: int = 0
    """Pieces that the model reviewed, wholly or in part; 0 with pieces = nothing could be reviewed."""
    dropped: int = 0
    """Remarks that name no file of the diff, or have no message or no severity that one knows."""
    model: str = ""
    """Who answered; several with commas between."""
    tokens_in: int | None = None
    """None = unknown."""
    tokens_out: int | None = None
    hint: str = ""
    """What to do about the gaps."""

    @property
    def empty(self) -> bool:
        """There was nothing to review."""
        return self.pieces == 0

    def at_or_above(self, severity: Severity) -> int:
        """How many findings are as grave as ``severity`` or graver."""
        least = SEVERITIES.index(severity)
        return sum(1 for finding in self.findings if SEVERITIES.index(finding.severity) >= least)
