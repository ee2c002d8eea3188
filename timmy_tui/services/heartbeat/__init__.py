"""The heartbeat: perceive, decide by model or by the rules, act, record."""
