"""The fuzz finds the faults of fake models, and a real export withstands it."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from benchmarks.exports.small_export import FEATURES
from benchmarks.hardening import fuzz
from benchmarks.hardening.hostile_requests import make_case
from benchmarks.hardening.request_case import Case
from components.serving.model.exported_features import read_features
from components.serving.model.loaded_model import Crashed, LoadedModel, RunError

_DTYPES = {"int64": "int64", "bytes": "string", "float": "float32"}
_RAW = {column.name: _DTYPES[column.dtype] for column in FEATURES.columns}
INPUTS = {"serving_default": {"examples": "string"}, "predict": _RAW, "rank": _RAW}


class FakeModel:
    """Answers every legal request with 0.5 and refuses the others, except where `fault` returns another answer."""

    opened = asked = 0

    def __init__(self, fault, grows):
        FakeModel.opened += 1
        self.signatures = {
            name: SimpleNamespace(inputs={key: SimpleNamespace(dtype=dtype) for key, dtype in inputs.items()})
            for name, inputs in INPUTS.items()
        }
        self._fault, self._grows = fault, grows

    def run(self, signature, inputs, timeout):
        expected = make_case(0, FakeModel.asked, INPUTS, FEATURES)
        FakeModel.asked += 1
        if expected.expect == "either":
            raise RunError(3, "refused")
        answer = self._fault(expected)
        return {"probability": np.full(expected.rows, 0.5, np.float32)} if answer is None else answer

    def resident_bytes(self):
        return 10**8 + FakeModel.asked * self._grows

    def close(self):
        pass


def findings(fault=lambda case: None, grows=0, cases=60):
    FakeModel.opened = FakeModel.asked = 0
    return fuzz.fuzz(lambda: FakeModel(fault, grows), FEATURES, 0, range(cases))


def scores(value):
    return lambda case: {"probability": np.full(case.rows, value, np.float32)}


def test_a_model_that_answers_well_has_no_findings():
    report = findings()
    assert not report.findings and report.outcomes.total() == 60
    assert {outcome for _, outcome in report.outcomes} == {"scores", "INVALID_ARGUMENT"}
    assert {signature for signature, _ in report.outcomes} == set(INPUTS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_score_that_is_none_is_found(value):
    report = findings(scores(value))
    legal = [n for n in range(60) if (case := make_case(0, n, INPUTS, FEATURES)).expect == "scores" and 0 not in case.rows]
    assert len(report.findings) == fuzz._MOST_FINDINGS
    for number, finding in zip(legal, report.findings, strict=False):
        assert finding.startswith(f"case {number} of seed 0, ")


def test_wrong_shapes_and_refusals_of_legal_requests_are_found():
    assert "has the shape" in findings(lambda case: {"probability": np.full((*case.rows, 2, 1)[1:], 0.5)}).findings[0]

    def refuse(case):
        raise RunError(13, "no")

    assert "a legal request was refused: INTERNAL: no" in findings(refuse).findings[0]


def test_a_crash_is_found_and_the_model_opened_again():
    def crash(case):
        raise Crashed("the process was ended by signal 6 (Check failed)")

    report = findings(crash, cases=20)
    crashes = sum(count for (_, outcome), count in report.outcomes.items() if outcome == "crash")
    assert report.outcomes.total() == 20 and "ended by signal 6" in report.findings[0]
    assert len(report.findings) == crashes == FakeModel.opened - 1 > 5


def test_memory_that_grows_is_found():
    megabyte = 2**20
    assert growth_of(findings(grows=4 * megabyte, cases=100)) == "the process grew by 160 MiB, which is more than 128 MiB"
    assert growth_of(findings(grows=megabyte // 2, cases=100)) is None


def growth_of(report):
    return next((finding for finding in report.findings if "grew" in finding), None)


def test_growth_by_hand():
    # of 20 samples the last two are 30 and 31, the eleventh and twelfth 8 and 9; the first half does not count
    assert fuzz.growth([*[5] * 10, 8, 9, *[50] * 6, 31, 30]) == 22


def test_ids_that_cannot_be_are_found():
    case = Case("transform_features", {}, (2,), "scores", [])
    assert fuzz.fault_of(case, {"age": np.array([1, 0])}) is None
    assert fuzz.fault_of(case, {"age": np.array([1, -1])}) == "age has a negative id"
    assert fuzz.fault_of(case, {"price": np.array([1, np.nan], np.float32)}) == "price has a value that is not finite"


def test_a_case_is_made_again_by_its_number():
    for number in range(120):
        one, other = (make_case(0, number, INPUTS, FEATURES) for _ in range(2))
        assert one.signature == other.signature and one.inputs.keys() == other.inputs.keys()
        for name, array in one.inputs.items():
            np.testing.assert_array_equal(array, other.inputs[name])


@pytest.fixture
def saved_model(small_export):
    return small_export.saved_model


def test_an_export_withstands_hostile_requests(saved_model):
    report = fuzz.fuzz(lambda: LoadedModel(saved_model, threads=1), read_features(saved_model), 0, range(1_000))
    assert not report.findings, "\n".join(report.findings)
    for signature in ("serving_default", "predict", "rank", "explain", "transform_features"):
        assert report.outcomes[signature, "scores"] > 50 and report.outcomes[signature, "INVALID_ARGUMENT"] > 20


def test_the_command_runs_one_case_again(saved_model, monkeypatch, capsys):
    def load(folder, threads):
        assert folder == saved_model
        FakeModel.asked = 7
        return FakeModel(lambda case: None, grows=0)

    monkeypatch.setattr(fuzz, "LoadedModel", load)
    assert fuzz.main(["--model", str(saved_model), "--case", "7"]) == 0
    assert "1 cases in" in capsys.readouterr().out and FakeModel.asked == 8
    assert fuzz.main(["--model", str(saved_model / "missing")]) == 2


def test_the_table_and_the_findings_are_printed():
    console = Console(width=120, record=True, file=io.StringIO())
    fuzz.show(findings(scores(2.0)), console)
    text = console.export_text()
    assert "serving_default" in text and "FINDING case" in text and "20 findings" in text
