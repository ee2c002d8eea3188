"""What the choice of rows needs of each sample: numbers in arrays, for there may be 100,000 of them."""

from __future__ import annotations

from array import array

from timmy_tui.services.export.spool import Sample

DIGEST_BYTES = 16
"""Of a SHA-256, to tell texts apart."""

NONE = -1


class Catalog:
    """The samples of the spool, in its order. Texts and prompts are numbered; equal ones have one number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._digests = bytearray()
        self.prompts = array("i")
        """The prompt as it is exported."""
        self.asked = array("i")
        """The prompt as it was asked: two may differ and become one by redaction."""
        self.completions = array("i")
        self.corrections = array("i")
        """``NONE`` where there is none, as in the following."""
        self.alternatives = array("i")
        self.chosen = array("b")
        """1 chosen, 0 rejected, ``NONE`` without a label."""
        self.alternative_preferred = array("b")

    def __len__(self) -> int:
        return len(self.prompts)

    def add(self, sample: Sample, asked: bytes, chosen: bool | None, *, alternative_preferred: bool) -> None:
        """Take in the next sample; ``asked`` is the SHA-256 of the prompt before redaction."""
        self.prompts.append(self._number(sample.prompt.digest))
        self.asked.append(self._number(asked))
        self.completions.append(self._number(sample.completion.digest))
        self.corrections.append(NONE if sample.correction is None else self._number(sample.correction.digest))
        self.alternatives.append(NONE if sample.alternative is None else self._number(sample.alternative.digest))
        self.chosen.append(NONE if chosen is None else int(chosen))
        self.alternative_preferred.append(alternative_preferred)

    def settle(self) -> None:
        """Everything is in: what only served to number texts is let go."""
        self._numbers.clear()

    def digest(self, number: int) -> bytes:
        """Of a numbered text."""
        return bytes(self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES])

    def _number(self, digest: bytes) -> int:
        short = digest[:DIGEST_BYTES]
        count = len(self._numbers)
        number = self._numbers.setdefault(int.from_bytes(short, "big"), count)
        if number == count:
            self._digests += short
        return number
