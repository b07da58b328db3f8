"""A worker that is shut in can read and answer, and nothing else; hostile bytes stay in its results."""

import json
import random
import subprocess
import sys

import pytest
from media_clips import encode, picture, scenes

# Writes of each kind, each of which must fail; the answer goes through a pipe, for regular files are closed to it.
TRY = """
import io, json, os, socket, subprocess, sys
from geldspur import kernelcache; kernelcache.prepare()
from geldspur.evidence.media import confine, sandbox
from geldspur.evidence.media.keyframes import fingerprint
from geldspur.evidence.media.pdq import warm
warm()
for layer in sys.argv[2:]:
    setattr(sandbox, layer, lambda libc: 0)
folder = sys.argv[1]
clip = open(folder + "/clip.mp4", "rb").read()
before = fingerprint(io.BytesIO(clip))
force = confine(2 << 30)
def refused(act):
    try:
        act()
    except (OSError, MemoryError):
        return True
    return False
name = folder + "/there"
out = {
    "create": refused(lambda: open(folder + "/new", "w")),
    "append": refused(lambda: open(name, "a").write("more")),
    "update": refused(lambda: open(name, "r+").write("x")),
    "remove": refused(lambda: os.unlink(name)),
    "rename": refused(lambda: os.rename(name, name + "2")),
    "mkdir": refused(lambda: os.mkdir(folder + "/dir")),
    "link": refused(lambda: os.symlink("x", folder + "/link")),
    "truncate": refused(lambda: os.truncate(name, 0)),
    "run": refused(lambda: subprocess.run(["/bin/true"])),
    "tcp": refused(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
    "memory": refused(lambda: bytearray(8 << 30)),
}
if force["seccomp"]:
    out["mode"] = refused(lambda: os.chmod(name, 0))
    out["times"] = refused(lambda: os.utime(name))
    out["socket"] = refused(socket.socket)
print(json.dumps([force, out, fingerprint(io.BytesIO(clip)) == before and len(before.frames)]))
"""


def confined(folder, *without):
    (folder / "there").write_text("kept")
    (folder / "clip.mp4").write_bytes(encode(scenes(3), "mp4", "libx264", g=25))
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(folder), *without], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("without", [(), ("_landlock",), ("_seccomp",)])
def test_a_shut_in_worker_changes_nothing_and_still_fingerprints(tmp_path, without):
    force, refused, frames = confined(tmp_path, *without)
    if without == ("_seccomp",) and not force["landlock"]:
        pytest.skip("this kernel has no Landlock to stand alone")
    assert force["no_new_privs"]
    assert force["no_writing"]
    assert all(refused.values()), [name for name, held in refused.items() if not held]
    assert frames == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "there"]
    assert (tmp_path / "there").read_text() == "kept"


FUZZ = """
import io, sys
from geldspur import kernelcache; kernelcache.prepare()
from geldspur.evidence.media import confine
from geldspur.evidence.media.keyframes import fingerprint
from geldspur.evidence.media.pdq import warm
warm()
confine(4 << 30)
for path in sys.argv[1:]:
    with open(path, "rb") as stream:
        result = fingerprint(stream)
    assert result.state in ("image", "video", "other", "failed"), result
    assert result.reason in (None, "damaged", "pixels", "memory"), result
    print(result.state)
"""


def test_mutated_files_never_raise_and_never_look_like_an_error_of_ours(tmp_path):
    """Reason 'crashed' would be an exception nobody foresaw; a crash of libav itself would end the process."""
    random.seed(4)
    seeds = [
        encode(scenes(2), "mp4", "libx264", g=10),
        encode(scenes(2), "matroska", "mpeg4", g=10),
        encode(scenes(2), "avi", "mjpeg", "yuvj420p"),
        encode(scenes(2), "mpegts", "mpeg2video", g=10),
        encode([picture(1)], "image2pipe", "png", "rgb24"),
        encode([picture(1)], "image2pipe", "mjpeg", "yuvj420p"),
        encode(scenes(1)[:8], "gif", "gif", "rgb8"),
    ]
    paths = []
    for number in range(80):
        data = bytearray(random.choice(seeds))
        for _ in range(random.choice([1, 4, 40])):
            at = random.randrange(min(len(data), random.choice([256, 4096, len(data)])))
            data[at : at + random.choice([1, 1, 8])] = random.randbytes(random.choice([1, 1, 8]))
        if random.random() < 0.2:
            del data[random.randrange(len(data)) :]
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(data)
    done = subprocess.run([sys.executable, "-c", FUZZ, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    states = done.stdout.split()
    assert len(states) == len(paths)
    assert {"video", "image"} <= set(states)
