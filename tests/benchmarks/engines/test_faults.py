"""The plan and the table of the faults on Flink."""

from typing import Any

from benchmarks.engines.faults import plans, to_table


def test_in_three_rounds_each_node_meets_each_fault_of_the_cluster() -> None:
    chains = plans(3)
    assert list(chains) == ["none", "cluster-0", "client-0", "cluster-1", "client-1", "cluster-2", "client-2"]
    for node in ("StatisticsGen", "Transform", "Evaluator"):
        assert {chains[f"cluster-{number}"][node] for number in range(3)} == {"worker", "taskmanager", "jobserver"}
        assert {chains[f"client-{number}"][node] for number in range(2)} == {"SIGINT", "SIGTERM"}
    assert sorted(chains["cluster-1"].values()) == ["jobserver", "taskmanager", "worker"]


def _entry(code: int, findings: list[str], **met: tuple[str, bool]) -> dict[str, Any]:
    return {"code": code, "findings": findings, "met": [{"node": node, "fault": fault, "hit": hit} for node, (fault, hit) in met.items()]}


def test_the_table_counts_faults_by_kind_and_node() -> None:
    entries = [
        _entry(0, [], StatisticsGen=("worker", True), Transform=("taskmanager", True)),
        _entry(0, ["a record is doubled"], StatisticsGen=("worker", False)),
        _entry(130, [], Transform=("SIGINT", True)),
    ]
    table = to_table(entries)
    assert list(zip(*(column.cells for column in table.columns), strict=True)) == [
        ("worker", "StatisticsGen", "2", "1", "2", "0", "1"),
        ("taskmanager", "Transform", "1", "1", "1", "0", "0"),
        ("SIGINT", "Transform", "1", "1", "0", "1", "0"),
    ]
