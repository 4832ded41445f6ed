"""Attacks an exported model in TensorFlow's C++ loader with hostile requests: `python -m benchmarks.hardening.fuzz`.

A case is one request. It must end in an error, or in finite scores in [0, 1] of the request's shape. Findings are a crash, an answer that
takes longer than `TIMEOUT`, any other score, and the refusal of a request that is odd but legal (unknown ids, empty or very long histories,
no rows). `--case NUMBER` with the same seed runs one case again. Growing memory is a finding too: the smallest resident size in the last
tenth of the cases, minus the smallest in the tenth after the first half, must not exceed `GROWTH`. The first half is left out because
caches and pools fill in it, and requests of 100,000 events spread the heap.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import grpc
import numpy as np
from rich.table import Table

from benchmarks.hardening.hostile_requests import make_case
from benchmarks.hardening.request_case import Arrays, Case
from components.base.errors import InputError
from components.evaluation.labels import probabilities
from components.serving.model.exported_features import read_features
from components.serving.model.loaded_model import Crashed, LoadedModel, LoadError, RunError
from din_trainer.features import FeatureConfig
from pipeline.console import Console
from pipeline.terminal import complain

TIMEOUT = 30.0  # seconds; a history of 100,000 events takes less than one
GROWTH = 128 * 2**20  # bytes, or 3 KiB a case of 100,000; without any leak, requests of all sizes spread the heap by about 65 MiB
_SAMPLES, _MOST_FINDINGS = 200, 20
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Model(Protocol):
    """The model that is attacked: `LoadedModel`, or a fake one in tests."""

    signatures: dict[str, Any]

    def run(self, signature: str, inputs: Arrays, timeout: float) -> Arrays: ...
    def resident_bytes(self) -> int: ...
    def close(self) -> None: ...


class Report(NamedTuple):
    """The results of all cases.

    Attributes:
        outcomes: The number of cases by signature and outcome: `scores`, `crash`, or the name of the error's code.
        findings: One sentence each.
        resident: Samples of the process's memory over the run, in bytes.
        seconds: The duration of the run.
    """

    outcomes: Counter[tuple[str, str]]
    findings: list[str]
    resident: list[int]
    seconds: float


def fault_of(case: Case, outputs: Arrays) -> str | None:
    """Returns what is wrong with an answer; None if nothing is."""
    for name, values in outputs.items():
        if case.rows is not None and values.shape[: len(case.rows)] != case.rows:
            return f"{name} has the shape {values.shape} for {case.rows}"
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{name} has a value that is not finite"
        if values.dtype.kind == "i" and (values < 0).any():
            return f"{name} has a negative id"
    for name in outputs.keys() & probabilities(outputs):
        if not ((outputs[name] >= 0) & (outputs[name] <= 1)).all():
            return f"a value of {name} is not in [0, 1]"
    return None


def growth(resident: list[int]) -> int:
    """Returns by how many bytes the last tenth of the samples stays above the sixth tenth."""
    half, tenth = len(resident) // 2, max(1, len(resident) // 10)
    return min(resident[-tenth:]) - min(resident[half : half + tenth])


def fuzz(open_model: Callable[[], Model], features: FeatureConfig, seed: int, numbers: range, timeout: float = TIMEOUT) -> Report:
    """Runs cases one after another. Opens a crashed model again, and stops after `_MOST_FINDINGS` findings.

    Args:
        open_model: Starts the model.
        features: What the model reads.
        seed: The seed of all cases.
        numbers: The numbers of the cases.
        timeout: The seconds that an answer may take.
    """
    began = time.monotonic()
    model = open_model()
    inputs = {name: {key: tensor.dtype for key, tensor in signature.inputs.items()} for name, signature in model.signatures.items()}
    outcomes: Counter[tuple[str, str]] = Counter()
    findings: list[str] = []
    resident: list[int] = []
    every = max(1, len(numbers) // _SAMPLES)
    try:
        for number in numbers:
            case = make_case(seed, number, inputs, features)
            outcome, fault = _run(model, case, timeout)
            outcomes[case.signature, outcome] += 1
            if fault is not None:
                findings.append(f"case {number} of seed {seed}, {case.signature}: {fault} ({'; '.join(case.what)})")
                if len(findings) == _MOST_FINDINGS:
                    break
            if outcome == "crash":
                model.close()
                model, resident = open_model(), []
            elif (number - numbers[0]) % every == 0:
                resident.append(model.resident_bytes())
    finally:
        model.close()
    if growth(resident or [0]) > GROWTH:
        findings.append(f"the process grew by {growth(resident) / 2**20:,.0f} MiB, which is more than {GROWTH / 2**20:,.0f} MiB")
    return Report(outcomes, findings, resident, time.monotonic() - began)


def _run(model: Model, case: Case, timeout: float) -> tuple[str, str | None]:
    """Runs a case. Returns the outcome, and the fault if there is one."""
    try:
        outputs = model.run(case.signature, case.inputs, timeout)
    except RunError as error:
        code = _CODES.get(error.code, str(error.code))
        return code, f"a legal request was refused: {code}: {error}" if case.expect == "scores" else None
    except Crashed as error:
        return "crash", str(error)
    return "scores", fault_of(case, outputs)


def show(report: Report, console: Console) -> None:
    """Prints the outcomes as a table, then memory and findings."""
    signatures = sorted({signature for signature, _ in report.outcomes})
    table = Table("outcome", *signatures)
    for outcome in sorted({outcome for _, outcome in report.outcomes}, key=lambda name: (name != "scores", name)):
        table.add_row(outcome, *(f"{report.outcomes[signature, outcome]:,}" for signature in signatures))
    console.print(table)
    cases = report.outcomes.total()
    console.print(f"{cases:,} cases in {report.seconds:,.0f} s, {cases / report.seconds:,.0f} a second", highlight=False)
    if report.resident:
        first, last, most = (size / 2**20 for size in (report.resident[0], report.resident[-1], max(report.resident)))
        grown = growth(report.resident) / 2**20
        console.print(
            f"memory: {first:,.0f} MiB at first, {last:,.0f} at last, {most:,.0f} at most; grown by {grown:,.0f}", highlight=False
        )
    for finding in report.findings:
        console.print(f"FINDING {finding}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{len(report.findings) or 'no'} findings", highlight=False)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hardening.fuzz", description="Attacks a model in TensorFlow's C++ loader with hostile requests."
    )
    parser.add_argument("--model", type=Path, help="a version folder (default: a small model with every kind of feature, made for the run)")
    parser.add_argument("--cases", type=int, default=100_000, help="how many requests (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of all requests (default: 0)")
    parser.add_argument("--case", type=int, help="run only the case with this number")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command. Returns the exit status: 0 without findings, 1 with findings, 2 if there is no such model."""
    options = _arguments(arguments)
    numbers = range(options.cases) if options.case is None else range(options.case, options.case + 1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            if options.model is None:
                from benchmarks.exports.small_export import make_export_of_every_kind

                saved_model = make_export_of_every_kind(Path(folder)).saved_model
            else:
                saved_model = options.model
            features = read_features(saved_model)
            report = fuzz(lambda: LoadedModel(saved_model, threads=1), features, options.seed, numbers)
        except (InputError, LoadError) as error:
            complain(str(error))
            return 2
    show(report, Console())
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
