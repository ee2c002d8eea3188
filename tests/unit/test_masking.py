"""No secret is shown, logged, recorded or exported; and what only looks like one stays.

The samples are put together here, so that no scanner takes them for real ones.
"""

from __future__ import annotations

import time
from itertools import cycle, islice

import pytest

from timmy_tui.masking import MASK, masked

LOWER, UPPER, DIGITS = "qzvwkxjhypbgmdf", "QZVWKXJHYPBGMDF", "7392516048"


def noise(length: int, *alphabets: str) -> str:
    """Letters that no dictionary has, the same ones each time."""
    turns = [cycle(alphabet) for alphabet in alphabets or (LOWER, DIGITS, UPPER)]
    return "".join(next(turn) for turn in islice(cycle(turns), length))


HEX = noise(64, "0a1b2c3d4e5f", "9f8e7d")
N = noise(40)

TOKENS = {
    "AWS id": "AKIA" + noise(16, UPPER, "234567"),
    "AWS session id": "ASIA" + noise(16, UPPER, "234567"),
    "JWT": "eyJ" + noise(20) + "." + "eyJ" + noise(40) + "." + noise(43),
    "GitHub": "ghp" + "_" + noise(36),
    "GitHub app": "ghs" + "_" + noise(36),
    "GitHub fine-grained": "github" + "_pat_" + noise(22) + "_" + noise(59),
    "GitLab": "glpat" + "-" + noise(20),
    "GitLab runner": "glrt" + "-" + noise(20),
    "Google": "AIza" + noise(35),
    "Google OAuth": "ya29" + "." + noise(60),
    "Google client": "GOCSPX" + "-" + noise(28),
    "Stripe": "sk" + "_live_" + noise(24),
    "Stripe restricted": "rk" + "_test_" + noise(24),
    "Stripe webhook": "whsec" + "_" + noise(32),
    "Slack bot": "xoxb" + "-12345678901-" + noise(24),
    "Slack user": "xoxp" + "-12345678901-" + noise(24),
    "Slack app": "xapp" + "-1-A0" + noise(9, UPPER) + "-" + noise(40),
    "SendGrid": "SG" + "." + noise(22) + "." + noise(43),
    "npm": "npm" + "_" + noise(36),
    "PyPI": "pypi" + "-AgEIcHlwaS5vcmc" + noise(60),
    "RubyGems": "rubygems" + "_" + noise(48, "0a1b2c3d4e5f"),
    "Hugging Face": "hf" + "_" + noise(34),
    "OpenAI": "sk" + "-" + noise(48),
    "OpenAI project": "sk" + "-proj-" + noise(80),
    "Anthropic": "sk" + "-ant-api03-" + noise(80),
    "OpenRouter": "sk" + "-or-v1-" + noise(64),
    "Groq": "gsk" + "_" + noise(52),
    "xAI": "xai" + "-" + noise(80),
    "Replicate": "r8" + "_" + noise(37),
    "NVIDIA": "nvapi" + "-" + noise(64),
    "Perplexity": "pplx" + "-" + noise(48),
    "Tavily": "tvly" + "-" + noise(32),
    "LangSmith": "lsv2" + "_pt_" + noise(32) + "_" + noise(10),
    "Tailscale": "tskey" + "-auth-" + noise(12) + "-" + noise(32),
    "Telegram": "123456789" + ":AA" + noise(33),
    "Discord": "M" + noise(25) + "." + noise(6) + "." + noise(38),
    "Databricks": "dapi" + noise(32, "0a1b2c3d4e5f"),
    "DigitalOcean": "dop" + "_v1_" + noise(64, "0a1b2c3d4e5f"),
    "Doppler": "dp" + ".pt." + noise(43),
    "Vault": "hvs" + "." + noise(90),
    "Terraform": noise(14) + ".atlasv1." + noise(60),
    "Docker": "dckr" + "_pat_" + noise(27),
    "Grafana": "glsa" + "_" + noise(32) + "_" + noise(8, "0a1b"),
    "Sentry": "sntrys" + "_" + noise(64),
    "Linear": "lin" + "_api_" + noise(40),
    "Notion": "ntn" + "_" + noise(46),
    "Figma": "figd" + "_" + noise(40),
    "Shopify": "shpat" + "_" + noise(32, "0a1b2c3d4e5f"),
    "Square": "sq0atp" + "-" + noise(22),
    "Postman": "PMAK" + "-" + noise(24) + "-" + noise(34),
    "Atlassian": "ATATT3" + noise(180),
    "Airtable": "pat" + noise(14) + "." + noise(64, "0a1b2c3d4e5f"),
    "Mailchimp": noise(32, "0a1b2c3d4e5f") + "-us21",
    "age": "AGE-SECRET-KEY-1" + noise(58, UPPER, "23456789"),
    "PlanetScale": "pscale" + "_tkn_" + noise(43),
    "Supabase": "sbp" + "_" + noise(40, "0a1b2c3d4e5f"),
}
S = "hunter2" + "Correct"  # what stands behind a name
NAMED = {
    "assignment": f"password={S}",
    "colon": f"password: {S}",
    "arrow": f"db_password -> {S}",
    "environment": f"export AWS_SECRET_ACCESS_KEY={N}",
    "hyphens": f"X-Api-Key: {N}",
    "camel": f"apiKey: {N}",
    "short name": f"pwd={S}",
    "name inside": f"MYSQL_ROOT_PASS='{S}'",
    "run together": f"dbpassword={S}",
    "double quotes": f'"client_secret": "{S}"',
    "single quotes": f"'token': '{S}'",
    "escaped JSON": f'{{\\"password\\": \\"{S}\\"}}',
    "with spaces": f'"passphrase": "{S} horse battery"',
    "single with spaces": f"passphrase = '{S} horse battery'",
    "YAML": f"  credentials: {S}",
    "connection": f"AccountKey={N}==;EndpointSuffix=core",
    "walrus": f"token := {S}",
    "flag": f"mysql --password {S}",
    "flag with =": f"tool --api-key={N}",
    "flag, quoted": f'tool --client-secret "{S}"',
    "curl": f"curl -u alex:{S} https://host",
    "curl, long": f"curl --user alex:{S} https://host",
    "basic": "Authorization: Basic " + noise(24) + "==",
    "token header": f"authorization: token {S}",
    "bearer": f"Authorization: Bearer {N}",
    "bearer in JSON": f'{{"Authorization": "Bearer {N}"}}',
    "header in curl": f"curl -H 'Authorization: Bearer {N}'",
    "bearer alone": f"bearer {N}",
    "cookie": f"Cookie: session={S}; theme=dark",
    "set-cookie": f"Set-Cookie: sid={S}; Path=/",
    "URL password": f"postgres://alex:{S}@host/db",
    "URL user": f"https://{N}@github.com/a/b",
    "URL query": f"GET /v1?api_key={N}&q=x",
    "signed URL": f"https://host/x?X-Amz-Signature={HEX}&a=1",
    "OAuth code": f"https://host/cb?code={N}&state=1",
    "webhook": "https://hooks.slack.com/services/T" + noise(8, UPPER) + "/B" + noise(8, UPPER) + "/" + noise(24),
    "Discord webhook": f"https://discord.com/api/webhooks/123456789012345678/{noise(68)}",
    "netrc": f"machine host login alex password {S}",
    "pip": f"https://__token__:{N}@pypi.example/simple",
    "redis": f"redis://:{S}@10.0.0.2:6379/0",
    "session token": f"aws_session_token = {N}",
    "tuple": f"('password', '{S}')",
}
PEM = (
    "-----BEGIN {kind}PRIVATE KEY{block}-----\n"
    + noise(64)
    + "\n"
    + noise(64)
    + "\n-----END {kind}PRIVATE KEY{block}-----"
)
PEMS = {
    kind or "PKCS8": PEM.format(kind=kind, block=block)
    for kind, block in (("", ""), ("RSA ", ""), ("EC ", ""), ("OPENSSH ", ""), ("ENCRYPTED ", ""), ("PGP ", " BLOCK"))
}

