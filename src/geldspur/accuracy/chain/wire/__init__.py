"""How a simulated transaction is written: scripts, keys, signatures, witnesses."""
