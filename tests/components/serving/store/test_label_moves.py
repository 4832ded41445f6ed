"""The real push, promote and rollback on simulated TF Servings: no server is ever stuck, and no label loses its version.

The first four stand for the ways in which servers were stuck for ever by a `models.config` that names versions.
"""

import random
import threading

import pytest

from benchmarks.hardening.label_world import World, without_tensorflow
from components.serving.servers.status import serving_status
from components.serving.store.models_config import MODELS_CONFIG, link_folder, read_models_config
from components.serving.store.push import push
from components.serving.store.rollback_and_promote import rollback
from components.serving.store.served_links import link_folders, linked_versions
from components.serving.store.versions import locked, pushed_by, read_rolled_back, read_servers, sound_versions


@pytest.fixture(autouse=True)
def quick():
    with without_tensorflow():
        yield


def make_world(tmp_path, asked, load_seconds=25.0, poll_seconds=5.0, names="a", keep=5):
    """A world whose servers have loaded a first version."""
    world = World(tmp_path / "world", asked, keep, random.Random(0))
    assert world.push(world.model())
    for name in names:
        world.add_server(name, load_seconds, poll_seconds)
    world.pass_time(100)
    return world


def labels(world):
    return set(read_models_config(world.base).labels.values())


def assert_all_follow(world):
    world.check_served()
    assert world.findings == [] and all(server.longest_gap <= 0.1 and not server.deleted for server in world.servers)


both = pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])


@both
def test_a_version_that_does_not_load_and_then_a_sound_one(tmp_path, asked):
    world = make_world(tmp_path, asked)
    (first,) = world.versions()
    assert world.push(world.model("a")) is not asked  # whoever is not asked cannot tell
    assert labels(world) == ({first} if asked else {world.versions()[-1]})
    world.pass_time(60)
    assert world.servers[0].labelled("stable") == first
    assert world.push(world.model())
    world.pass_time(1000)
    assert labels(world) == {world.versions()[-1]}
    assert_all_follow(world)


@both
@pytest.mark.parametrize("load_seconds", [25.0, 45.0])
def test_two_pushes_within_one_load_time(tmp_path, asked, load_seconds):
    world = make_world(tmp_path, asked, load_seconds)
    world.push(world.model())
    world.pass_time(3)
    world.push(world.model())
    world.pass_time(300)
    assert labels(world) == {world.versions()[-1]}
    assert_all_follow(world)


@both
def test_a_version_that_does_not_load_and_then_a_rollback_to_the_one_before(tmp_path, asked):
    world = make_world(tmp_path, asked)
    (first,) = world.versions()
    world.push(world.model("a"))
    world.pass_time(60)
    assert world.rollback(first)
    world.pass_time(400)
    assert labels(world) == {first}
    assert_all_follow(world)
    assert world.push(world.model())
    world.pass_time(400)
    assert_all_follow(world)


@both
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "slow"])
def test_a_server_that_stands_still_during_a_push_or_polls_more_slowly_than_it_is_said(tmp_path, asked, frozen):
    world = make_world(tmp_path, asked, 2.0, 5.0 if frozen else 60.0)
    if frozen:
        world.later(1, lambda: world.servers[0].freeze(world.monotonic(), 120))
    world.pass_time(0.5)
    world.push(world.model())
    world.pass_time(300)
    assert labels(world) == {world.versions()[-1]}
    assert_all_follow(world)


@both
@pytest.mark.parametrize("keep", [1, 5])
def test_no_label_points_to_a_version_that_is_deleted(tmp_path, asked, keep):
    """With keep=1, and with keep=5 after five canaries, a label pointed to a deleted version for up to a poll."""
    world = make_world(tmp_path, asked, 1.0, keep=keep)
    for number in range(7):
        assert world.push(world.model(), "canary" if number < 6 else "stable")
        world.pass_time(1)
    world.pass_time(900)
    assert_all_follow(world)
    assert world.push(world.model())
    world.pass_time(900)
    assert world.push(world.model())
    world.pass_time(100)
    assert_all_follow(world)
    assert len(world.versions()) <= (keep if asked else 6)  # whoever is not asked may be late


def test_a_push_ends_when_all_servers_have_moved_their_labels(tmp_path):
    world = make_world(tmp_path, True, names="ab")
    start = world.monotonic()
    assert world.push(world.model(), "canary")
    stable, canary = world.versions()
    for server in world.servers:
        assert (server.labelled("stable"), server.labelled("canary")) == (stable, canary)
    assert 25 <= world.monotonic() - start <= 35  # it loads for 25 s, and reads the file every 5 s
    assert read_servers(world.base) == ["grpc://a:8500", "grpc://b:8500"]
    assert world.promote()
    assert [server.labelled("stable") for server in world.servers] == [canary, canary]


