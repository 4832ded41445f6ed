"""Stops the run if a figure of DriftValidator does not hold its bound, and the bound refuses."""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component

from components.artifact_types import DriftFigures
from components.base.errors import DataError
from components.drift.drift_figures import read_figures, refusals


@component
def DriftGate(figures: InputArtifact[DriftFigures], source_fingerprint: Parameter[str]) -> None:
    """Fails the run because of drift or skew.

    Args:
        figures: DriftValidator's output.
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.

    Raises:
        DataError: It names each feature, the figure and its bound.
    """
    del source_fingerprint
    if sentences := refusals(read_figures(Path(figures.uri))):
        raise DataError(" ".join(sentences))
