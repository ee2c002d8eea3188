"""A diff of any size, reviewed by a local model piece by piece."""