def test_a_version_that_one_server_cannot_load_is_withdrawn_from_all(tmp_path):
    world = make_world(tmp_path, True, names="ab")
    before = read_models_config(world.base)
    assert not world.push(world.model("b"))
    first, bad = world.versions()
    assert world.refusals == [
        f"grpc://b:8500 cannot load version {bad} of demo: Could not find SavedModel: the version was withdrawn, and the labels are where "
        "they were."
    ]
    assert read_models_config(world.base) == before and linked_versions(world.base, link_folder(world.base)) == [first]
    assert sound_versions(world.base) == [first] and read_rolled_back(world.base) == set()
    world.pass_time(10)
    assert [server.loaded() for server in world.servers] == [[first], [first]]
    assert not world.rollback()  # a version that never was served is nothing to go back to
    (world.base / str(bad) / "breaks").write_text("")  # say, the server has got more memory
    assert world.rollback(bad) and [server.labelled("stable") for server in world.servers] == [bad, bad]


def test_a_server_that_cannot_be_reached_refuses_the_push_before_anything_is_written(tmp_path):
    world = make_world(tmp_path, True, names="ab")
    world.servers[1].freeze(world.monotonic(), 50)
    before = {path: path.read_bytes() for path in world.base.rglob("*") if path.is_file()}
    assert not world.push(world.model())
    assert world.refusals == [
        "grpc://b:8500 in serving.servers cannot be reached (the simulation keeps it still): start it, or remove it from there and from "
        f"{world.base / 'servers'}."
    ]
    assert {path: path.read_bytes() for path in world.base.rglob("*") if path.is_file()} == before
    assert not world.promote() and len(world.refusals) == 2


def test_a_push_waits_no_longer_than_it_is_told(tmp_path):
    world = make_world(tmp_path, True, load_seconds=700.0)
    world.pass_time(700)
    start = world.monotonic()
    assert not world.push(world.model())
    assert world.monotonic() - start == pytest.approx(600, abs=2)
    assert "has not loaded version" in world.refusals[0] and "after 600 s (serving.wait_seconds)" in world.refusals[0]


def test_labels_are_taken_back_if_a_server_never_moves_them(tmp_path):
    world = make_world(tmp_path, True, names="a")
    world.add_server("b", 1.0, 1e9)  # as without --model_config_file_poll_wait_seconds
    world.pass_time(100)
    (first,) = world.versions()
    assert not world.push(world.model())
    assert "grpc://b:8500 still answers the label" in world.refusals[0] and "the labels are where they were" in world.refusals[0]
    assert labels(world) == {first}
    world.pass_time(60)
    assert [server.labelled("stable") for server in world.servers] == [first, first]
    assert world.servers[0].longest_gap == 0


@pytest.mark.parametrize(("seconds", "bad"), [(5, 1), (27, 2)], ids=["while it loads", "while the labels move"])
def test_a_rollback_does_not_wait_for_a_push_that_waits_and_the_push_gives_up(tmp_path, seconds, bad):
    world = make_world(tmp_path, True, poll_seconds=5.0)
    assert world.push(world.model())
    first = world.versions()[0]
    world.pass_time(52.5)
    took = []

    def roll_back():
        start = world.monotonic()
        world.rollback(first)
        took.append(world.monotonic() - start)

    world.later(seconds, roll_back)
    assert not world.push(world.model())
    assert world.refusals[-1] == (
        f"somebody moved the labels of demo in the meantime (now stable {first}, canary {first}): start again from there."
    )
    assert labels(world) == {first} and read_rolled_back(world.base) == {world.versions()[bad]}  # what was labelled
    assert took[0] <= 60  # it waits for the server to load version 1 again
    world.pass_time(60)
    assert_all_follow(world)


def test_a_lock_that_is_held_by_a_waiting_push_lets_a_rollback_pass(tmp_path):
    """The same with threads and the real clock: the rollback ends while the push still waits."""
    world = make_world(tmp_path, True)
    assert world.push(world.model())
    with locked(world.base, ".push.lock"):
        done = threading.Thread(target=rollback, args=(world.base,))
        done.start()
        done.join(60)
        assert not done.is_alive()


