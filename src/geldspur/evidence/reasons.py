"""Why a file has no digest, or a content no fingerprint: the codes, and the sentence that a report prints for each."""

SKIPPED = {
    "symlink": "symbolic link, recorded and not followed",
    "special": "socket, pipe or device, never opened",
    "virtual": "a file system of the kernel's own making (proc, sysfs …), not entered",
    "encrypted": "encrypted in its archive",
    "depth": "nested deeper than the limit, archives in archives or folders in folders",
    "size": "larger unpacked than the limit",
    "ratio": "unpacks to more than the limit allows for its packed size (archive bomb)",
    "count": "beyond the limit of members in one archive",
    "unsupported": "of a format, compression method or file system that is not read",
    "hard link": "hard link inside an archive; the member it names holds the content",
    "no data": "deleted, and its file system no longer tells where its data lay",
}
UNREADABLE = {
    "error": "could not be read",
    "vanished": "found by the walk, gone when it was to be read",
    "changed": "changed while it was read",
    "damaged": "its archive is damaged there",
}
NO_FINGERPRINT = {
    "crashed": "the decoder crashed; the crash cost this file's fingerprints only",
    "time": "took longer than the limit",
    "memory": "needed more memory than the limit",
    "damaged": "no frame could be decoded",
    "unreadable": "could not be read a second time, or had changed since its digests were taken",
    "size": "a member of an archive, too large to be decoded in memory",
    "pixels": "a frame has more pixels than the limit (decompression bomb)",
    "off": "fingerprints were not asked for",
}
