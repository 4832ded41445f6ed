#!/usr/bin/env bash
# fetch.sh flink|spark: gets an engine from PyPI and builds Beam's job server for it with Maven, both into the user's cache.
# Downloads are checked: those of PyPI by a pinned checksum, those of Maven Central by the checksums that it publishes. A built jar has its
# checksum and those of its sources beside it: they are checked at each call. Everything is made under another name and then renamed.
# Exit status: 75 if PyPI or Maven Central cannot be reached, 1 for anything else that is wrong.
. "$(dirname "$0")/common.sh"

BEAM=2.70.0
FLINK=1.19.3 FLINK_SHA256=4a58e3a1fb7d83340bc96b6c080624c6d792d69fae5d294b96224775204a9c60
SPARK=3.5.9 SPARK_SHA256=ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93

# attempt WHAT SERVER PATTERN COMMAND…: runs the command, which makes WHAT. What it prints fits the Perl PATTERN if SERVER was not reached.
attempt() {
  local what=$1 server=$2 pattern=$3 printed=$CACHE/fetch.log
  shift 3
  "$@" 2>&1 | tee "$printed" >&2 && return
  grep --quiet --perl-regexp "$pattern" "$printed" || die "$what was not made, see the message above."
  say "$what needs $server, see the message above; call this again where $server or a mirror of it can be reached."
  exit 75
}

# from_pypi PACKAGE VERSION SHA256 FOLDER TARGET: FOLDER of the installed package becomes $CACHE/TARGET.
from_pypi() {
  local target=$CACHE/$5 part=$CACHE/$5.part uv
  [ ! -d "$target" ] || return 0
  uv=$(command -v uv || echo "$ROOT"/.runtime/uv-*/bin/uv)
  say "getting $1 $2 from PyPI (about 300 MB)"
  rm -rf "$part"
  attempt "$1 $2" PyPI 'Failed to fetch|network was disabled' \
    "$uv" pip install --quiet --no-cache --no-deps --python "$PYTHON" --target "$part" --require-hashes -r - <<<"$1==$2 --hash=sha256:$3"
  mv "$part/$4" "$target"
  rm -rf "$part"
}

# What job server NAME is built from, and the built jar, as checksums.
checksums() { (cd "$ROOT/deploy/clusters" && find "$1.pom.xml" java -type f | sort | xargs sha256sum && cd "$CACHE" && sha256sum "$1-$BEAM.jar"); }

# job_server NAME: builds NAME.pom.xml and the classes in java/ into $CACHE/NAME-$BEAM.jar.
job_server() {
  local jar=$1-$BEAM.jar work=$CACHE/$1.part
  [ ! -f "$CACHE/$jar.checksums" ] || ! cmp --silent "$CACHE/$jar.checksums" <(checksums "$1" 2>&1) || return 0
  command -v mvn >/dev/null && command -v javac >/dev/null ||
    die "Maven and a JDK are needed to build Beam's job server; install them (apt-get install maven openjdk-17-jdk-headless)."
  say "building $jar with Maven (a minute; about 200 MB of downloads)"
  rm -rf "$work"
  mkdir "$work"
  cp -r "$ROOT/deploy/clusters/java" "$work/java"
  cp "$ROOT/deploy/clusters/$1.pom.xml" "$work/pom.xml"
  attempt "$jar" "Maven Central" 'Could not transfer artifact(?!.*Checksum)' \
    mvn --quiet --batch-mode --update-snapshots --strict-checksums --file "$work/pom.xml" package
  rm -f "$CACHE/$jar.checksums"
  mv "$work/target/$jar" "$CACHE/$jar"
  checksums "$1" >"$work/checksums"
  mv "$work/checksums" "$CACHE/$jar.checksums"
  rm -rf "$work"
}

fetch_flink() {
  from_pypi apache-flink-libraries "$FLINK" "$FLINK_SHA256" pyflink "flink-$FLINK"
  job_server beam-flink-job-server
}

fetch_spark() {
  from_pypi pyspark "$SPARK" "$SPARK_SHA256" pyspark "spark-$SPARK"
  job_server beam-spark-job-server
}

case ${1:-} in flink | spark) ;; *) die "usage: $0 flink|spark" ;; esac
need_java
need_environment
mkdir -p "$CACHE"
exec 8>"$CACHE/lock"
flock 8
"fetch_$1"
