"""What models were asked for, and what it took: the usage log and its sums."""
