"""Fingerprints of images and videos: keyframes, the luma plane, exact PDQ, and the sandbox of the worker."""
