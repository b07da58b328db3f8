"""Comparison with hash sets: exact by digest, near by PDQ, clusters within the scan, and the measured error.

mih.py, kernels.py    exact search among 256-bit hashes within 31 bits
frames.py             what of a scan is searched
exact.py, near.py     a scan's contents against one list
clusters.py           contents that look alike
spikes.py, error.py   made clips and their edits; decoy lists; what each method got wrong
compare.py            all of it for one scan: rows and log
"""
