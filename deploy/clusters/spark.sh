#!/usr/bin/env bash
# spark.sh start | stop [PROCESS] | status: Spark on this machine alone: master, two workers, Beam's job server and the worker pool.
# `start` begins what does not run, waits until it is ready, and prints the settings for `din run`. A part can be stopped by its name.
#   DIN_CLUSTER_DIR   process ids, logs and temporary files (default: spark in the cache)
#   DIN_CLUSTER_PORT  the first of seven ports of 127.0.0.1 (default 18200): job server, its artifacts, worker pool, the master's web page,
#                     the master, the web pages of the two workers. Spark takes further ports of 127.0.0.1, as many as it needs.
. "$(dirname "$0")/common.sh"

STATE=$(state_folder spark)
NAMES=(jobserver pool worker1 worker2 master)
PORT=$(first_port 18200)
MASTER=spark://localhost:$((PORT + 4))
JARS="$CACHE/spark-3.5.9/jars/*"
JAR=$CACHE/beam-spark-job-server-2.70.0.jar

export SPARK_HOME=$CACHE/spark-3.5.9 SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS=$STATE/tmp SPARK_SCALA_VERSION=2.12

# Java 17 closes parts of java.base that Spark reads by reflection. Spark itself sets the same for the processes that its workers start.
OPENS=()
for package in java.{lang,lang.invoke,lang.reflect,io,net,nio,util,util.concurrent,util.concurrent.atomic} \
  sun.nio.{ch,cs} sun.security.action sun.util.calendar; do
  OPENS+=("--add-opens=java.base/$package=ALL-UNNAMED")
done

# Each job brings Beam's jar of 100 MB to each worker: its copies are deleted a minute after the job's end.
CLEANUP=(-Dspark.worker.cleanup.enabled=true -Dspark.worker.cleanup.interval=60 -Dspark.worker.cleanup.appDataTtl=60)

spark_process() {
  local name=$1
  shift
  alive "$name" || spawn "$name" "$JAVA" -Xmx512m "${CLEANUP[@]}" "${OPENS[@]}" -Djava.io.tmpdir="$STATE/tmp" -cp "$JARS" "$@"
}

# Asks the master's web page whether two workers have announced themselves.
two_workers() {
  "$PYTHON" -ISc "import json, urllib.request as u
raise SystemExit(json.load(u.urlopen('http://127.0.0.1:$((PORT + 3))/json/', timeout=5))['aliveworkers'] < 2)"
}

start_all() {
  local number
  "$ROOT/deploy/clusters/fetch.sh" spark
  alive master || need_ports $((PORT + 3)) $((PORT + 4))
  alive jobserver || need_ports "$PORT" $((PORT + 1))
  alive pool || need_ports $((PORT + 2))
  spark_process master org.apache.spark.deploy.master.Master --host localhost --port $((PORT + 4)) --webui-port $((PORT + 3))
  wait_for 300 master listening $((PORT + 4))
  for number in 1 2; do
    alive worker$number || need_ports $((PORT + 4 + number))
    spark_process worker$number org.apache.spark.deploy.worker.Worker --host localhost --webui-port $((PORT + 4 + number)) \
      --cores 1 --memory 1g --work-dir "$STATE/tmp/work" "$MASTER"
  done
  wait_for 300 worker2 two_workers
  # The job server is Spark's driver. Beam's jar goes to the workers by their class path: they have the same disk.
  alive jobserver || spawn jobserver "$JAVA" -Xmx1g "${OPENS[@]}" -Djava.io.tmpdir="$STATE/tmp" -Dspark.executor.memory=1g \
    -Dspark.executor.extraClassPath="$JAR" -Dspark.driver.host=localhost -Dspark.driver.bindAddress=127.0.0.1 -Dspark.ui.enabled=false \
    -cp "$JARS:$JAR" org.apache.beam.runners.spark.SparkJobServerDriver --spark-master-url "$MASTER" --job-host localhost \
    --job-port "$PORT" --artifact-port $((PORT + 1)) --expansion-port -1 --artifacts-dir "$STATE/tmp/artifacts"
  wait_for 300 jobserver listening "$PORT"
  alive pool || start_worker_pool $((PORT + 2))
}

print_settings() {
  echo "--set beam.engine=spark --set beam.job_server=localhost:$PORT --set beam.workers=localhost:$((PORT + 2))"
}

main "$@"
