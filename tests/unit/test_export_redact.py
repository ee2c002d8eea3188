"""Redaction: what must not leave the machine, and that the short cuts change nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from export_home import ExportHome, said
from hypothesis import example, given
from hypothesis import strategies as st
from unit import test_masking

from timmy_tui.services.export.redact import Redactor
from timmy_tui.services.export.tick_copies import TickCopier
from timmy_tui.services.ticks.parse import BadLine, decode_tree

OWN = Redactor("/srv/people/alex")

PIECES = st.sampled_from(
    [
        *(
            "/home/alex",
            "/Users/sam.b",
            "\\/home\\/alex",
            "/root",
            "C:\\Users\\bob\\x",
            "d:\\\\users\\\\Bob",
            "/srv/people/alex",
        ),
        *(
            "alex@mail.example",
            "pkg@1.2.3",
            "@",
            "://",
            "https://u:pass@host/x",
            "bearer ",
            "Bearer abcdef123",
            "BEARER\n",
        ),
        *(
            "token",
            "TOKEN",
            '"token": "abcdef"',
            "api_key=",
            "Api-Key : x1234",
            "apikey",
            "pa\u017fsword=geheim",
            "to\u212aen=abcd",
        ),
        *(
            "ap\u0131key=12345",
            "AP\u0130_KEY=12345",
            "secret",
            "passwd:\u2003abcd",
            "sk-abcdefgh12345",
            "disk-usage-is-high",
            "ghp_",
        ),
        *(
            "0123456789",
            "hf_abcdefghij",
            "xoxb-12345678",
            "AKIAABCDEFGH",
            " ",
            "\n",
            "=",
            ":",
            '"',
            "'",
            "\\",
            "ß",
            "é",
            "\ud800",
            "a",
        ),
        *("rk-live-abcdefgh", "\u212a", "/home/", "/Users", "_", "key", "\x85", "\t", "x" * 70),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("raw", "redacted"),
    [
        ("my key is sk-proj-abcdefgh12345678", "my key is sk-proj-***"),
        ('{"token": "abcdef"}', '{"token": "***"}'),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("https://me:geheim@host/x", "https://me:***@host/x"),
        ("/home/alex/src and /Users/sam and /root/x", "~/src and ~ and ~/x"),
        ("in /mnt/home/alex.b/x.", "in /mnt~/x."),
        ("C:\\Users\\bob\\x D:\\\\Users\\\\bob", "~\\x ~"),
        ("/srv/people/alex/x /srv/people/alexa", "~/x /srv/people/alexa"),
        ("write to alex.b+x@mail.example.org, please", "write to <email>, please"),
        ("npm i left@1.2.3 in /rooted", "npm i left@1.2.3 in /rooted"),
        ("disk-usage is ok, tokens: many", "disk-usage is ok, tokens: many"),
    ],
)
def test_what_is_replaced_and_what_is_not(raw: str, redacted: str) -> None:
    assert OWN.text(raw) == redacted


@given(raw=TEXTS)
@example(raw="token\x1c=abcd")
def test_the_short_cuts_change_nothing(raw: str) -> None:
    assert OWN.text(raw) == OWN.thoroughly(raw)


@given(raw=TEXTS, key=TEXTS, plain=st.booleans())
@example(raw="", key="token", plain=True)
def test_a_line_that_is_said_to_need_nothing_needs_nothing(raw: str, key: str, plain: bool) -> None:
    line = json.dumps({"tick_id": "t", "n": [{key: raw}]}, ensure_ascii=plain).encode("utf-8", "replace")
    tree = decode_tree(line)
    assert not isinstance(tree, BadLine)
    if OWN.may_touch(line):
        return
    assert OWN.tree(tree) == tree
    ((found_key, found),) = tree["n"][0].items()  # type: ignore[index]
    # What an old tick's prompt and completion are made of is the tree, spelt anew.
    for value in (found_key, found, json.dumps(tree), json.dumps(tree, indent=2, ensure_ascii=False)):
        assert OWN.thoroughly(value) == value


SAMPLES = [*test_masking.TOKENS.values(), *test_masking.NAMED.values(), *test_masking.PEMS.values()]


@pytest.mark.parametrize("secret", SAMPLES, ids=range(len(SAMPLES)))
def test_the_short_cut_lets_no_kind_of_secret_through(secret: str) -> None:
    """In a line of JSON as any writer may spell it: with escapes, with slashes escaped, in a key's place."""
    for tree in ({"tick_id": "t", "reasoning": f"it said {secret} then"}, {"deep": [json.dumps({"a": secret})]}):
        for line in (json.dumps(tree), json.dumps(tree, ensure_ascii=False), json.dumps(tree).replace("/", "\\/")):
            assert OWN.may_touch(line.encode()), line


