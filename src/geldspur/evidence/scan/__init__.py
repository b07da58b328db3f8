"""The one pass over a source: walk, read once, digests and fingerprints in worker processes, resume."""
