"""Language modelling: text to token files, windows of them, and what a causal model makes of those."""
