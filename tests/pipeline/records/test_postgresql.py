"""The metadata store in a database of PostgreSQL, with a real server."""

import json

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.base.errors import InputError
from pipeline.records.metadata_store import RunOutputs, close_killed_executions, forget_missing_artifacts, open_store, prepare_store
from tests.postgresql import PASSWORD, USER, postgresql_server


@pytest.fixture(scope="module")
def socket():
    with postgresql_server() as query:
        yield query


@pytest.fixture
def url(socket, request, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    return f"postgresql://{USER}:{PASSWORD}@/db_{abs(hash(request.node.name))}?{socket}"


def test_records_are_written_and_read(url, tmp_path):
    """The database is made by the first run. A killed execution is closed, and an artifact without its files is forgotten."""
    metadata = tmp_path / "metadata.sqlite"
    prepare_store(metadata, url)
    store = open_store(metadata)
    node = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    (open_one,) = store.put_executions([mlmd.Execution(type_id=node, last_known_state=mlmd.Execution.RUNNING)])
    killed = tmp_path / "artifacts" / "demo" / "Trainer" / "model" / str(open_one)
    killed.mkdir(parents=True)
    (gone,) = store.put_artifacts([mlmd.Artifact(type_id=kind, uri=str(tmp_path / "gone"), state=mlmd.Artifact.LIVE)])
    prepare_store(metadata, url)  # the next run
    assert close_killed_executions(metadata, tmp_path / "artifacts") == 1 and not killed.exists()
    assert forget_missing_artifacts(metadata) == 1
    assert [execution.last_known_state for execution in store.get_executions()] == [mlmd.Execution.FAILED]
    assert [artifact.state for artifact in store.get_artifacts_by_id([gone])] == [mlmd.Artifact.DELETED]
    assert RunOutputs(metadata, "no-such-run").uri("Trainer", "model") is None
    assert not metadata.exists()


def test_texts_with_backslashes_and_quotes(url, tmp_path):
    """ml-metadata by itself cannot write a backslash to PostgreSQL. A pipeline's settings are JSON inside JSON, with backslashes."""
    metadata = tmp_path / "metadata.sqlite"
    prepare_store(metadata, url)
    store = open_store(metadata)
    text = json.dumps({"features": json.dumps({"a'b": "c\\d\né"})})
    kind = store.put_context_type(mlmd.ContextType(name="settings"))
    node = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    context = mlmd.Context(type_id=kind, name="a\\b")
    execution = mlmd.Execution(type_id=node, custom_properties={"config": mlmd.Value(string_value=text)})
    (number,) = store.put_executions([execution])
    (found,) = store.get_executions_by_id([number])
    assert found.custom_properties["config"].string_value == text
    assert execution.custom_properties["config"].string_value == text  # what the caller has is not changed
    store.put_contexts([context])
    assert store.get_context_by_type_and_name("settings", "a\\b").name == "a\\b"


def test_answers_are_in_the_order_of_the_numbers(url, tmp_path):
    """TFX takes the n-th event of a cached execution to be that of its n-th artifact. PostgreSQL returns rows that were changed last."""
    metadata = tmp_path / "metadata.sqlite"
    prepare_store(metadata, url)
    store = open_store(metadata)
    node = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    made = [mlmd.Artifact(type_id=kind, uri=f"/{name}", state=mlmd.Artifact.PENDING) for name in ("model", "model_run", "third")]
    pairs = [
        (artifact, mlmd.Event(type=mlmd.Event.OUTPUT, path=mlmd.Event.Path(steps=[mlmd.Event.Path.Step(key=artifact.uri[1:])])))
        for artifact in made
    ]
    execution, numbers, _ = store.put_execution(mlmd.Execution(type_id=node), pairs, [])
    for artifact, number in reversed(list(zip(made, numbers, strict=True))):
        artifact.id, artifact.state = number, mlmd.Artifact.LIVE
        store.put_artifacts([artifact])
    events = store.get_events_by_execution_ids([execution])
    found = store.get_artifacts_by_id([event.artifact_id for event in events])
    assert [artifact.uri for artifact in found] == ["/model", "/model_run", "/third"]
    assert [event.path.steps[0].key for event in events] == ["model", "model_run", "third"]
    other = store.put_artifact_type(mlmd.ArtifactType(name="Other"))
    assert [found.id for found in store.get_artifact_types_by_id([other, kind, other])] == [other, kind, other]  # as they were asked for


def test_a_database_belongs_to_one_workspace(url, tmp_path):
    """Runs of one workspace would close the executions of another one, which may go on."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    prepare_store(tmp_path / "a" / "metadata.sqlite", url)
    with pytest.raises(InputError, match=r"has the metadata of another workspace: give each workspace a database of its own"):
        prepare_store(tmp_path / "b" / "metadata.sqlite", url)
    assert not list((tmp_path / "b").iterdir())


def test_the_metadata_of_other_programs_is_not_taken_over(url, tmp_path):
    first = tmp_path / "metadata.sqlite"
    prepare_store(first, url)
    store = open_store(first)
    node = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    store.put_executions([mlmd.Execution(type_id=node, last_known_state=mlmd.Execution.RUNNING)])
    (context,) = store.get_contexts_by_type("din_workspace")
    context.name = "somebody"
    store.put_contexts([context])
    with pytest.raises(InputError, match="has the metadata of another workspace"):
        prepare_store(first, url)


def test_a_wrong_password_and_a_server_that_is_gone_are_one_sentence(url, socket, tmp_path, monkeypatch):
    metadata = tmp_path / "metadata.sqlite"
    for bad in (url.replace(PASSWORD, "wrong"), f"postgresql://{USER}:{PASSWORD}@/mlmd?host=/nowhere"):
        with pytest.raises(
            InputError, match=r"^postgresql://din@:5432/\w+\?host=\S+ cannot be opened: start the server, make the"
        ) as error:
            prepare_store(metadata, bad)
        assert PASSWORD not in str(error.value) and "wrong" not in str(error.value)
        assert not list(tmp_path.iterdir())
