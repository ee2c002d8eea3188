"""The label log: what operators said of candidates (DESIGN §5)."""
