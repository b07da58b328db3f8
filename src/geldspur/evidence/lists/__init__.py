"""Hash sets of known files: their formats, and the memory-mapped form that look-ups use."""