def test_a_rollback_does_not_wait_for_a_server_that_gives_no_answer(tmp_path):
    world = make_world(tmp_path, True, names="ab")
    assert world.push(world.model())
    first, _ = world.versions()
    world.servers[1].freeze(world.monotonic(), 400)
    start, said = world.monotonic(), []
    rollback(world.base, None, world.reach()._replace(say=said.append))
    assert said == ["grpc://b:8500 gives no answer (the simulation keeps it still): it follows when it can."]  # once
    assert world.monotonic() - start < 60 and world.servers[0].labelled("stable") == first
    world.pass_time(500)
    assert_all_follow(world)


def test_a_folder_of_an_older_release_moves_to_links_with_the_labels_where_they_are(tmp_path):
    world = make_world(tmp_path, True, names="")
    (first,) = world.versions()
    specific = f"model_version_policy {{ specific {{ versions: {first} }} }}"
    both_labels = " ".join(f"version_labels {{ key: '{label}' value: {first} }}" for label in ("stable", "canary"))
    (world.base / "models.config").write_text(
        f"model_config_list {{ config {{ name: 'demo' base_path: '{world.base}' model_platform: 'tensorflow' {specific} {both_labels} }} }}"
    )
    world.add_server("a", 2.0, 5.0)
    world.pass_time(50)
    assert world.push(world.model())
    world.pass_time(20)
    assert labels(world) == {world.versions()[-1]}
    assert_all_follow(world)


def test_link_folders_do_not_grow_without_end(tmp_path):
    world = make_world(tmp_path, False, 0.0, 1.0)
    for _ in range(25):
        world.push(world.model())
        world.pass_time(5)
    assert len(link_folders(world.base)) == 20
    assert_all_follow(world)


def test_the_status_says_what_each_server_must_serve_and_does(tmp_path):
    world = make_world(tmp_path, True, names="ab")
    (first,) = world.versions()
    assert not world.push(world.model("b"))
    _, bad = world.versions()
    world.servers[0].freeze(world.monotonic(), 50)
    status = serving_status(world.base, world.servers)
    assert not status.is_as_expected
    assert status.lines() == [
        f"{world.base}",
        f"  expected: stable {first}, canary {first}; loaded {first}",
        "  grpc://a:8500: no answer (the simulation keeps it still)",
        f"  grpc://b:8500: stable {first}, canary {first}; loaded {first}; as expected",
        f"    version {bad}: END: Could not find SavedModel",
    ]
    found = status.as_json()
    assert found["expected"] == {"labels": {"canary": first, "stable": first}, "loaded": [first]} and not found["as_expected"]
    assert found["servers"][0] == {"url": "grpc://a:8500", "error": "the simulation keeps it still", "versions": {}, "labels": {}}
    assert found["servers"][1]["versions"][str(first)] == {"state": "AVAILABLE", "error": ""}


def test_the_status_without_a_models_config_says_how_to_write_it(tmp_path):
    """As a workspace of an older release has it, or one whose models.config was deleted: no server can run."""
    world = make_world(tmp_path, True)
    (first,) = world.versions()
    (world.base / MODELS_CONFIG).unlink()
    status = serving_status(world.base, [])
    assert status.lines()[1] == f"  expected: nothing, because there is no models.config: din rollback --name demo --to {first} writes it"
    assert status.as_json()["expected"] == {"labels": {"canary": first, "stable": first}, "loaded": None}
    rollback(world.base, first)
    assert serving_status(world.base, []).lines()[1] == f"  expected: stable {first}, canary {first}; loaded {first}"


def test_a_run_has_pushed_a_version_only_once_the_labels_move(tmp_path):
    """A run that is killed while servers load the version has pushed nothing; `din runs` asks for that."""
    world = make_world(tmp_path, True, poll_seconds=600.0)
    for killed_after, claims in ((10, False), (40, True)):
        world.pass_time(100)
        model = world.model()
        world.killed(lambda model=model: push(model, world.base, servers=world.reach(), run_id="run"), world.monotonic() + killed_after)
        assert (pushed_by(world.base, "run") is not None) is claims


def test_a_rollback_to_a_version_that_does_not_load_leaves_everything_as_it_was(tmp_path):
    world = make_world(tmp_path, True, names="ab")
    assert not world.push(world.model("b"))
    assert world.push(world.model())
    _, bad, good = world.versions()
    assert not world.rollback(bad) and world.refusals[-1].startswith(f"grpc://b:8500 cannot load version {bad} of demo")
    assert labels(world) == {good} and read_rolled_back(world.base) == set()
    world.servers[1].freeze(world.monotonic(), 5_000)  # nor does it go there without the server that may not be able to load it
    assert not world.rollback(bad) and "grpc://b:8500 gives no answer" in world.refusals[-1]
    assert labels(world) == {good} and read_rolled_back(world.base) == set()
    world.pass_time(6_000)
    assert_all_follow(world)
