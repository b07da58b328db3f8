"""Misses on made clips, measured once for an installation: they depend on the program and its libraries alone.

What was measured is kept in the user's cache with all that it depends on, this program's own sources among it, and with
the time. A scan takes it over from there only while every part of that is as it was, and its log says so.
"""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geldspur import kernelcache
from geldspur.evidence.matching.error import Trial, spike_ins, spike_key
from geldspur.progress import SILENT, Progress
from geldspur.times import utc_now

_FILE = "spike-ins.json"


@dataclass(frozen=True, slots=True)
class Spikes:
    """Trials, and when they were measured (UTC); `kept`: not now."""

    trials: list[Trial]
    measured: str
    kept: bool


def spikes(
    progress: Progress = SILENT,
    *,
    again: bool = False,
    folder: Path | None = None,
    measure: Callable[[Progress], list[Trial]] = spike_ins,
) -> Spikes:
    """What this installation measured before, or measures now: where there is nothing that still holds, or `again`.

    `folder` is where it is kept, the user's cache by default. Where nothing can be written it is measured each time.
    """
    path = (folder or kernelcache.user_folder()) / _FILE
    key = spike_key()
    if not again and (found := _read(path, key)) is not None:
        return found
    made = Spikes(measure(progress), utc_now(), kept=False)
    with contextlib.suppress(OSError):
        _write(path, key, made)
    return made


def _read(path: Path, key: dict[str, Any]) -> Spikes | None:
    try:
        kept = json.loads(path.read_text())
        if kept["key"] != key:
            return None
        trials = [Trial(str(method), str(trial), int(tried), int(wrong), key)
                  for method, trial, tried, wrong in kept["trials"]]  # fmt: skip
        return Spikes(trials, str(kept["measured"]), kept=True) if trials else None
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or it is no such file
        return None


def _write(path: Path, key: dict[str, Any], made: Spikes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [[one.method, one.trial, one.tried, one.wrong] for one in made.trials]
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps({"key": key, "measured": made.measured, "trials": rows}, indent=1) + "\n")
    new.replace(path)
