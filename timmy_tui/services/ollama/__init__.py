"""Ollama: records, the exact display rules, and the HTTP client."""
