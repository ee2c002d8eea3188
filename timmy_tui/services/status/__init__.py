"""The views of a snapshot outside the console: a JSON document, an overview, one line."""
