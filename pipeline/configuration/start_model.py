"""The model that a warm start begins with, as the nodes of the DAG get it."""

from pathlib import Path
from typing import Any, NamedTuple


class Start(NamedTuple):
    """A model that an earlier run has trained.

    Attributes:
        run: The id of that run.
        model_file: Its Keras file.
        transform_graph: The Transform graph that made its training data.
        fingerprint: Of the Keras file.
        elapsed: How many spans the new training data is newer than that of the model.
        scales: The statistics by which it reads each number, by name.
    """

    run: str
    model_file: Path
    transform_graph: Path
    fingerprint: str
    elapsed: int
    scales: dict[str, dict[str, Any]]

    def for_transform(self, forget_after: int) -> dict[str, Any]:
        """What `preprocessing_fn` reads."""
        values = {"transform_graph": str(self.transform_graph), "elapsed": self.elapsed, "forget_after": forget_after}
        return {"fingerprint": self.fingerprint, "values": values, "scales": self.scales}

    def for_trainer(self) -> dict[str, str]:
        """What `run_fn` reads."""
        files = {"model_file": str(self.model_file), "transform_graph": str(self.transform_graph)}
        return {"run": self.run, "fingerprint": self.fingerprint, **files}
