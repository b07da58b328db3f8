"""The seized server, counted without being looked at.

A scan walks a source (folder, disk image, nested archives) read-only, and accounts for every file in it: digests,
perceptual fingerprints of images and videos, or the reason why not. Contents are then compared with hash sets, exactly
and nearly, and a report states what is known to which list by which method, and what is unknown, with measured error
rates. Nothing here shows, copies or stores media: a scan directory holds names, times, digests and fingerprints.

    sources/    where files come from: folders, images, archives; bytes out, never written
    scan/       the one pass: walk, read once, digests and fingerprints in worker processes, resume
    media/      keyframes, PDQ fingerprints, the worker's sandbox
    lists/      hash sets: formats, and the memory-mapped form that look-ups use
    matching/   exact and near search, clusters, measured error
    report/     the number chain, its wording, and the exports
    store.py    the scan directory: its database and its hash-chained log
"""
