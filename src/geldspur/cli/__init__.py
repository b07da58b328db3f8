"""The command line: each command is a few lines over a room's public function.

Exit codes: 0 done, 1 failed, 2 wrong use. `--json` prints one JSON object on standard output instead of text;
messages and progress go to standard error. Rooms are imported when a command needs them, so that `--help` and
look-ups answer at once.
"""

import os

# numpy starts its linear algebra's threads when it is imported. Nothing here uses them, and they cost a look-up time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from geldspur.cli.app import main

__all__ = ["main"]
