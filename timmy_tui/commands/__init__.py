"""The commands, one module each: what ``cli.py`` calls after it has read the command line."""
