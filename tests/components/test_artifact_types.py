"""Our own types of artifacts can be compiled for Kubeflow, whose names must have a namespace."""

from tfx.orchestration.kubeflow.v2.compiler_utils import get_artifact_schema
from tfx.types.artifact import Artifact

from components import artifact_types


def test_every_type_is_listed_and_can_be_compiled():
    own = {kind for kind in vars(artifact_types).values() if isinstance(kind, type) and issubclass(kind, Artifact)} - {Artifact}
    assert set(artifact_types.TYPES) == own
    assert len({kind.TYPE_NAME for kind in own}) == len(own)
    for kind in own:
        assert get_artifact_schema(kind).startswith(f"title: {kind.TYPE_NAME}\n")
