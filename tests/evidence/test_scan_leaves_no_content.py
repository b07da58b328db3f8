"""A scan writes in its directory only, and nothing in there holds content of what was scanned."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import av
import numpy as np
import pytest
from scan_trees import PROGRAM, scanned

RUN = 64  # consecutive bytes of content that no output may hold
_CALL = re.compile(r'(\w+)\((?:(AT_FDCWD|\d+)(?:<[^>]*>)?, )?"((?:[^"\\]|\\.)*)"(.*)')
_CHANGING = "creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,truncate,link,linkat,symlink,symlinkat"


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Synthetic videos and pictures of noise, and an archive of them."""
    root = tmp_path_factory.mktemp("media") / "seized"
    root.mkdir()
    for seed in range(2):
        noise = np.random.default_rng(seed)
        with av.open(root / f"{seed}.mp4", "w") as film:
            stream = film.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
            for _ in range(10):
                picture = noise.integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
                film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            film.mux(stream.encode())
    (root / "cut.mp4").write_bytes((root / "1.mp4").read_bytes()[:-2000])
    (root / "no.jpg").write_bytes(b"\xff\xd8\xff" + os.urandom(5000))
    with zipfile.ZipFile(root / "some.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(root / "0.mp4", "in/0.mp4")
    return root


def _content(root):
    """Each aligned piece of half a run, for any run holds one; pieces of few different bytes are no one's content."""
    half = RUN // 2
    pieces = set()
    for file in root.iterdir():
        data = file.read_bytes()
        pieces.update(data[at : at + half] for at in range(0, len(data) - half, half))
    return {piece for piece in pieces if len(set(piece)) > 8}


@pytest.mark.assertion(
    "EV-SC-06", "No file of a scan directory holds 64 consecutive bytes of a scanned file's content."
)
def test_no_output_holds_a_run_of_any_content(media, tmp_path):
    said = scanned(media, "--out", tmp_path / "scan")
    assert said["media"].get("video", 0) >= 2
    pieces = _content(media)
    assert len(pieces) > 200
    for file in (tmp_path / "scan").iterdir():
        data = file.read_bytes()
        assert not any(data[at : at + RUN // 2] in pieces for at in range(len(data)))


@pytest.mark.assertion(
    "EV-SC-05", "A scan opens nothing for writing but its own directory and the program's own compiled kernels."
)
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_nothing_outside_the_scan_directory_is_opened_for_writing(media, tmp_path):
    scanned(media, "--out", tmp_path / "warm")  # compiles Python and kernels, which lie outside
    trace, out = tmp_path / "trace", tmp_path / "scan"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = ["strace", "-f", "-y", "-qq", "-e", f"trace=open,openat,openat2,{_CHANGING}", "-o", trace, *PROGRAM]
    subprocess.run(
        [*command, "evidence", "scan", media, "--out", out], check=True, env=environment, capture_output=True
    )
    calls = [match for line in trace.read_text(errors="replace").splitlines() if (match := _CALL.search(line))]
    assert len(calls) > 100
    writing = []
    for call in calls:
        name, _, path, rest = call.groups()
        if name in _CHANGING.split(",") or re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", rest):
            writing.append(path)
    elsewhere = {path for path in writing if not path.startswith(str(out)) and path != "/dev/null"}
    # numba tries whether it may write where the program's own compiled kernels lie
    assert {path for path in elsewhere if "/geldspur/__pycache__/kernels-" not in path} == set()
    assert any(path.endswith("scan.sqlite") for path in writing)
    names = {file.name for file in media.iterdir()}
    reads = [call for call in calls if call[3] in names]
    assert {call[3] for call in reads} == names
    for call in reads:
        assert all(flag in call[4] for flag in ("O_RDONLY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_NOATIME"))


def test_a_working_directory_full_of_evidence_is_not_imported_from(media, tmp_path):
    (media / "hashlib.py").write_text("raise SystemExit('imported')")
    try:
        command = [sys.executable, "-P", "-c", "from geldspur.cli import main; main()"]
        command += ["evidence", "scan", media, "--out", tmp_path / "scan", "--no-fingerprints"]
        result = subprocess.run(command, cwd=media, capture_output=True, text=True, check=False)
    finally:
        (media / "hashlib.py").unlink()
    assert result.returncode == 0, result.stderr
