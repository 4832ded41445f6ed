"""`din run --log-format json`: one JSON object a line."""

import io
import json

from pipeline.json_log import JsonLog
from pipeline.records.summary import Summary


def test_each_event_is_one_line():
    stream = io.StringIO()
    log = JsonLog(stream, "r1", "demo")
    log.examples["Trainer"] = 200
    log.start("Trainer")
    log.detail("epoch 1")
    log.detail("epoch\n2")
    log.finish()
    log.start("Evaluator")
    log.mark_cached()
    log.finish()
    summary = Summary(run_id="r1", name="demo", notes=["No server was asked."])
    summary.end("refused", "AUC is too low")
    log.end(summary)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["run_started", "step_finished", "step_finished", "note", "run_ended"]
    assert {(line["run_id"], line["name"]) for line in lines} == {("r1", "demo")}
    trained, cached = lines[1], lines[2]
    assert (trained["step"], trained["cached"], trained["examples"], trained["detail"]) == ("Trainer", False, 200, "epoch\n2")
    assert (cached["step"], cached["cached"], cached["detail"]) == ("Evaluator", True, None)
    assert (lines[3]["level"], lines[3]["message"]) == ("warning", "No server was asked.")
    assert (lines[4]["level"], lines[4]["summary"]["exit_code"]) == ("error", 3)
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert log.seconds.keys() == {"Trainer", "Evaluator"}
