"""Secrets in any text become ``***``: one masker for what is shown, logged, recorded and exported.

A kind is told by how it begins, by the name before it, or by the place where it stands. Time grows with the length of
the text: every search begins at a fixed sign and is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MASK = "***"

NAME_REACH, VALUE_REACH = 64, 4_096
"""How far the name of a secret reaches around its word, and a value in quotes: no longer one is looked for."""


class Kind(NamedTuple):
    """Secrets that are known by how they look."""

    name: str
    signs: tuple[str, ...]
    """In small letters; without one of them the pattern can't match."""
    pattern: re.Pattern[str]
    """What its first group holds stays."""


def _token(name: str, prefix: str, tail: str, *signs: str, digit: bool = False) -> Kind:
    """A token with a prefix of its own; ``digit``: only where the rest has one, for the prefix is a word as well."""
    look = r"(?=[A-Za-z_-]{0,80}\d)" if digit else ""
    return Kind(name, signs, re.compile(rf"(?<![A-Za-z0-9])({prefix}){look}{tail}"))


_WORD = "[A-Za-z0-9]"
_URLSAFE = "[A-Za-z0-9_-]"

KINDS = (
    Kind(
        "private key",
        ("private key",),
        re.compile(
            r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
            r"(?:(?!-----END).)*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
            re.DOTALL,
        ),
    ),
    _token("age", "AGE-SECRET-KEY-1", f"{_WORD}{{20,}}", "age-secret-key-1"),
    _token("JSON web token", "eyJ", rf"{_URLSAFE}{{8,}}\.{_URLSAFE}{{8,}}(?:\.[A-Za-z0-9._-]*)?", "eyj"),
    _token("AWS", "A(?:KIA|SIA|BIA|CCA|GPA|IDA|ROA|NPA)", "[A-Z0-9]{8,}(?![a-z])", *("akia", "asia", "abia", "acca"),
           *("agpa", "aida", "aroa", "anpa"), digit=False),
    _token("GitHub", "gh[pousr]_|github_pat_", r"\w{8,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    _token("GitLab", "gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-", "[A-Za-z0-9_.=-]{8,}", "gl"),
    _token("GitLab runner", "GR1348941", f"{_URLSAFE}{{8,}}", "gr1348941"),
    _token("Google", "AIza", f"{_URLSAFE}{{20,}}", "aiza"),
    _token("Google sign-in", r"ya29\.|GOCSPX-|1//0", f"{_URLSAFE}{{10,}}", "ya29.", "gocspx-", "1//0"),
    Kind(
        "OpenAI and its like",
        ("sk-", "pk-", "rk-"),
        re.compile(
            r"(?<![A-Za-z0-9])((?:sk|pk|rk)-(?:[a-z]{2,10}[0-9]{0,2}-){0,3})"
            r"(?:(?=[A-Za-z_-]{0,80}\d)[A-Za-z0-9_-]{8,}|[A-Za-z0-9]{12,})"
        ),
    ),
    _token("Stripe", "(?:sk|pk|rk)_(?:live|test|prod)_|whsec_", f"{_WORD}{{8,}}", "k_live_", "k_test_", "k_prod_",
           "whsec_"),
    _token("Slack", r"xox[abdeoprs](?:\.xox[bp])?-(?:\d-)?|xapp-", "[A-Za-z0-9-]{8,}", "xox", "xapp-"),
    Kind(
        "webhook",
        ("hooks.slack.com", "/webhooks/"),
        re.compile(
            r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{1,24}/)[\w/-]+"
        ),
    ),
    _token("SendGrid", r"SG\.", rf"{_URLSAFE}{{10,}}\.{_URLSAFE}{{10,}}", "sg."),
    _token("npm, PyPI, RubyGems", "npm_|pypi-|rubygems_", f"{_URLSAFE}{{16,}}", "npm_", "pypi-", "rubygems_"),
    _token("NuGet", "oy2", "[a-z0-9]{43}(?![A-Za-z0-9])", "oy2"),
    _token("Hugging Face", "hf_|api_org_", f"{_WORD}{{8,}}", "hf_", "api_org_"),
    _token("model services",
           "gsk_|xai-|r8_|nvapi-|pplx-|fw_|jina_|tvly-|e2b_|lsv2_(?:pt|sk)_|tgp_v1_|AQ\\.|csk-|fc-",
           f"{_URLSAFE}{{16,}}", *("gsk_", "xai-", "r8_", "nvapi-", "pplx-", "fw_", "jina_", "tvly-", "e2b_", "lsv2_"),
           *("tgp_v1_", "aq.", "csk-", "fc-"), digit=True),
    _token("Tailscale", "tskey-", f"{_URLSAFE}{{10,}}", "tskey-"),
    Kind("Telegram", (":aa",), re.compile(r"(?<![A-Za-z0-9])()\d{8,10}:AA[A-Za-z0-9_-]{30,}")),
    Kind(
        "Discord",
        (".",),
        re.compile(r"(?<![A-Za-z0-9_.-])()[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}(?![\w-])"),
    ),
    _token("databases and clouds",
           r"dapi|do[opr]_v1_|dp\.(?:pt|st|ct|sa|scim|audit)\.|nfp_|pscale_(?:tkn|oauth|pw)_|sbp_|sb_secret_|hv[sbr]\."
           r"|HRKU-|dckr_(?:pat|oat)_|pul-|glsa_|glc_|sntry[su]_|FlyV1 |fo1_",
           "[A-Za-z0-9_.,+/=-]{16,}", *("dapi", "_v1_", "dp.", "nfp_", "pscale_", "sbp_", "sb_secret_", "hvs.", "hvb."),
           *("hvr.", "hrku-", "dckr_", "pul-", "glsa_", "glc_", "sntry", "flyv1", "fo1_"), digit=True),
    Kind("Terraform", (".atlasv1.",), re.compile(r"(?<![A-Za-z0-9])()[A-Za-z0-9]{10,20}\.atlasv1\.[A-Za-z0-9_-]{40,}")),
    _token("work tools",
           "lin_api_|lin_oauth_|ntn_|secret_|figd_|shp(?:at|ca|pa|ss)_|sq0(?:atp|csp|idp)-|PMAK-|ATATT3|ATCTT3|bkua_"
           "|CCIPAT_|CCIPRJ_|phc_|phx_|rnd_|re_|patch_|dt0c01\\.",
           "[A-Za-z0-9_.=-]{16,}", *("lin_", "ntn_", "secret_", "figd_", "shpat_", "shpca_", "shppa_", "shpss_", "sq0"),
           *("pmak-", "atatt3", "atctt3", "bkua_", "ccipat_", "cciprj_", "phc_", "phx_", "rnd_", "re_"),
           *("dt0c01.",), digit=True),
    Kind("Mailgun", ("key-",), re.compile(r"(?<![\w-])(key-)[0-9a-f]{32}")),
    Kind("Airtable", ("pat",), re.compile(r"(?<![A-Za-z0-9])(pat)[A-Za-z0-9]{14}\.[0-9a-f]{40,}")),
    Kind("Twilio", ("sk",), re.compile(r"(?<![A-Za-z0-9])(SK)[0-9a-f]{32}(?![A-Za-z0-9])")),
    Kind("Mailchimp", ("-us",), re.compile(r"(?<![A-Za-z0-9])()[0-9a-f]{32}-us\d{1,2}(?![A-Za-z0-9])")),
    Kind(
        "header",
        ("authorization",),
        re.compile(
            r"(authorization\\{0,3}[\"']?\s{0,8}[:=]\s{0,8}\\{0,3}[\"']?(?:(?:basic|token|bearer|digest|apikey|negotiate)\s+)?)"
            r"(?!\*\*\*)[^\r\n\"'\\]{3,4096}",
            re.IGNORECASE,
        ),
    ),
    Kind("cookie", ("cookie",), re.compile(r"((?:set-)?cookie\\?[\"']?\s{0,8}:\s{0,8}\\?[\"']?)[^\r\n\"'\\]{3,4096}",
                                           re.IGNORECASE)),
    Kind(
        "bearer",
        ("bearer",),
        re.compile(
            r"\b(bearer\s+)(?!(?:auth\w*|tokens?|schemes?|headers?|credentials?|errors?|realm|keys?)\b)"
            r"[A-Za-z0-9._~+/=-]{6,}",
            re.IGNORECASE,
        ),
    ),
    Kind(
        "basic",
        ("basic ",),
        re.compile(r"\b(basic\s+)(?=[A-Za-z+/]{0,80}[0-9=])[A-Za-z0-9+/]{6,}={0,2}", re.IGNORECASE),
    ),
    Kind("URL password", ("://",), re.compile(r"(://[^/\s:@\"']{0,256}:)[^/\s\"']{1,512}(?=@)")),
    Kind("URL user", ("://",), re.compile(r"(://)(?=[A-Za-z_-]{0,80}\d)[A-Za-z0-9_-]{16,256}(?=@)")),
    Kind(
        "URL query",
        ("?", "&"),
        re.compile(
            r"([?&](?:code|sig|signature|auth|authorization|session|sid|x-amz-signature|x-amz-credential)=)"
            r"[^&\s\"'#<>\\]{3,4096}",
            re.IGNORECASE,
        ),
    ),
    Kind(
        "curl",
        ("-u", "--user"),
        re.compile(r"((?:(?<![\w-])-u\s{0,4}|--user[\s=]{1,4})[\"']?[^\s:\"']{1,128}:)[^\s\"']{1,512}"),
    ),
    Kind("netrc", ("login",), re.compile(r"(\blogin\s+\S{1,128}\s+password\s+)\S{1,512}")),
)  # fmt: skip

