"""Kernels that were compiled from other sources are never run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import geldspur

PACKAGE = Path(geldspur.__file__).parent
ASK = "import os, geldspur; print(os.environ['NUMBA_CACHE_DIR'])"


def asked(root, **environment):
    environment |= {"PYTHONPATH": str(root), "HOME": str(root)}
    command = [sys.executable, "-c", ASK]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def copied(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "geldspur", ignore=shutil.ignore_patterns("__pycache__", "data"))
    return tmp_path


def test_a_change_of_any_kernel_leads_to_another_folder(tmp_path):
    root = copied(tmp_path)
    before = asked(root)
    assert asked(root) == before
    kernels = root / "geldspur" / "bitcoin" / "merkle_kernels.py"
    kernels.write_text(kernels.read_text() + "\n# changed\n")
    after = asked(root)
    assert after != before
    assert Path(after).is_dir()
    assert not Path(before).exists(), "what can't be used any more is removed"


def test_the_users_own_choice_is_kept(tmp_path):
    assert asked(copied(tmp_path), NUMBA_CACHE_DIR="/elsewhere") == "/elsewhere"


def test_two_installations_that_share_a_cache_leave_each_other_alone(tmp_path):
    """The package's own folder can't be written to in either, so that both use the user's."""
    home, found = tmp_path / "home", []
    for name in ("one", "two", "one"):
        root = tmp_path / name
        if not root.exists():
            root.mkdir()
            (copied(root) / "geldspur" / "__pycache__").write_text("no folder")
            kernels = root / "geldspur" / "bitcoin" / "merkle_kernels.py"
            kernels.write_text(kernels.read_text() + f"\n# {name}\n")
        found.append(Path(asked(root, XDG_CACHE_HOME=str(home))))
    assert found[0] == found[2] != found[1]
    assert all(folder.is_dir() and home in folder.parents for folder in found)


def test_the_folder_that_a_command_is_run_in_does_not_decide_how_kernels_run(tmp_path):
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\ncache_dir: /nowhere\n")
    told = "import geldspur, numba, yaml, cffi; print(numba.config.DISABLE_JIT, yaml.safe_load('1'), cffi.__name__)"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-W", "error", "-c", told]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["0", "1", "cffi"]
