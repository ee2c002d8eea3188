"""Why something is left out of an export, in the words that the manifest and the report use."""

from __future__ import annotations

EMPTY = "an empty prompt or answer"
ONLY_A_DATE = "a text that is only a date"
"""``datasets`` would read a column of such texts as times (facts/annotation.md §4)."""

MARKED = "an answer with marks of turns or of thinking (--keep-marks)"
"""Tokenizers read ``<|im_end|>`` as the token itself."""

UNPINNED = "the model was told more than the prompt"

EARLIER = "before the first day asked for"
TIMELESS = "no known time, and only a time since was asked for"

TICK_GONE = "the tick is gone"
TICK_CHANGED = "the tick changed after it was labelled"
SESSION_CHANGED = "the session changed after it was labelled"

SKIPPED = "skipped"
NO_DECISION = "an edit that is no decision"
EDIT_CHANGES_NOTHING = "an edit that changes nothing"
NO_ALTERNATIVE = "a preference without an alternative"
NO_PREFERENCE = "a preference that says nothing"
NEITHER = "neither was preferred"

SAME_TEXT = "the same text twice"
CONFLICT = "the same text with different labels"
EQUAL_SIDES = "a pair with two equal sides"
SAME_PAIR = "the same pair twice"
REVERSED_PAIR = "pairs that contradict each other"