def test_every_text_of_a_tree_is_redacted_keys_too_and_no_value_is_lost() -> None:
    tree: dict[str, object] = {
        "/home/alex": 1,
        "/home/sam": [{"password": "hunter22", "who": "sam@mail.example"}, None, 2.5],
        "deep": {"api_key": "abcd1234", "n": True},
    }
    assert OWN.tree(tree) == {
        "~": 1,
        "~_2": [{"password": "***", "who": "<email>"}, None, 2.5],
        "deep": {"api_key": "***", "n": True},
    }


@pytest.mark.parametrize("piece", ["x", "x.", "@", "@a", "a@b.", "/home/", "\\", "token ", "token", "://", "-"])
def test_a_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    redactor = Redactor("/home/alex")
    began = time.process_time()
    redactor.text(piece * (400_000 // len(piece)) + "@")
    assert time.process_time() - began < 5


def test_an_export_holds_no_secret_and_no_name_unless_it_is_asked_to(tmp_path: Path) -> None:
    home = ExportHome(tmp_path)
    key = home.tick(
        1,
        prompt="api_key=abcd1234 at /home/alex",
        response="wrote to alex@mail.example",
        model="/home/alex/models/x.gguf",
        perception={"path": "/home/alex", "token": "abcd1234"},
        host="alex@mail.example",
    )
    home.edit(key, "ask alex@mail.example", note="of alex@mail.example", operator="alex@mail.example")
    home.prefer(key, "alternative", "as /home/alex says")
    home.export()
    for path in home.target.rglob("*"):
        held = path.read_text() if path.is_file() else ""
        assert not [word for word in ("abcd1234", "/home/alex", "alex@", str(tmp_path)) if word in held], path
    assert all(row["redacted"] is True for row in home.rows("kto.jsonl"))
    (row,) = [row for row in home.rows("kto.jsonl") if row["label"] is False]
    assert (said(row["prompt"]), said(row["completion"]), row["model"]) == (
        "api_key=*** at ~",
        "wrote to <email>",
        "~/models/x.gguf",
    )
    home.export(home.target.with_name("open"), redact=False)
    assert "abcd1234" in (home.target.with_name("open") / "kto.jsonl").read_text()
    assert "Nothing was redacted" in (home.target.with_name("open") / "README.md").read_text()


def test_the_tick_copies_keep_what_need_not_change_to_the_byte(tmp_path: Path) -> None:
    home = ExportHome(tmp_path)
    lines = [
        b'{"tick_id":"a",  "x": NaN, "e": 1e5, "u":"\\u00e9"}',
        b'{"tick_id":"b","prompt":"P","response":"R","decision":{}}',
        b'{"tick_id":"c","prompt":"Q","response":"S","dpo_label":"chosen","decision":{}}',
        b'{"tick_id":"d","at":"/home/alex","f":1.50}',
        b"\xef\xbb\xbf" + b'{"tick_id":"e"}',
        b'{"tick_id":"f","dpo_label":"rejected"}',
        b'{"tick_id":"g","s":"\\ud800 alex@mail.example","n":NaN}',
    ]
    home.day.write_bytes(b"\n".join([lines[0], b"garbage", b"[1]", b'{"no":"id"}', *lines[1:]]) + b'\n{"tick_id":"torn')
    from timmy_tui.services.labels.records import candidate_key

    home.label(candidate_key("P", "R"))
    home.label(candidate_key("Q", "S"), "rejected")
    home.export()
    copied = (home.target / "ticks" / "ticks_20261120.jsonl").read_bytes().splitlines()
    assert copied[0] == lines[0]
    assert copied[1] == lines[1][:-1] + b', "dpo_label": "chosen"}'
    assert json.loads(copied[2])["dpo_label"] == "rejected"
    assert json.loads(copied[3]) == {"tick_id": "d", "at": "~", "f": 1.5}
    assert copied[4:6] == lines[4:6]
    assert json.loads(copied[6])["s"] == "\ud800 <email>"
    assert len(copied) == len(lines)
    logs = home.manifest()["logs"]
    assert (logs["ticks"], logs["bad_tick_lines"], logs["incomplete_tick_lines"]) == (7, 3, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    tick=st.dictionaries(st.sampled_from(["dpo_label", "x", "\ud800", "prompt"]), JSON, max_size=4),
    chosen=st.sampled_from([None, True, False]),
    plain=st.booleans(),
    redact=st.booleans(),
)
def test_a_copied_line_is_its_tick_with_its_label_and_without_names(
    tick: dict[str, object], chosen: bool | None, plain: bool, redact: bool
) -> None:
    line = json.dumps({"tick_id": "t", **tick}, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    copied = TickCopier(OWN if redact else None).copied(line, chosen, may_redact=OWN.may_touch(line))
    assert copied is not None
    assert b"\n" not in copied
    expected = json.loads(line.decode("utf-8", "replace"))
    expected = OWN.tree(expected) if redact else expected
    if chosen is not None:
        expected["dpo_label"] = "chosen" if chosen else "rejected"
    found = json.loads(copied.decode("utf-8", "replace"))
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
    if chosen is None and not redact:
        assert copied == line
