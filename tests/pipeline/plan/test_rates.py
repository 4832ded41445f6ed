"""The file with the rates of a machine: found again as written, and refused in one sentence otherwise."""

import json
from pathlib import Path

import pytest

from components.base.errors import InputError
from pipeline.plan.rates import rates_file, read_rates, write_rates
from tests.pipeline.plan.rates_of_a_machine import rates


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_rates_are_read_as_they_were_written(tmp_path: Path):
    assert write_rates(rates()) == tmp_path / "din-tfx" / "rates.json"
    assert read_rates() == rates()


def test_without_rates_the_command_to_measure_them_is_named():
    with pytest.raises(InputError, match=r"not known \(.*rates.json does not exist\): measure them with din bench data --rates"):
        read_rates()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "format"),
        ({"memory": {"run": -1}}, "memory.run"),
        ({"stages": {"Transform": {"seconds": {"run": "nan"}, "cores": 1}}}, "stages.Transform.seconds.run"),
        ({"stages": {"Transform": {"seconds": {}, "cores": 0}}}, "stages.Transform.cores"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_rates_of_another_form_or_without_sense_are_refused(change: dict, reason: str):
    file = write_rates(rates())
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(InputError, match=rf"cannot be used \({reason}: .*\): measure the rates again"):
        read_rates()


def test_a_file_that_is_no_json_is_refused():
    write_rates(rates())
    rates_file().write_text('{"format": 1')
    with pytest.raises(InputError, match=r"rates.json cannot be used \(JSONDecodeError\)"):
        read_rates()
