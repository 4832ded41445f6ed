#!/usr/bin/env bash
# flink.sh start | stop [PROCESS] | status: Flink on this machine alone: JobManager, two TaskManagers, Beam's job server and the worker pool.
# `start` begins what does not run, waits until it is ready, and prints the settings for `din run`. A part can be stopped by its name.
#   DIN_CLUSTER_DIR   process ids, logs and temporary files (default: flink in the cache)
#   DIN_CLUSTER_PORT  the first of six ports of 127.0.0.1 (default 18100): job server, its artifacts, worker pool, Flink's REST API and
#                     web page, JobManager, files for the TaskManagers
. "$(dirname "$0")/common.sh"

STATE=$(state_folder flink)
NAMES=(jobserver pool taskmanager1 taskmanager2 jobmanager)
PORT=$(first_port 18100)
REST=$((PORT + 3))
FLINK=$CACHE/flink-1.19.3
JAR=$CACHE/beam-flink-job-server-2.70.0.jar

# Java 17 closes parts of java.base that Flink and Beam read by reflection.
OPENS=(--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
  --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED)
for package in java.{lang,lang.reflect,net,io,nio,text,time,util,util.concurrent,util.concurrent.atomic,util.concurrent.locks} sun.nio.ch; do
  OPENS+=("--add-opens=java.base/$package=ALL-UNNAMED")
done

write_configuration() {
  cat >"$STATE/conf/config.yaml" <<END
jobmanager.rpc.address: localhost
jobmanager.rpc.port: $((PORT + 4))
jobmanager.bind-host: localhost
jobmanager.memory.process.size: 1024m
blob.server.port: "$((PORT + 5))"
# Each job brings Beam's jar of 160 MB: its copies are deleted a minute after the job's end instead of an hour.
blob.service.cleanup.interval: 60
taskmanager.host: localhost
taskmanager.bind-host: localhost
taskmanager.numberOfTaskSlots: 1
taskmanager.memory.process.size: 3072m
# A pipeline of TFX has hundreds of steps, and each pair of them needs buffers.
taskmanager.memory.network.min: 512m
taskmanager.memory.network.max: 512m
parallelism.default: 2
rest.address: localhost
rest.bind-address: localhost
rest.port: $REST
io.tmp.dirs: $STATE/tmp
# A process that ended is noticed by two heartbeats that cannot be sent. The long timeout is for a machine with more work than cores.
heartbeat.interval: 3000
heartbeat.rpc-failure-threshold: 2
heartbeat.timeout: 120000
pekko.ask.timeout: 60 s
# A lost worker or TaskManager is not the end of a job: Flink begins again until the parts are back.
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 1000
restart-strategy.fixed-delay.delay: 1 s
# A step that waits for a dead worker cannot be cancelled: after this time the TaskManager ends itself.
task.cancellation.timeout: 20000
END
  cat >"$STATE/conf/log4j.properties" <<'END'
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=Console
appender.console.name=Console
appender.console.type=CONSOLE
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
END
}

# flink_java JVM|TM CLASS ARGUMENTS…: the command of a JVM of Flink, whose own tool computes the sizes of its memory from the configuration.
flink_process() {
  local name=$1 kind=$2 class=$3 sizes
  shift 3
  ! alive "$name" || return 0
  mapfile -t sizes < <("$JAVA" -cp "$FLINK/bin/bash-java-utils.jar:$CLASSES" org.apache.flink.runtime.util.bash.BashJavaUtils \
    "GET_${kind}_RESOURCE_PARAMS" --configDir "$STATE/conf" 2>/dev/null | sed -n 's/^BASH_JAVA_UTILS_EXEC_RESULT://p')
  [ ${#sizes[@]} -ge 2 ] || die "Flink refused the configuration in $STATE/conf."
  # The sizes are words that the shell must split.
  # shellcheck disable=SC2086
  spawn "$name" "$JAVA" ${sizes[0]} "${OPENS[@]}" -Djava.io.tmpdir="$STATE/tmp" -Djava.net.preferIPv4Stack=true \
    -Dlog4j.configurationFile="file:$STATE/conf/log4j.properties" -cp "$CLASSES" "$class" --configDir "$STATE/conf" ${sizes[1]} "$@"
}

# Asks Flink's REST API whether two TaskManagers have announced themselves.
two_task_managers() {
  "$PYTHON" -ISc "import json, urllib.request as u
raise SystemExit(json.load(u.urlopen('http://127.0.0.1:$REST/overview', timeout=5))['taskmanagers'] < 2)"
}

start_all() {
  "$ROOT/deploy/clusters/fetch.sh" flink
  CLASSES=$FLINK/lib/flink-dist-1.19.3.jar:$(printf '%s:' "$FLINK"/lib/log4j-*.jar)
  export FLINK_CONF_DIR=$STATE/conf
  alive jobmanager || need_ports $((PORT + 3)) $((PORT + 4)) $((PORT + 5))
  alive jobserver || need_ports "$PORT" $((PORT + 1))
  alive pool || need_ports $((PORT + 2))
  write_configuration
  flink_process jobmanager JM org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint
  for name in taskmanager1 taskmanager2; do
    flink_process $name TM org.apache.flink.runtime.taskexecutor.TaskManagerRunner -D taskmanager.resource-id=$name
  done
  wait_for 300 jobmanager listening "$REST"
  wait_for 300 taskmanager2 two_task_managers
  alive jobserver || spawn jobserver "$JAVA" -Xmx1g -Djava.io.tmpdir="$STATE/tmp" -Dorg.slf4j.simpleLogger.showDateTime=true \
    -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss -jar "$JAR" --flink-master "localhost:$REST" --job-host localhost \
    --job-port "$PORT" --artifact-port $((PORT + 1)) --expansion-port -1 --artifacts-dir "$STATE/tmp/artifacts"
  wait_for 300 jobserver listening "$PORT"
  alive pool || start_worker_pool $((PORT + 2))
}

print_settings() {
  echo "--set beam.engine=flink --set beam.job_server=localhost:$PORT --set beam.workers=localhost:$((PORT + 2)) --set beam.master=localhost:$REST"
}

main "$@"
