"""Channel mixers: what happens inside each token."""
