"""Link prediction: which entity completes a triple of a knowledge graph."""
