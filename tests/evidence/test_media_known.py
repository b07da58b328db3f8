"""The decoders are examined before a scan relies on them."""

import io
import subprocess
import sys

import av
import numpy as np
import pytest

from geldspur.errors import GeldspurError
from geldspur.evidence.media import known
from geldspur.evidence.media.keyframes import fingerprint
from geldspur.evidence.model import MediaResult

_WORKER = """
import sys
from geldspur.evidence.media import known
from geldspur.evidence.scan import {module}
known.ANSWER = {answer}
{module}.make_handler({context})
print("begins")
"""


def test_the_known_answer_is_the_reference_implementations():
    pdqhash = pytest.importorskip("pdqhash")
    with av.open(io.BytesIO(known.CLIP)) as container:
        lumas = [
            np.frombuffer(frame.planes[0], np.uint8).reshape(96, -1)[:, :128] for frame in container.decode(video=0)
        ]
    assert len(lumas) == len(known.ANSWER) == 2
    for luma, told in zip(lumas, known.ANSWER, strict=True):
        full = ((luma.astype(np.float64) - 16) * 255 / 219).clip(0, 255).round().astype(np.uint8)
        bits, _ = pdqhash.compute(np.repeat(full[:, :, None], 3, 2))
        theirs = np.packbits(bits.astype(np.uint8))
        assert np.bitwise_count(theirs ^ np.frombuffer(bytes.fromhex(told), np.uint8)).sum() <= 2


def test_decoders_that_work_pass_and_others_are_told():
    known.examine(fingerprint)
    with pytest.raises(GeldspurError, match=r"of a known clip they make failed \(crashed, no such argument\)"):
        known.examine(lambda _: MediaResult("failed", reason="crashed", detail="no such argument"))


@pytest.mark.parametrize(
    ("module", "context"), [("tasks", "tasks.Context(None, True)"), ("deep_task", "None")], ids=["scan", "deep"]
)
def test_a_worker_begins_only_where_the_decoders_answer_rightly(module, context):
    for answer, begins in (("known.ANSWER", True), ("('00' * 32,)", False)):
        code = _WORKER.format(module=module, answer=answer, context=context)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.stdout == "begins\n") is begins
        assert ("the media decoders don't work here" in done.stderr) is not begins
