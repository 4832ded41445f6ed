"""Blesses an export that can be served and answers as training did: what TFX's InfraValidator does, but without Docker."""

import json
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import LOADING_FILE, SAMPLE_FILE, ScoredSample
from components.base.tfx_pins import write_infra_blessing
from components.serving.gate.examine_export import Settings, examine, read_sample
from components.serving.gate.refused import Refused
from components.serving.store.versions import WARM_UP_FILE


@component
def InfraGate(
    model: InputArtifact[standard_artifacts.Model],
    sample: InputArtifact[ScoredSample],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    settings: Parameter[str],
    run_id: Parameter[str],
) -> None:
    """Blesses the export if it can be served and answers as training did. A bad export is refused in one sentence; no exception is raised.

    Args:
        model: The model that is examined.
        sample: The impressions that it is asked, with the training-time scores.
        blessing: What Pusher reads: TFX's property and file, `loading.json` (the results of `examine`, `blessed`, `refused_because`), and
            `tf_serving_warmup_requests` for the version that is pushed.
        settings: A JSON object with the fields of `Settings`.
        run_id: The id of this run. It keeps the node out of the cache: an old measurement, or one of another server, proves nothing now.
    """
    del run_id
    folder = Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"how": None, "largest_difference": None, "latency_ms": {}, "memory_mb": None, "requests": 0}
    reason = None
    try:
        saved_model = Path(path_utils.serving_model_dir(model.uri))
        scored = read_sample(Path(sample.uri) / SAMPLE_FILE)
        examine(saved_model, scored, Settings(**json.loads(settings)), folder / Path(WARM_UP_FILE).name, found)
    except Refused as refusal:
        reason = str(refusal)
    blessed = reason is None
    (folder / LOADING_FILE).write_text(json.dumps({"blessed": blessed, "refused_because": reason, **found}) + "\n")
    write_infra_blessing(blessing, blessed)
