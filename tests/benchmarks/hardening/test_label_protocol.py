"""A share of the random sequences of `python -m benchmarks.hardening.label_protocol`, and that it sees what is wrong."""

import random

from benchmarks.hardening.label_protocol import report, run_sequences
from benchmarks.hardening.label_world import World, without_tensorflow
from components.serving.store.models_config import read_models_config

SEQUENCES = 40


def test_random_sequences_leave_no_server_stuck_and_no_label_without_a_version():
    outcomes = run_sequences(0, SEQUENCES)
    assert [finding for _, outcome in outcomes for finding in outcome.findings] == []
    assert all(outcome.done.total() == 8 for _, outcome in outcomes)
    assert report(outcomes)[0].startswith(f"{SEQUENCES} sequences, {8 * SEQUENCES} changes")


def test_a_file_that_names_the_versions_to_load_leaves_a_server_stuck(tmp_path):
    """TF Serving refuses labels before it looks at the versions: so a server that missed the step between is stuck."""
    with without_tensorflow():
        world = World(tmp_path / "world", False, 5, random.Random(0))
        world.push(world.model())
        world.add_server("a", 2.0, 5.0)
        world.pass_time(20)
        (first,) = world.versions()
        for version in (first, first + 1):
            (world.base / str(version)).mkdir(exist_ok=True)
            labels = " ".join(f"version_labels {{ key: '{label}' value: {version} }}" for label in ("stable", "canary"))
            (world.base / "models.config").write_text(
                f"model_config_list {{ config {{ name: 'demo' base_path: '{world.base}' model_platform: 'tensorflow' "
                f"model_version_policy {{ specific {{ versions: {version} }} }} {labels} }} }}"
            )
            world.pass_time(20)
        world.pass_time(10_000)
        world.check_served()
        assert set(read_models_config(world.base).labels.values()) == {first + 1} and world.servers[0].labelled("stable") == first
        assert len(world.findings) == 1 and world.findings[0].startswith("grpc://a:8500 is stuck: its labels are")


def test_a_change_that_waits_with_the_lock_is_seen(tmp_path):
    from components.serving.store.versions import locked

    world = World(tmp_path / "world", False, 5, random.Random(0))
    with locked(world.base):
        world.sleep(1)
    assert world.findings == ["a change waits and holds the lock that a rollback needs"]
