"""Each SHA-256 engine hashes as hashlib does, is chosen as it should be, and is never mistaken for another."""

import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.bitcoin import sha256

HERE = [name for name in sha256.ENGINES if sha256.available(name) is not None]


def by_hashlib(message):
    return hashlib.sha256(hashlib.sha256(message).digest()).digest()


@pytest.mark.parametrize("name", HERE)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=9))
def test_each_engine_hashes_as_hashlib_does(name, messages):
    assert sha256.double_sha256_all(sha256.available(name), messages) == [by_hashlib(m) for m in messages]


@pytest.mark.parametrize("name", HERE)
def test_each_engine_hashes_every_length_alone_and_in_a_crowd(name):
    messages = [bytes([n % 251]) * n for n in [*range(1200), 5_000, 70_000]]
    engine = sha256.available(name)
    assert sha256.double_sha256_all(engine, messages) == [by_hashlib(m) for m in messages]
    for n in (0, 55, 56, 64, 1014, 1015, 1016, 1024, 70_000):
        assert sha256.double_sha256_all(engine, [bytes(n)]) == [by_hashlib(bytes(n))]


def run(code, **environment):
    """Run Python code in a process of its own with the kernels' cache that it is given."""
    merged = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    merged.setdefault("GELDSPUR_SHA256", "")
    return subprocess.run([sys.executable, "-c", code], env=merged, capture_output=True, text=True, check=False)


TELL = "from geldspur.bitcoin import sha256; print(sha256.engine())"


@pytest.mark.parametrize("name", HERE)
def test_an_engine_can_be_forced(name):
    assert run(TELL, GELDSPUR_SHA256=name).stdout.strip() == name


def test_the_fastest_engine_is_chosen():
    assert run(TELL).stdout.strip() == HERE[0]


def test_an_unknown_engine_is_wrong_use():
    assert "names no engine: md5" in run(TELL, GELDSPUR_SHA256="md5").stderr


def test_sha_instructions_are_never_compiled_for_a_processor_without(tmp_path):
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(TELL, **plain).stdout.strip() in ("openssl", "plain")
    assert "does not run on this machine" in run(TELL, GELDSPUR_SHA256="ni", **plain).stderr


def test_importing_compiles_nothing():
    code = """
import geldspur.bitcoin.batch, sys
from numba.core.dispatcher import Dispatcher
found = [o for m in list(sys.modules) if m.startswith("geldspur") for o in vars(sys.modules[m]).values()
         if isinstance(o, Dispatcher)]
print(len(found) > 20, [o for o in found if o.signatures])
"""
    assert run(code).stdout.strip() == "True []"


def test_each_engine_is_compiled_once_and_loaded_from_its_own_cache(tmp_path):
    code = """
from geldspur.bitcoin import sha256
for name in sha256.ENGINES:
    if sha256.available(name) is not None:
        assert sha256.is_right(sha256.available(name))
stats = sha256._hash_all.stats
print(len(stats.cache_hits), len(stats.cache_misses))
"""
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)).stdout.split() == ["0", str(len(HERE))]
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)).stdout.split() == [str(len(HERE)), "0"]
