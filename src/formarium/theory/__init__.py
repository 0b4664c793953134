"""What is computed, not trained."""
