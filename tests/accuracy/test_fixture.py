import hashlib
import importlib.util
import io
import lzma
import subprocess
import sys
import tarfile
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from geldspur.accuracy.fixture import ARCHIVE, unpack_archive, unpack_case
from geldspur.errors import GeldspurError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def embed_case():
    spec = importlib.util.spec_from_file_location("embed_case", ROOT / "tools" / "embed_case.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def packed() -> bytes:
    return (files("geldspur.accuracy") / ARCHIVE).read_bytes()


def test_the_case_unpacks_to_the_node_s_own_block_files_with_their_zero_tail(case):
    blk = (case.blocks / "blk00000.dat").read_bytes()
    assert len(blk) == 16_777_216
    assert blk[:4] == bytes.fromhex("fabfb5da")
    assert blk[1_103_995 + 8 :].count(0) == len(blk) - 1_103_995 - 8
    assert (case.blocks / "rev00000.dat").stat().st_size == 1_048_576


def test_the_truth_is_whole(case):
    assert case.tip_hash() == "0b486dd32d181077b632bb36d6f236b1bedc9c807b90d8a75359c1bc85b1acff"
    assert len(case.table("payments")) == 63
    assert len(case.table("transactions")) == 2471
    assert len(case.table("outputs")) == 7168


def test_the_archive_is_small_and_says_what_it_is(tmp_path):
    assert len(packed()) < 1_500_000
    unpack_case(tmp_path)
    assert "synthetic" in (tmp_path / "NOTICE.txt").read_text()


def test_the_archive_can_be_made_again_from_the_case(case, embed_case):
    # The compressor's release may change its output, never what it packs.
    assert lzma.decompress(packed()) == embed_case.tar_bytes(embed_case.members(case.root))


def test_the_same_case_gives_the_same_bytes(embed_case, tmp_path):
    for folder in ("a/blocks", "a/truth", "a/core", "b/truth", "b/blocks"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a/truth/y.csv", "a/truth/x.csv", "a/core/figures.json", "b/truth/x.csv", "b/truth/y.csv"):
        (tmp_path / name).write_text(name[-5])
    (tmp_path / "b/truth/x.csv").chmod(0o600)
    for name in ("a", "b"):
        embed_case.main(tmp_path / name, tmp_path / f"{name}.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()


def test_the_embedded_case_is_the_published_one(case, shared):
    with tarfile.open(shared / "cases" / "S.tar.xz") as archive:
        published = {
            member.name.partition("/")[2]: hashlib.sha256(archive.extractfile(member).read()).hexdigest()
            for member in archive
            if member.isfile() and member.name.split("/")[1] in ("blocks", "truth")
        }
    ours = {
        path.relative_to(case.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (case.blocks, case.truth)
        for path in folder.iterdir()
    }
    assert ours == published


def hostile(name: str, **info) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        good = tarfile.TarInfo("truth/good.csv")
        good.size = 1
        archive.addfile(good, io.BytesIO(b"x"))
        member = tarfile.TarInfo(name)
        for key, value in info.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(b"\0" * member.size))
    return lzma.compress(buffer.getvalue())


@pytest.mark.parametrize(
    ("name", "info"),
    [
        ("../evil", {}),
        ("truth/../../evil", {}),
        ("/evil", {}),
        ("elsewhere/evil", {}),
        ("truth/deep/evil", {}),
        ("truth\\evil", {}),
        ("C:evil", {}),
        ("truth/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("truth/hard", {"type": tarfile.LNKTYPE, "linkname": "truth/good.csv"}),
        ("truth/device", {"type": tarfile.CHRTYPE}),
    ],
)
def test_a_hostile_archive_is_refused_before_anything_is_written(tmp_path, name, info):
    out = tmp_path / "out"
    with pytest.raises(GeldspurError, match="isn't part of a case"):
        unpack_archive(hostile(name, **info), out)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("damage", [lambda b: b[:1000], lambda b: b[:-1], lambda b: b"PK" + b[2:]])
def test_a_damaged_archive_is_told_apart_from_a_case(tmp_path, damage):
    with pytest.raises(GeldspurError, match="damaged"):
        unpack_archive(damage(packed()), tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GeldspurError, match=r"can't unpack.*file"):
        unpack_case(tmp_path / "file")


def test_an_installed_wheel_carries_the_case(tmp_path):
    build = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    checkout = tmp_path / "checkout"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        checkout.mkdir(exist_ok=True)
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    package = checkout / "src" / "geldspur" / "accuracy"
    (package / "data").mkdir(parents=True)
    for path in (package.parent / "__init__.py", package / "__init__.py"):
        path.write_text("")
    (package / "data" / "case_s.tar.xz").write_bytes(packed())
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=checkout, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert f"geldspur/accuracy/{ARCHIVE}" in zipfile.ZipFile(wheel).namelist()
