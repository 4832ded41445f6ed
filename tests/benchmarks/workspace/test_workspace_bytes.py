"""`din bench workspace`: what it prints, and that it goes on where it was stopped."""

import json

import benchmarks.workspace.workspace_bytes as bench


def measured(*sizes):
    parts = {"artifacts": 900, "runs": 80, "serving": 20, "metadata.sqlite": 0}
    return [{"run": str(at), "bytes": {**parts, "all": size}, "runs": min(at, 3)} for at, size in enumerate(sizes, 1)]


def test_the_longest_bar_is_that_of_the_most_bytes():
    first, second, third, parts = bench.chart(measured(500, 1000, 750))
    assert (first.count("█"), second.count("█"), third.count("█")) == (30, 60, 45)
    assert first.startswith("run    1") and second.endswith("1 kB  2 runs")
    assert parts == "after the last run: artifacts 900 B, runs 80 B, serving 20 B, metadata.sqlite 0 B"


def test_many_runs_are_thinned_out():
    lines = bench.chart(measured(*[1000] * 100))
    assert len(lines) == 52 and lines[0].startswith("run    1") and lines[-2].startswith("run  100")


def test_it_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    made = []

    def measure(number, data, workspace, keep):
        made.append((number, data[number % 2].name, keep))
        return measured(*[1000] * (number + 1))[-1]

    monkeypatch.setattr(bench, "_data", lambda folder, seed: folder / f"data-{seed}")
    monkeypatch.setattr(bench, "_measure", measure)
    (tmp_path / "bytes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in measured(500, 1000)))
    assert bench.main(4, 20, tmp_path, as_json=True) == 0
    assert made == [(2, "data-0", 20), (3, "data-1", 20)]
    assert [one["bytes"]["all"] for one in json.loads(capsys.readouterr().out)["runs"]] == [500, 1000, 1000, 1000]