HARMLESS = [
    "token count: 512",
    "tokens: 512",
    "max_tokens=4096",
    "prompt_tokens: 1,234, total_tokens: 48.0k",
    "tokens/s: 41.2",
    "tokenizer: llama-bpe-2024",
    "the tokenization: byte-pair",
    "monkey: banana2split",
    "keyboard: qwertz-105",
    "keywords: red1 green2 blue3",
    "sort_key: created_at_2",
    "primary key: user_id_2",
    "the key: turn it off and on again",
    "key=lambda item: item[1]",
    "press any key: y",
    "passage: Genesis",
    "tests passed: 812",
    "bypass: enabled2",
    "compass = north-by-northwest1",
    "password: ***",
    "password=${DB_PASSWORD}",
    "api_key: ${OPENAI_API_KEY}",
    "token: $TOKEN",
    "secret: null",
    "token: expired",
    "password: required",
    "pass: true",
    "commit 710af0489f2f7f35f5a8c2e3e1ab9d1e5a3b2c1d",
    "7d1a64f0-2b8e-4f7e-9d7a-1c2b3a4d5e6f",
    "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "digest: 365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "hermes4:14b",
    "risk-management-plan-2026",
    "disk-usage-is-high-9",
    "sk-learn-pipeline",
    "basic authentication",
    "Basic information about the host",
    "bearer of bad news",
    "the bearer authentication scheme",
    "20261129_031502_ab12cd",
    "https://host/path?page=2&size=50",
    "https://alex@host/x",
    "git@github.com:a/b.git",
    "10.0.0.2:6379",
    "http://[::1]:11434/api/tags",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ alex@host",
    "-----BEGIN PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----",
    "public_key: AAAAC3NzaC1lZDI1NTE5AAAAIJ",
    "eyJust a word",
    "AKIA",
    "ghp_",
    "glass-of-water-and-more",
    "num_ctx=8192",
    "passengers: Alex2, Sam3",
    "The secretary: Ms. Smith1",
    "cookie consent",
    "login as alex",
    "num_predict: 256",
    "keys: {tick: T, quit: Q}",
    "turkey: 12 slices",
    "object key: reports/2026/11",
    "MAILBOX=inbox",
    "npm install left-pad",
    "pypi-server is up",
    "hf_model is loaded",
    "author: token ring",
    "ok: nothing to do",
    "tick_key=20261129_031502",
    "foreign_key: orders.user_id_2",
    "monkeypatch = pytest.MonkeyPatch1()",
    "cache_key: 9b2f1c",
    "it passed; next: deploy",
    "cipher: AES-256-GCM",
    "model: sk-small",
    "Set-Cookies",
    "uuid=550e8400-e29b-41d4-a716-446655440000",
    'etag: W/"0815-5f2a"',
    "v1.0-beta",
    "import secrets",
    "key: Enter",
    "passed: 3, failed: 0",
    "credentials are wrong",
    "checksum 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "1//0",
]


