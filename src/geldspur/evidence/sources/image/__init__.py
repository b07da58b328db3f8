"""Disk images, raw (also split) and E01: partitions, file systems, and the files in them, deleted ones too.

The image is read through libewf and The Sleuth Kit (extra `images`); nothing is mounted. Space that no file system
accounts for is not searched. `disks` gives an image's bytes, `volumes` its partitions, `listing` the files of one file
system, `source` puts them together.
"""

from geldspur.evidence.sources.image.source import ImageSource, StoredDigest, looks_like_image

__all__ = ["ImageSource", "StoredDigest", "looks_like_image"]
