# What fetch.sh, flink.sh and spark.sh share. They source it; it is not run by itself.
# A process of a cluster has a name. $STATE/pids/NAME holds its id and its start time, so that no other process is taken for it.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/din-tfx/clusters
PYTHON=$ROOT/.venv/bin/python
JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}

say() { echo "clusters: $*" >&2; }
die() {
  say "$*"
  exit 1
}

need_java() {
  local version
  version=$("$JAVA" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' || true)
  [ "$version" = 17 ] ||
    die "Java 17 is needed, and $JAVA is ${version:+version }${version:-not there}; install it (apt-get install openjdk-17-jre-headless) or set JAVA_HOME."
}

# state_folder NAME, first_port DEFAULT: where a cluster keeps its files, and where its ports begin.
state_folder() { realpath -m "${DIN_CLUSTER_DIR:-$CACHE/$1}"; }
first_port() {
  local port=${DIN_CLUSTER_PORT:-$1}
  [[ $port =~ ^[0-9]{4,5}$ ]] || die "DIN_CLUSTER_PORT is $port; set it to a port between 1024 and 65000."
  echo "$port"
}

need_environment() { [ -x "$PYTHON" ] || die "$PYTHON is missing; make it with: make setup"; }

# The start time of a process; nothing if it has ended, even if its parent has not asked for its exit status (state Z), as in many containers.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 !~ /[ZX]/ { print $20 }'; }

# alive NAME: whether that process runs.
alive() {
  local pid started
  [ -f "$STATE/pids/$1" ] || return 1
  read -r pid started <"$STATE/pids/$1"
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ]
}

# spawn NAME COMMAND…: starts a process in the background, in a process group of its own, with its output in $STATE/logs/NAME.log.
spawn() {
  local name=$1
  shift
  (cd "$STATE" && exec setsid "$@" >"$STATE/logs/$name.log" 2>&1 </dev/null 8>&- 9>&-) &
  echo "$! $(start_time $!)" >"$STATE/pids/$name"
}

# wait_for SECONDS NAME COMMAND…: repeats the command until it succeeds. It gives up after that time, or when the process NAME has ended.
wait_for() {
  local until=$((SECONDS + $1)) name=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    alive "$name" || give_up "$name ended"
    [ $SECONDS -lt $until ] || give_up "$name was not ready in time"
    sleep 0.2
  done
}

give_up() {
  local log=$STATE/logs/${1%% *}.log
  tail -n 5 "$log" >&2 || true
  stop_all
  die "$1; the end of $log is above, and the cluster is stopped."
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# need_ports PORT…: none of them may be in use.
need_ports() {
  local port
  for port; do
    ! listening "$port" || die "port $port is in use; set DIN_CLUSTER_PORT to the first of ten free ports."
  done
}

# group_runs GROUP: whether a process of that group has not ended.
group_runs() { cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk -v group="$1" '$3 == group && $1 !~ /[ZX]/ { runs = 1 } END { exit !runs }'; }

# stop_process NAME: SIGTERM, and after 20 seconds SIGKILL to it and to what it has started.
stop_process() {
  local pid until=$((SECONDS + 20))
  if alive "$1"; then
    pid=$(cut -d' ' -f1 "$STATE/pids/$1")
    kill "$pid" 2>/dev/null || true
    while group_runs "$pid" && [ $SECONDS -lt $until ]; do sleep 0.1; done
    ! group_runs "$pid" || kill -KILL -- "-$pid" 2>/dev/null || true
  fi
  rm -f "$STATE/pids/$1"
}

# stop_all: stops every process that has a file in pids/, and deletes the temporary files. The logs stay.
stop_all() {
  local name
  for name in "${NAMES[@]}"; do stop_process "$name"; done
  rm -rf "$STATE/tmp"
}

# start_worker_pool PORT: the processes with the project's code, which the engine asks for.
start_worker_pool() {
  spawn pool "$PYTHON" -m pipeline.runners.worker_pool --port "$1" --logs "$STATE/logs"
  wait_for 300 pool listening "$1"
}

# main start|stop|status: calls start_all and print_settings of the script that sourced this file. `start` begins what does not run.
main() {
  local name status=0
  mkdir -p "$STATE"/{pids,logs,conf}
  exec 9>"$STATE/lock"
  flock 9
  case ${1:-} in
    start)
      need_java
      need_environment
      for name in "${NAMES[@]}"; do alive "$name" && break; done || rm -f "$STATE"/logs/*
      mkdir -p "$STATE/tmp"
      start_all
      print_settings
      ;;
    stop)
      [ -z "${2:-}" ] || [[ " ${NAMES[*]} " == *" $2 "* ]] || die "there is no process $2; the processes are ${NAMES[*]}."
      if [ -n "${2:-}" ]; then stop_process "$2"; else stop_all; fi
      ;;
    status)
      for name in "${NAMES[@]}"; do
        if alive "$name"; then echo "$name: process $(cut -d' ' -f1 "$STATE/pids/$name")"; else echo "$name: not running" && status=1; fi
      done
      return $status
      ;;
    *) die "usage: $0 start | stop [PROCESS] | status" ;;
  esac
}
