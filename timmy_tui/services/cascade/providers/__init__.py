"""The providers of the cascade: one class for each kind of place that a completion can come from."""
