"""Where completions come from: what each provider is, and how it is doing."""
