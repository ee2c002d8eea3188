"""What of a model's text is its answer: not its thinking, not its marks, not the turns that it invents behind it.

One reading for decisions, findings, delegation, alternatives and the export (facts/annotation.md, Answers of models).
Marks inside a string of a JSON object are words of it, and so is one behind a backtick: models write about marks too.
"""

from __future__ import annotations

import re

from msgspec import Struct

from timmy_tui.services.json_objects import KeyKinds, Span, find_objects

_THOUGHTS = r"think|thinking|thought|reasoning|seed:think|analysis"
_END_OF_TURN = (
    r"<\|(?:im_end|eot_id|eom_id|end_of_text|endoftext|return|end_of_sentence|end_of_turn|END_OF_TURN_TOKEN)\|>"
    r"|<end_of_turn>|<｜end▁of▁sentence｜>|</s>"
)
_MARK = re.compile(
    rf"(?P<opens><\s*(?:{_THOUGHTS})\s*>|\[THINK\]|<\|begin_of_thought\|>|<\|START_THINKING\|>|◁think▷)"
    rf"|(?P<closes><\s*/\s*(?:{_THOUGHTS})\s*>|\[/THINK\]|<\|end_of_thought\|>|<\|END_THINKING\|>|◁/think▷)"
    rf"|(?P<ends>{_END_OF_TURN})"
    r"|(?P<message_ends><\|end\|>)"
    r"|(?P<channel><\|channel\|?>)"
    r"|(?P<channel_closes><channel\|>)"
    r"|(?P<message><\|message\|>|<\|end_header_id\|>)"
    r"|(?P<turn><\|(?:im_start|start|start_header_id)\|>|<start_of_turn>)"
    r"|(?P<nothing><\|(?:begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE|begin_of_text)\|>)"
    r"|(?P<line>\n)"
    r"|(?P<final>assistantfinal)",
    re.IGNORECASE,
)
_SPECIAL = re.compile(
    rf"<\s*/?\s*(?:{_THOUGHTS})\s*>|\[/?THINK\]|◁/?think▷|<\|[\w/-]+\|?>|<channel\|>|<(?:start|end)_of_turn>"
    r"|<｜[^<>｜]{1,40}｜>|</s>",
    re.IGNORECASE,
)
"""Whatever a tokenizer, or a template, may read as a token of its own."""

_STRIPPED = re.compile(r"\s*(?:analysis|commentary)(?=[^\W_])")
"""A harmony answer whose marks were taken out: ``analysisThe user wants…assistantfinalHello``."""

_JSON = re.compile(r'[{}"]|\\.', re.DOTALL)
_OPENING = re.compile(r'\{(?=\s*["}])')
_FINAL = "assistantfinal"
_OPEN_END = re.compile(
    rf"(?:[<\[◁\\][^\n<>\[\]▷]{{0,40}}|\{{\s{{0,40}}|{'|'.join(_FINAL[:n] for n in range(len(_FINAL) - 1, 0, -1))})\Z",
    re.IGNORECASE,
)
"""The end of what came so far that what comes next may make a mark of."""

