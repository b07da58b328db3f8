"""Killed at any moment, a scan goes on: nothing is lost, nothing is there twice, and the chain holds."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from scan_trees import PROGRAM, everything, log_agrees_with_rows, log_of, many_files, rows, scanned

KILLS = 6


@pytest.mark.assertion(
    "EV-SC-07", "A scan that is killed and run again ends with the rows of one that was not, and a sound log."
)
def test_a_scan_killed_again_and_again_ends_as_one_that_was_not(tmp_path):
    tree = many_files(tmp_path / "seized", 400)
    began = time.monotonic()
    scanned(tree, "--out", tmp_path / "calm", "--workers", 2, "--no-fingerprints")
    whole = time.monotonic() - began
    chance = random.Random(7)
    command = [*PROGRAM, "evidence", "scan", tree, "--out", tmp_path / "killed", "--workers", "2", "--no-fingerprints"]
    for number in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * chance.uniform(0.2, 0.9) * (1 + number / KILLS) / 1.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    said = scanned(tree, "--out", tmp_path / "killed", "--workers", 2, "--no-fingerprints")
    assert said["closes"]
    assert everything(tmp_path / "killed") == everything(tmp_path / "calm")
    log_agrees_with_rows(tmp_path / "killed")
    kinds = [record["kind"] for record in log_of(tmp_path / "killed")]
    assert (kinds[0], kinds.count("begun"), kinds.count("walked"), kinds[-1]) == ("begun", 1, 1, "checkpoint")
    assert rows(tmp_path / "killed", "PRAGMA integrity_check") == [("ok",)]


def test_the_workers_end_with_the_scan(tmp_path):
    tree = tmp_path / "seized"
    tree.mkdir()
    with (tree / "endless").open("wb") as file:
        file.truncate(1 << 42)
    command = [*PROGRAM, "evidence", "scan", tree, "--out", tmp_path / "scan", "--no-fingerprints", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = _children(process.pid, 3)  # two, and what they are forked from
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 20
    while time.monotonic() < until and any(map(_lives, workers)):
        time.sleep(0.05)
    assert not any(map(_lives, workers))


def _children(pid, count):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        if len(children) == count:
            return children
        time.sleep(0.02)
    raise AssertionError("no workers were started")


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_a_scan_with_a_word(tmp_path):
    source = many_files(tmp_path / "seized", 400)
    command = [*PROGRAM, "evidence", "scan", source, "--out", tmp_path / "scan"]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        while not (tmp_path / "scan" / "scan.sqlite").exists():
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    assert running.returncode == 130, said
    assert "stopped; nothing half-written" in said
