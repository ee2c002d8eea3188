"""Hermes Agent's store, read only."""