NAME_WORDS = ("key", "token", "secret", "pass", "pwd", "credential")
"""What the name of a secret has in it."""

_VAGUE = ("?", "&", ".", "sk", "pat", "gl", "-u", "--user")
"""Signs that many texts have: they are looked for by themselves, and what stands there more closely."""


def _trie(words: Iterable[str]) -> str:
    """A pattern for any of ``words`` that fails at the first character where none begins."""
    heads: dict[str, set[str]] = {}
    for word in words:
        heads.setdefault(word[:1], set()).add(word[1:])
    ends = ((re.escape(head), rests) for head, rests in sorted(heads.items()))
    return "|".join(head if "" in rests else f"{head}(?:{_trie(rests)})" for head, rests in ends)


_KINDS_OF: dict[str, list[Kind]] = {}
for _kind in KINDS:
    for _sign in _kind.signs:
        _KINDS_OF.setdefault(_sign, []).append(_kind)
_ANY_SIGN = re.compile(_trie(sign for sign in _KINDS_OF if sign not in _VAGUE))
_ANY_SIGN_BYTES = re.compile(_ANY_SIGN.pattern.encode())
_VAGUE_LOOKS = (
    (b".", re.compile(rb"\.[\w-]{6}\.[\w-]{27}")),
    (b"?", re.compile(rb"[?&][a-z-]{2,20}=")),
    (b"&", re.compile(rb"[?&][a-z-]{2,20}=")),
    (b"sk", re.compile(rb"(?<![a-z0-9])sk[0-9a-f]{32}")),
    (b"pat", re.compile(rb"(?<![a-z0-9])pat[a-z0-9]{14}\.")),
    (b"gl", re.compile(rb"(?<![a-z0-9])gl[a-z]{2,5}-")),
    (b"-u", re.compile(rb"-u\s")),
    (b"--user", re.compile(rb"--user")),
)
_NAME_WORDS_BYTES = tuple(word.encode() for word in NAME_WORDS)
# A quote or a blank may be escaped in JSON, and a name may be a key; a flag has its value behind a blank.
_NAMED_BYTES = re.compile(
    rb"(?:key|token|secret|pass|pwd|credential)[\w.-]{0,64}"
    rb"(?:\\u[0-9a-f]{4}|\\.|[\"'`\s\x1c-\x1f\x80-\xff])*(?:[=:,]|->)"
)
_FLAG_BYTES = re.compile(rb"--[\w-]{0,64}(?:key|token|secret|pass|pwd|credential)")


