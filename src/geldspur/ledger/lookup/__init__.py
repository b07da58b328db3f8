"""Look-ups: from a txid to its row, from a script to its id, from an id to the outputs that pay it."""
