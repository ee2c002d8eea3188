"""The tick log: reading, tailing, history, and the label events beside it."""
