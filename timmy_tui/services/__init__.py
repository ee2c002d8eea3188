"""Clients, stores and the monitor in plain Python. Nothing here knows that a screen exists."""
