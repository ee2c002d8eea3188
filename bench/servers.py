"""The servers beside the console, each in a process of its own, so that its CPU does not count.

``python -m bench.servers ollama|model|hang`` prints its URL and serves until its standard input ends.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import ROOT


@contextmanager
def server(kind: str) -> Iterator[str]:
    """The URL of a running server: a simulated Ollama (8 models, 2 loaded), one that answers every prompt at once or
    as ``/test/mode`` says (``model``), or one that never answers (``hang``)."""
    command = [sys.executable, "-m", "bench.servers", kind]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(10)


def _serve_ollama() -> None:
    from timmy_tui.services.demo.ollama_server import OllamaServer
    from timmy_tui.services.demo.ollama_world import OllamaWorld

    world = OllamaWorld(time.time())
    for name, keep_s in (("hermes4:14b", 6 * 3600.0), ("qwen2.5-coder:7b", 7 * 3600.0)):
        world.load(name, time.time(), keep_s)
    ollama = OllamaServer(world)
    ollama.RequestHandlerClass.protocol_version = "HTTP/1.1"  # the real one keeps connections
    ollama.start("ollama")
    try:
        _until_stdin_ends(f"http://127.0.0.1:{ollama.port}")
    finally:
        ollama.stop()


def _serve_model() -> None:
    from fake_openai import fake_openai

    with fake_openai() as model:
        _until_stdin_ends(model.url)


def _serve_nothing() -> None:
    from faulty_server import FaultyServer

    with FaultyServer() as faulty:
        faulty.trouble = "hang"
        _until_stdin_ends(faulty.url)


def _until_stdin_ends(url: str) -> None:
    print(url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    {"ollama": _serve_ollama, "model": _serve_model, "hang": _serve_nothing}[sys.argv[1]]()