@pytest.mark.parametrize("secret", TOKENS.values(), ids=TOKENS.keys())
@pytest.mark.parametrize("frame", ["{}", "it said: {}.", '{{"error": "bad {}"}}', "({}),", "a\n{}\nb", "URL/{}"])
def test_a_token_is_masked_wherever_it_stands(secret: str, frame: str) -> None:
    shown = masked(frame.format(secret))
    assert MASK in shown
    assert secret[-8:] not in shown
    before, _, behind = frame.format("\0").partition("\0")
    assert shown.startswith(before[:3])
    assert shown.endswith(behind[-2:]) or behind == "."


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED.keys())
def test_a_value_with_the_name_of_a_secret_is_masked(text: str) -> None:
    shown = masked(f"{text}\nand more")
    assert MASK in shown
    for part in (S, N, HEX, noise(24), noise(68), "horse"):
        assert part not in shown
    assert shown.endswith("and more")
    assert masked(shown) == shown


@pytest.mark.parametrize("pem", PEMS.values(), ids=PEMS.keys())
def test_a_private_key_is_masked_as_a_whole(pem: str) -> None:
    assert noise(64) not in masked(f"a\n{pem}\nb")
    assert noise(64) not in masked(pem[:-40])
    assert noise(64) not in masked(pem.replace("\n", "\\n"))
    assert masked(f"a\n{pem}\nb").endswith("\nb")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert masked(text) == text


def test_there_are_as_many_harmless_ones_as_secret_ones() -> None:
    assert len(TOKENS) + len(NAMED) + len(PEMS) >= 80
    assert len(HARMLESS) >= 80


@pytest.mark.parametrize(
    "unit",
    ["a", "key", "key=", "password: ", "-----BEGIN PRIVATE KEY-----", "eyJ", "sk-", "://a:", "token: '", 'secret "',
     "&", "Cookie: ", "authorization: ", "bearer ", "login password ", "--password ", ". ", "A1b2C3d4"],
)  # fmt: skip
def test_time_grows_with_the_length(unit: str) -> None:
    def took_s(size: int) -> float:
        text = unit * (size // len(unit))
        began = time.process_time()
        masked(text)
        return time.process_time() - began

    small = max(took_s(200_000), 0.004)
    assert took_s(800_000) < 14 * small  # linear is 4; the machine is shared


def test_another_scanner_finds_nothing_in_what_was_masked() -> None:
    """detect-secrets knows other kinds by other rules; an oracle, not a model."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    with default_settings():
        found = [
            (secret.type, text)
            for text in (*TOKENS.values(), *NAMED.values())
            for line in masked(text).splitlines()
            for secret in scan_line(line)
            if MASK not in (secret.secret_value or "") and "Entropy" not in secret.type
        ]
    assert found == []
