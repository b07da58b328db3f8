"""Comparison with hash sets: exact by digest, near by PDQ, clusters within the scan, and the measured error."""
