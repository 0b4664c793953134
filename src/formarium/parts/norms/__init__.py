"""Norms: what keeps tokens at a common scale."""
