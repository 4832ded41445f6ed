"""Breaks parts of a Flink cluster, or interrupts `din run`, while a run of the pipeline is on that cluster, and looks at what comes out.

`python -m benchmarks.engines.faults --log FILE` starts a cluster with `deploy/clusters/flink.sh`. In each round every node that uses it
meets one fault of the cluster and one signal to the client, at random moments; after three rounds it has met all. The artifacts must be
those of a run without a cluster and without a fault.
"""

import argparse
import gzip
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.engines.engine_equality import newest
from benchmarks.engines.fault_chain import BREAKS, COUNT, INTERRUPTS, NODES, FaultChain, start_run
from benchmarks.engines.flink_cluster import FlinkCluster
from benchmarks.faults.killed_command import Started
from benchmarks.faults.kills import NAME, SETTINGS
from benchmarks.measurement_log import append, read_log
from components.base.errors import InputError
from components.base.tfrecord import frame, read_records
from pipeline.console import Console
from pipeline.terminal import interrupt_on_sigterm, say

_SHARDS = 4  # of each split, so that both TaskManagers have work
_PORT = 18120


def prepare(folder: Path) -> None:
    """Makes the data set and the workspace of a run without a cluster, unless they are there."""
    data, whole, reference = (folder / name for name in ("data", "whole", "reference"))
    if not data.exists():
        synthetic = {key.partition(".")[2]: value for key, value in SETTINGS.items() if key.startswith("synthetic.")}
        sizes = [part for key, value in synthetic.items() for part in (f"--{key}", str(value))]
        _must(Started(["synth", "--out", str(whole), *sizes], folder / "tmp"))
        _cut_shards(whole, data)
    if not newest(reference, NAME, "Evaluator", "evaluation"):
        _must(start_run(data, reference))


def _must(command: Started) -> None:
    ended = command.end()
    if ended.code:
        raise InputError(f"The test cannot begin: {ended.err or ended.out}")


def _cut_shards(data: Path, out: Path) -> None:
    """Copies the records of a data set, with each split in several shards, and without the manifest, which lists the shards."""
    part = out.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for file in sorted(data.glob("*/*.gz")):
        target = part / file.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        records = list(read_records(file))
        for shard in range(_SHARDS):
            with gzip.open(target.with_name(f"{shard}-{file.name}"), "wb") as written:
                written.writelines(frame(record) for record in records[shard::_SHARDS])
    part.rename(out)


def plans(rounds: int) -> dict[str, dict[str, str]]:
    """Returns the fault of each node, by the name of the chain of runs."""
    chains = {COUNT: dict.fromkeys(NODES, COUNT)}
    for number in range(rounds):
        for name, faults in (("cluster", BREAKS), ("client", INTERRUPTS)):
            chains[f"{name}-{number}"] = {node: faults[(place + number) % len(faults)] for place, node in enumerate(NODES)}
    return chains


def run_chains(chains: dict[str, dict[str, str]], log: Path, entries: list[dict[str, Any]]) -> None:
    """Runs chains on one cluster, and adds their entries to the log."""
    folder = _files(log)
    cluster = FlinkCluster(folder / "cluster", _PORT)
    try:
        for name, plan in chains.items():
            usual = next((entry for entry in entries if entry["chain"] == COUNT), {})
            for entry in FaultChain(name, plan, folder, cluster, usual).runs():
                entries.append({"chain": name, **entry})
                append(log, entries[-1])
                _show(entries[-1])
    finally:
        cluster.stop()


def _show(entry: dict[str, Any]) -> None:
    met = ", ".join(f"{moment['fault']} in {moment['node']}" for moment in entry["met"]) or "no fault"
    ending = f"exit status {entry['code']} after {entry['seconds']} s, {len(entry['findings'])} findings"
    say(f"{entry['chain']}, run {entry['run']}: {met}: {ending}")
    for finding in entry["findings"]:
        say(f"    {finding}")


def _files(log: Path) -> Path:
    return log.with_suffix(".files").absolute()


def to_table(entries: Sequence[dict[str, Any]]) -> Table:
    """Counts by fault and node: how often it happened, how often while a job went on, and which run pushed: this one or a later one."""
    table = Table(title="Faults in runs on Flink", title_justify="left")
    for column in ("fault", "in"):
        table.add_column(column)
    for column in ("faults", "in a job", "run pushed", "next run", "findings"):
        table.add_column(column, justify="right")
    for fault in (COUNT, *BREAKS, *INTERRUPTS):
        for node in NODES:
            met = [(e, moment) for e in entries for moment in e["met"] if (moment["fault"], moment["node"]) == (fault, node)]
            hit, pushed = sum(moment["hit"] for _, moment in met), sum(entry["code"] == 0 for entry, _ in met)
            findings = sum(len(entry["findings"]) for entry, _ in met)
            if met:
                table.add_row(fault, node, *map(str, (len(met), hit, pushed, len(met) - pushed, findings)))
    return table


def main() -> int:
    """Runs the chains that the log does not have. Returns the exit status: 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True, metavar="FILE", help="JSON lines; a further call goes on from there")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each node meets a fault of each kind (default: 3)")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it, and so would its runs
    interrupt_on_sigterm()  # so that the cluster is stopped, too
    prepare(_files(args.log))
    entries = read_log(args.log)
    ended = {entry["chain"] for entry in entries if entry["code"] == 0}
    run_chains({name: plan for name, plan in plans(args.rounds).items() if name not in ended}, args.log, entries)
    Console().print(to_table(entries))
    return int(any(entry["findings"] for entry in entries))


if __name__ == "__main__":
    raise SystemExit(main())
