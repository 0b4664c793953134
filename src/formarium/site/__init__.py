"""Static pages out of cards and records: what is there and what held, to be searched in any browser."""
