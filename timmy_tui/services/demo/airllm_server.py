"""The simulated AirLLM: an OpenAI-compatible server that goes away for a minute and comes back."""

from __future__ import annotations

from timmy_tui.services.demo.decisions import answer_text
from timmy_tui.services.demo.loopback import JsonHandler, LoopbackServer

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


class AirllmServer:
    """Refuses connections until :meth:`up`, and again after :meth:`down`; the port stays the same."""

    def __init__(self) -> None:
        self._server: LoopbackServer | None = LoopbackServer(_OpenAIHandler)
        self._listening = False
        self.port = self._server.port

    @property
    def url(self) -> str:
        """The base address of its API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def up(self) -> None:
        """Answer from now on. ``OSError``: another program has taken the port meanwhile."""
        if self._listening:
            return
        if self._server is None:
            self._server = LoopbackServer(_OpenAIHandler, self.port)
        self._server.start("demo-airllm")
        self._listening = True

    def down(self) -> None:
        """Refuse from now on. ``OSError``: another program was quicker to take the port."""
        self.stop()
        # Bound but not listening: connections are refused, and the port stays ours.
        self._server = LoopbackServer(_OpenAIHandler, self.port)

    def stop(self) -> None:
        """Free the port."""
        if self._server is not None:
            self._server.stop()
        self._server, self._listening = None, False


class _OpenAIHandler(JsonHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/v1/models":
            self.answer({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "airllm"}]})
        elif path == "/health":
            self.answer({"status": "ok"})
        else:
            self._no_route()

    def do_POST(self) -> None:
        if self.path.partition("?")[0] != "/v1/chat/completions":
            self._no_route()
            return
        try:
            request = self.body()
        except ValueError as error:
            self._refuse(str(error), 400)
            return
        prompt, text = str(request.get("messages", "")), answer_text(str(request.get("messages", "")))
        prompt_tokens, tokens = len(prompt) // 4 + 1, len(text) // 4 + 1
        self.answer(
            {
                "id": "chatcmpl-demo",
                "object": "chat.completion",
                "model": MODEL,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": tokens,
                    "total_tokens": prompt_tokens + tokens,
                },
            }
        )

    def _no_route(self) -> None:
        self._refuse("unknown path", 404)

    def _refuse(self, message: str, status: int) -> None:
        self.answer({"error": {"message": message, "type": "invalid_request_error"}}, status)
