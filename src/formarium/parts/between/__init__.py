"""What acts on the residual stream between the two mixers of a block."""
