"""SHA-1 and SHA-256 of the same bytes, computed together."""
