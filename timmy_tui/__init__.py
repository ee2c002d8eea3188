"""timmy-tui: a console for a local-LLM agent stack (Ollama, Hermes Agent, a Huey heartbeat, its providers)."""

__version__ = "0.1.0"
