"""Every form of OLLAMA_HOST leads to the server that Ollama's own client would dial (facts/ollama.md §4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.locality import host_place
from timmy_tui.services.ollama.address import connectable_url, is_private
from timmy_tui.services.ollama.errors import OllamaError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("   ", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("1.2.3.4:5678", "http://1.2.3.4:5678"),
        (":11435", "http://127.0.0.1:11435"),
        ("gpu-box:", "http://gpu-box:11434"),
        ("http://localhost", "http://localhost:80"),
        ("https://ollama.example", "https://ollama.example:443"),
        ("HTTPS://Ollama.Example:8443", "https://ollama.example:8443"),
        ("ollama.com", "https://ollama.com:443"),
        ("https://proxy.example/ollama/", "https://proxy.example:443/ollama"),
        ("proxy.example:8080/a/b", "http://proxy.example:8080/a/b"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("http://[fd00::5]:8080", "http://[fd00::5]:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:11435", "http://127.0.0.1:11435"),
        ("::", "http://[::1]:11434"),
        ("[::]:11435", "http://[::1]:11435"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:11434"),
        (' "1.2.3.4:5678" ', "http://1.2.3.4:5678"),
        ("'localhost:1'", "http://localhost:1"),
        ("localhost:99999", "http://localhost:11434"),
        ("localhost:-1", "http://localhost:11434"),
        ("localhost:http", "http://localhost:11434"),
        ("localhost:0", "http://localhost:11434"),
        ("https://localhost:99999", "https://localhost:443"),
    ],
)
def test_a_form_of_ollama_host(text: str, url: str) -> None:
    assert connectable_url(text) == url
    assert connectable_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://alex:hunter2@localhost:11434",
        "alex:hunter2@localhost",
        "http://alex:hun/ter2@localhost",
        "unix:///run/ollama.sock",
        "tcp://localhost:11434",
        "two words",
        "http://local\x1b]0;x\x07host",
        "::1:99999",
        "fe80::zz",
        "http://host/path?token=abcdefgh",
        "http://host/pa th",
        "a..b",
        "x" * 300,
    ],
)
def test_what_is_no_address_is_one_clear_line(text: str) -> None:
    with pytest.raises(OllamaError) as caught:
        connectable_url(text)
    assert caught.value.hint
    assert caught.value.message.isprintable()
    assert "hunter2" not in caught.value.message
    assert "ter2" not in caught.value.message
    assert "abcdefgh" not in caught.value.message


@given(st.text(max_size=60))
def test_any_text_is_an_address_that_stays_itself_or_an_error(text: str) -> None:
    try:
        url = connectable_url(text)
    except OllamaError as error:
        said = error.message
    else:
        said = url
        assert connectable_url(url) == url
        assert url.startswith(("http://", "https://"))
    assert said.isprintable()


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:11434", True),
        ("http://localhost:80", True),
        ("http://10.1.2.3:11434", True),
        ("http://172.31.0.1:11434", True),
        ("http://172.32.0.1:11434", False),
        ("http://192.168.1.9:11434", True),
        ("http://100.64.0.1:11434", True),
        ("http://100.128.0.1:11434", False),
        ("http://169.254.3.3:11434", True),
        ("http://[fe80::1]:11434", True),
        ("http://[2001:db8::1]:11434", False),
        ("http://mac.local:11434", True),
        ("http://gpu-box:11434", True),
        ("https://ollama.com:443", False),
        ("http://127.0.0.1.example.com:80", False),
        ("http://local:11434", True),
        ("http://notlocal.example", False),
    ],
)
def test_how_near_a_server_is(url: str, private: bool) -> None:
    assert is_private(url) is private


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (None, "unknown"),
        ("", "unknown"),
        ("http://", "unknown"),
        ("http://[", "unknown"),
        ("http://localhost:11434/v1/", "local"),
        ("localhost:11434", "local"),
        ("::1", "local"),
        ("http://[::ffff:10.0.0.1]/v1", "local"),
        ("http://2130706433/v1", "local"),
        ("http://134744072/v1", "cloud"),
        ("http://8.8.8.8", "cloud"),
        ("https://api.openai.com/v1", "cloud"),
        ("https://openrouter.ai/api/v1", "cloud"),
        ("http://LOCALHOST./v1", "local"),
        ("http://host.docker.internal:11434/v1", "local"),
    ],
)
def test_where_a_base_url_leads(url: str | None, place: str) -> None:
    assert host_place(url) == place