def may_hold_secret(line: bytes) -> bool:
    """Whether :func:`masked` could find something in what a line of JSON in small letters says; False is certain.

    Escapes of letters and slashes are the caller's matter.
    """
    if _ANY_SIGN_BYTES.search(line) is not None:
        return True
    if any(sign in line and look.search(line) for sign, look in _VAGUE_LOOKS):
        return True
    if not any(word in line for word in _NAME_WORDS_BYTES):
        return False
    return _NAMED_BYTES.search(line) is not None or (b"--" in line and _FLAG_BYTES.search(line) is not None)


_NAME_WORD = re.compile("|".join(NAME_WORDS), re.IGNORECASE)
_NAME_BEFORE, _NAME_AFTER = re.compile(r"[\w.-]{0,64}\Z"), re.compile(r"[\w.-]{0,64}")
_ORDINARY = re.compile(
    r"(?:mon|tur|don|hoc|joc|whis|las)keys?|key(?:board|word|frame|stroke|press|note|ring|pad|ed|space|map|bind|server)"
    r"|key[_-]?(?:type|size|length|len|count|format|usage|error|name|path|file|up|down|code)s?\b"
    r"|(?<![A-Za-z])(?:sort|primary|foreign|partition|cache|hot|short|arrow|func|function|home|page|dict|map|group|index|unique|any"
    r"|object|lookup|row|config|json|meta|tick|press|next|public|pub)[_-]?keys?\b"
    r"|token(?:i[sz]|s?[_-]?(?:count|limit|usage|budget|rate|type|s|in|out|per|used|left|total|max|min|id_type))"
    r"|(?<![A-Za-z])(?:num|max|min|input|output|prompt|completion|total|eval|cache_read|cache_write|reasoning|n|of)[_-]?tokens?\b|tokens\b"
    r"|pass(?:age|eng|ed\b|es\b|ing|ion|ive|port\b|through|able|count|rate)|(?:com|by|sur|tres|encom|over|under)pass"
    r"|secretary|credentialed",
    re.IGNORECASE,
)
"""Names of something else: ``monkey``, ``keyboard``, ``max_tokens``, ``passed``."""

