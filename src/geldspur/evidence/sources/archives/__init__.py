"""Archives: zip, tar, and gzip, bzip2 or xz around a tar or a single file, nested in each other.

Members are streamed, outermost first, with their bytes never on a disk. What an archive is, its first bytes say. Its
members' names are bytes as recorded; they are never used as names of files here, so `..` and `/` in front of them do no
harm. Limits bound depth, sizes, counts and memory, whatever the archive claims of itself.
"""

from geldspur.evidence.sources.archives.limits import LIMITS, Limits, Stopped
from geldspur.evidence.sources.archives.sniff import HEAD, is_archive
from geldspur.evidence.sources.archives.walk import Member, members

__all__ = ["HEAD", "LIMITS", "Limits", "Member", "Stopped", "is_archive", "members"]
