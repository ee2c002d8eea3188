"""A simulated stack that moves: Ollama, Hermes, ticks and providers in a temporary home."""
