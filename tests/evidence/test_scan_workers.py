"""Whatever a worker meets costs the task at hand; what a worker sends can't run anything in the scan."""

import io
import os
import pickle
import signal
import struct
import time
import zipfile
from functools import partial
from pathlib import Path

import pytest
from scan_trees import log_agrees_with_rows, rows

from geldspur.errors import GeldspurError
from geldspur.evidence.model import Digests
from geldspur.evidence.scan import pipeline, run
from geldspur.evidence.scan.pool import Pool, Task
from geldspur.evidence.scan.tasks import make_handler
from geldspur.evidence.scan.wire import Inbox, send


def obedient(context):
    """Handles tasks that say what is to go wrong."""

    def handle(task, talk):
        match task:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(60)
            case "memory":
                raise MemoryError
            case "bug":
                raise KeyError("x")
            case "talk":
                talk.say("on it")
                return talk.ask("how?")
            case "broken":
                send(talk._descriptor, ("broken", None, "as if it had never begun"))
            case "evil":
                return partial(os.system, "true")
        return context, task

    return handle


def unwilling(context):
    raise ValueError("no kernels here")


def _all(pool, tasks):
    waiting, ends = list(tasks), {}
    while waiting or pool.busy:
        while waiting and pool.has_room:
            word = waiting.pop(0)
            pool.put(Task(word, word, 1.0 if word == "hang" else 30.0))
        for event in pool.events(0.2):
            if event.what == "asked":
                pool.answer(event.task, f"well, after {event.content}")
            elif event.what != "said":
                ends[event.task.key] = (event.what, event.content)
    return ends


def test_a_worker_that_dies_hangs_or_lacks_memory_costs_one_task():
    words = ["one", "crash", "two", "exit", "hang", "three", "memory", "bug", "talk", "evil", "four"]
    with Pool(obedient, 2, "context") as pool:
        ends = _all(pool, words)
    assert {word: ends[word] for word in ("one", "two", "three", "four")} == {
        word: ("done", ("context", word)) for word in ("one", "two", "three", "four")
    }
    assert ends["talk"] == ("done", "well, after how?")
    assert ends["crash"] == ("lost", ("crashed", "signal 11 (SIGSEGV)"))
    assert ends["exit"] == ("lost", ("crashed", "exit code 3"))
    assert (ends["hang"][0], ends["hang"][1][0]) == ("lost", "time")
    assert ends["memory"] == ("lost", ("memory", "out of memory"))
    assert ends["bug"] == ("lost", ("crashed", "KeyError: 'x'"))
    assert ends["evil"][0] == "lost"


def test_workers_that_cannot_start_end_the_scan_with_their_words():
    with Pool(unwilling, 1, None) as pool, pytest.raises(GeldspurError, match="no kernels here"):
        _all(pool, ["one"])


def test_a_worker_that_has_begun_cannot_end_the_scan():
    with Pool(obedient, 1, None) as pool:
        assert _all(pool, ["broken", "one"]) == {"broken": ("done", (None, "broken")), "one": ("done", (None, "one"))}


def test_what_a_worker_sends_names_no_function():
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    inbox = Inbox(ours)

    def told(message):
        body = pickle.dumps(message)
        os.write(theirs, struct.pack("<Q", len(body)) + body)
        return inbox.read()

    digests = Digests(1, b"m", b"s", b"t", b"b")
    assert told(digests) == ([digests], True)
    for evil in (os.system, partial(print, 1), io.BytesIO):
        assert told(evil) == ([], False)
    os.write(theirs, b"\1\0\0\0\0\0\0\0.")
    assert inbox.read() == ([], False)
    os.write(theirs, struct.pack("<Q", 1 << 60))
    assert inbox.read() == ([], False)


def test_a_worker_that_writes_without_end_is_not_heard_without_end():
    with Path("/dev/zero").open("rb") as endless:
        assert Inbox(endless.fileno()).read() == ([], False)


def crashing(context):
    """The real handler, with a decoder that crashes on some contents."""
    from geldspur.evidence.media import keyframes

    real = keyframes.fingerprint

    def fingerprint(stream):
        if b"CRASH" in stream.read(4096):
            os.kill(os.getpid(), signal.SIGSEGV)
        return real(stream)

    keyframes.fingerprint = fingerprint
    return make_handler(context)


@pytest.mark.assertion("EV-SC-12", "A crash of the decoder costs one file its fingerprints, and is recorded.")
def test_a_decoder_that_crashes_costs_a_file_its_fingerprints_only(tmp_path, monkeypatch):
    root = tmp_path / "seized"
    root.mkdir()
    for number in range(4):
        (root / f"{number}.mp4").write_bytes(b"\0\0\0\x20ftyp" + (b"CRASH" if number == 1 else b"no film") * 9)
    with zipfile.ZipFile(root / "some.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            content = b"\0\0\0\x20ftyp" + bytes([number]) + (b"CRASH" if number == 2 else b"none") * 9
            archive.writestr(f"{number}.mp4", content)
    monkeypatch.setattr(run, "make_handler", crashing)
    result = pipeline.scan(root, tmp_path / "scan", workers=2)
    assert (result.counts.hashed, result.counts.closes) == (9, True)
    query = """SELECT path FROM entry JOIN content ON content.id = entry.content
               WHERE media = 'failed' AND media_reason = 'crashed'"""
    assert sorted(rows(tmp_path / "scan", query)) == [(b"1.mp4",), (b"some.zip!2.mp4",)]
    assert rows(tmp_path / "scan", "SELECT count(*) FROM content WHERE media = 'pending'") == [(0,)]
    assert result.counts.archives == {"listed": 1}
    log_agrees_with_rows(tmp_path / "scan")


def test_what_workers_are_forked_from_may_die_without_cost():
    with Pool(obedient, 1, "context") as pool:
        assert _all(pool, ["one"]) == {"one": ("done", ("context", "one"))}
        os.kill(pool._nest._process.pid, signal.SIGKILL)
        pool._nest._process.wait()
        ends = _all(pool, ["two", "crash", "three"])
    assert ends["crash"] == ("lost", ("crashed", "signal 11 (SIGSEGV)"))
    assert (ends["two"][0], ends["three"]) == ("done", ("done", ("context", "three")))