_WORD_BEFORE = re.compile(r"(?<![A-Za-z])([A-Za-z]{1,12}) \Z")
_SEPARATOR = re.compile(r"\\{0,3}[\"'`]?\s{0,8}(?::=|=>|->|[=:])\s{0,8}|\\{0,3}[\"'`]\s{0,8},\s{0,8}(?=\\{0,3}[\"'])")
_FLAG_SEPARATOR = re.compile(r"\s{1,4}(?!-)")
_VALUE = re.compile(
    r"(?P<open>\\{0,3}\"|\\{0,3}'|`)(?P<quoted>(?:(?!(?P=open)).){0,4096}?)(?P=open)"
    r"|(?:(?:bearer|basic|token)\s+)?(?P<bare>[^\s\"'&,;(){}\[\]<>\\]{1,4096})",
    re.DOTALL | re.IGNORECASE,
)
_PLAIN = re.compile(
    r"\*+|…|\.+|true|false|null|none|nil|undefined|yes|no|on|off|ok|set|unset|invalid"
    r"|expired|missing|required|unknown|incorrect|empty|error|failed|optional|disabled|enabled|str(?:ing)?|int(?:eger)?"
    r"|number|object|boolean|bool|wrong|rejected|accepted|valid|not|is|was|the|a|an|\$\{?[\w.]+\}?|\{\{?[\w. ]+\}?\}"
    r"|<[\w .-]*>|%[\w()]+%?|\[[\w .-]*\]|os\.environ\S*|getenv\S*|redacted|\[redacted\]",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?[\d.,_]{1,12}\s?(?:[kKMGT%]|ms|s|per\w*)?")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile("[A-Za-z]")


def masked(text: str) -> str:
    """``text`` with ``***`` for each secret in it; what tells its kind stays."""
    lowered = text.lower()
    signs = {*_ANY_SIGN.findall(lowered), *[sign for sign in _VAGUE if sign in lowered]}
    for kind in dict.fromkeys(kind for sign in sorted(signs) for kind in _KINDS_OF[sign]):
        text = kind.pattern.sub(_masked_match, text)
    if any(word in lowered for word in NAME_WORDS):
        text = _without_named(text)
    return text


def _masked_match(found: re.Match[str]) -> str:
    return found[0] if MASK in found[0] else f"{found[1]}{MASK}"


def _without_named(text: str) -> str:
    """``text`` without the values of ``api_key=…``, ``"password": "…"``, ``token -> …``, ``--secret …``."""
    pieces: list[str] = []
    done = 0
    for start, end in _named_values(text):
        if start >= done:
            pieces += (text[done:start], MASK)
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _named_values(text: str) -> Iterator[tuple[int, int]]:
    place = 0
    while (word := _NAME_WORD.search(text, place)) is not None:
        place = word.end()
        after = _NAME_AFTER.match(text, word.end())
        end = after.end() if after is not None else word.end()
        before = _NAME_BEFORE.search(text, max(0, word.start() - NAME_REACH), word.start())
        start = before.start() if before is not None else word.start()
        name = text[start:end]
        separator = _SEPARATOR.match(text, end)
        if separator is None and name.startswith("--"):
            separator = _FLAG_SEPARATOR.match(text, end)
        if separator is None:
            continue
        place = max(place, end)
        if _ORDINARY.search(_with_word_before(text, start, name)):
            continue
        value = _VALUE.match(text, separator.end())
        if value is None:
            continue
        group = "bare" if value["quoted"] is None else "quoted"
        if _is_secret(value[group], word[0].lower()):
            yield value.span(group)
            place = value.end()


def _with_word_before(text: str, start: int, name: str) -> str:
    """``primary_key`` for ``primary key``."""
    before = _WORD_BEFORE.search(text, max(0, start - NAME_REACH), start)
    return name if before is None else f"{before[1]}_{name}"


def _is_secret(value: str, word: str) -> bool:
    value = value.strip()
    if not value or _PLAIN.fullmatch(value):
        return False
    if _NUMBER.fullmatch(value):
        return word not in ("key", "token") and len(value) > 3
    if word == "key":  # many a key is none: a column, a button
        mixed = _DIGIT.search(value) is not None and _LETTER.search(value) is not None
        return " " not in value and (len(value) >= 20 or (len(value) >= 6 and mixed))
    return len(value) >= 3
