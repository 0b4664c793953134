"""Stems: how data become tokens."""
