"""Hash sets of known files: their formats, and the memory-mapped form that look-ups use.

entry.py      what a reader hands over
listfile.py   a list's file as bytes: digest, unpacking, decoding
formats/      one reader a format, and how a format is recognised
make.py       from a list's file to its compiled form
columns.py    sorted columns, written with bounded memory
hashlist.py   the compiled form: open, find, verify
kernels.py    look-up and merge
"""

from geldspur.evidence.lists.hashlist import HashList, open_list
from geldspur.evidence.lists.make import make_list

__all__ = ["HashList", "make_list", "open_list"]
