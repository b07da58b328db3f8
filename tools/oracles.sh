#!/bin/sh
# Installs what tests compare with and wheels do not carry: file-system and image tools, and the reference PDQ.
# Usage: oracles.sh VENV. What can't be had here is named, and its tests are skipped.
set -u
venv=$1
missing=""
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"; }
need strace strace
need mkfs.ext4 e2fsprogs
need mkfs.vfat dosfstools
need mcopy mtools
need mkfs.ntfs ntfs-3g
need mkfs.exfat exfatprogs
need xorriso xorriso
need sgdisk gdisk
need ewfacquire ewf-tools
need fls sleuthkit
need openssl openssl
need zstd zstd
need hashdeep hashdeep
need g++ g++
if [ -n "$missing" ]; then
  if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    sudo=""; [ "$(id -u)" = 0 ] || sudo="sudo"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    $sudo apt-get update -q >/dev/null && $sudo apt-get install -y -q --no-install-recommends $missing >/dev/null ||
      echo "Not installed:$missing; tests that need them are skipped." >&2
  else
    echo "Not here:$missing; tests that need them are skipped." >&2
  fi
fi
"$venv/bin/python" -c "import pdqhash" 2>/dev/null ||
  "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r tools/oracles.lock ||
  echo "The reference PDQ could not be built; tests compare with recorded hashes only." >&2
