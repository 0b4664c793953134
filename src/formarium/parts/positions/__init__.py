"""Positions: what tells tokens where they are."""
