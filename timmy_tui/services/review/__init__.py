"""Candidates, their labels, and what is made of both: the review screen's services."""
