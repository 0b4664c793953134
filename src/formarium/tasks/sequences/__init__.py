"""Synthetic sequences: a question about every token, whose answer is known."""