_OTHERS_TURN = re.compile(r"\n[ \t]*(?:#+[ \t]*|\*\*)?(?:user|human|system)(?:\*\*)?[ \t]*:", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\s*(?:\.{2,}|…+|<[\w ]+>)\s*")

ANSWERING = frozenset({"final", "assistant", "model", "response", "bot", ""})
"""Channels and roles whose text is the answer."""


class Answer(Struct, frozen=True):
    """A model's text, taken apart."""

    text: str
    """What it answers; empty when it only thinks."""
    thought: bool
    """Some of it was thinking."""


def take_answer(text: str) -> Answer:
    """The answer in a whole ``text``: the first turn's, without thinking; verbatim where there are no marks."""
    if not _SPECIAL.search(text) and not _STRIPPED.match(text):
        return Answer(text, False)
    reading = AnswerReading()
    said = reading.feed(text) + reading.finish()
    return Answer(said[reading.retracted :], reading.thought)


def has_marks(text: str) -> bool:
    """Whether a text holds what a trainer's tokenizer may read as the end of a turn, or as thinking."""
    return _SPECIAL.search(text) is not None


def said_objects(text: str, shape: KeyKinds) -> tuple[str, tuple[Span, ...]]:
    """The answer in ``text``, and where the JSON objects of ``shape`` stand in it.

    A model with a wrong stop token goes on as its user: what stands before ``User:`` counts, if an object does.
    """
    said = take_answer(text).text
    found = find_objects(said, shape)
    turn = _OTHERS_TURN.search(said, found[0][1]) if found else None
    if turn is not None:
        found = tuple(span for span in found if span[1] <= turn.start())
    return said, found


def is_placeholder(text: str) -> bool:
    """Whether a value is the ``"…"`` of a template that the model repeats."""
    return _PLACEHOLDER.fullmatch(text) is not None


class AnswerReading:
    """Takes an answer as it comes, piece by piece. What is given out was the answer by all that was known."""

    def __init__(self) -> None:
        self.thought = False
        """Some of it was thinking."""
        self.retracted = 0
        """How many characters of what was given out turned out to be thinking whose begin the template wrote."""
        self._held = ""
        self._given = 0
        self._said = False
        """Something of the answer was given out."""
        self._began = self._over = False
        self._closer: str | None = None
        """Inside a thought: the group of marks that ends it."""
        self._header: str | None = None
        """Inside a header: its text so far."""
        self._channel = False
        self._depth = 0
        self._in_string = False
        self._lone_s = 0
        self._previous = ""

    def feed(self, piece: str) -> str:
        """What of the answer is certain now."""
        self._held += piece
        if not self._began:
            if len(self._held.lstrip()) < len("commentaryX") and self._held.lstrip()[:1] not in ("<", "{", "["):
                return ""
            self._begin()
        unsure = _OPEN_END.search(self._held, max(0, len(self._held) - 48))
        return self._read(len(self._held) if unsure is None else unsure.start())

    def finish(self) -> str:
        """The rest: nothing comes any more."""
        if not self._began:
            self._begin()
        return self._read(len(self._held))

    def _begin(self) -> None:
        self._began = True
        stripped = _STRIPPED.match(self._held)
        if stripped is not None:
            self._held = self._held[stripped.end() :]
            self.thought, self._closer = True, "final"

    def _read(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        given: list[str] = []
        place = 0
        while place < len(text) and not self._over:
            mark = _MARK.search(text, place)
            while mark is not None and self._is_word(text, place, mark):
                self._follow_json(text[place : mark.end()])
                given.append(self._give(text[place : mark.end()]))
                place = mark.end()
                mark = _MARK.search(text, place)
            before = text[place : mark.start() if mark is not None else len(text)]
            self._follow_json(before)
            given.append(self._give(before))
            if mark is None:
                break
            place = mark.end()
            given.append(self._mark(mark))
        self._previous = text[-1:] or self._previous
        return "".join(given)

    def _give(self, text: str) -> str:
        if self._header is not None:
            self._header += text
            return ""
        if self._closer is not None or not text:
            return ""
        if not self._said:
            if self.thought or self._channel:
                text = text.lstrip()
            self._said = bool(text.strip())
        self._lone_s += text.count("<s>") - text.count("</s>")
        self._given += len(text)
        return text

    def _is_word(self, text: str, place: int, mark: re.Match[str]) -> bool:
        """Whether a mark is a part of what is said."""
        kind = mark.lastgroup
        if self._header is not None or (self._closer is not None and kind not in ("line", "final")):
            return False
        if kind == "line":
            return self._header is None
        if kind == "final":
            return self._closer != "final"
        if (text[mark.start() - 1] if mark.start() else self._previous) == "`":
            return True
        if mark[0] == "</s>" and self._lone_s + text.count("<s>", place, mark.start()) > 0:
            return True
        depth, in_string = self._depth, self._in_string
        self._follow_json(text[place : mark.start()])
        inside, self._depth, self._in_string = self._in_string, depth, in_string
        return inside

    def _follow_json(self, text: str) -> None:
        """Keep count of braces and strings, from a brace on that may begin an object."""
        if self._closer is not None or self._header is not None:
            return
        place = 0
        if self._depth == 0:
            opening = _OPENING.search(text)
            if opening is None:
                return
            place = opening.start()
        for sign in _JSON.finditer(text, place):
            if sign[0] == '"':
                self._in_string = self._depth > 0 and not self._in_string
            elif not self._in_string:
                self._depth = max(0, self._depth + (sign[0] == "{") - (sign[0] == "}"))

    def _mark(self, mark: re.Match[str]) -> str:
        kind = mark.lastgroup
        if self._header is not None:
            self._end_header(kind or "")
        elif self._closer is not None:
            if kind in (self._closer, "ends" if self._closer == "closes" else "") or (
                self._closer == "channel" and kind in ("ends", "channel_closes", "message_ends", "turn", "channel")
            ):
                self._end_thought(kind or "")
        elif kind == "opens":
            self.thought, self._closer = True, "closes"
        elif kind == "closes":  # the template had opened it: all of it was thinking
            self.thought, self._said, self.retracted = True, False, self._given
        elif kind in ("ends", "message_ends", "turn"):
            self._over = self._said
            if kind == "turn" and not self._said:
                self._header, self._channel = "", True
        elif kind == "channel":
            self._over = self._said
            self._header, self._channel = "", True
        return ""

    def _end_thought(self, kind: str) -> None:
        closer, self._closer = self._closer, None
        if closer == "closes" and kind == "ends":  # the turn ended within the thought
            self._over = True
        elif kind in ("turn", "channel"):
            self._header = ""
        elif kind == "ends":
            self._over = True

    def _end_header(self, kind: str) -> None:
        """``assistant``, ``analysis``, ``commentary to=functions.x``, ``thought``: whose words follow."""
        name = (self._header or "").strip().split(" ", 1)[0].casefold()
        if kind == "channel":
            self._header = ""
        elif kind in ("line", "message", "channel_closes"):
            self._header = None
            if name in ("user", "system", "tool", "human"):
                self._over = True
            elif name not in ANSWERING:
                self.thought, self._closer = True, "channel"
        elif kind in ("ends", "message_ends"):
            self._header, self._over = None, True
