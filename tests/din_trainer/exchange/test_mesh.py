"""All workers exchange messages of any size with all others; a lost worker is noticed, a stranger is refused."""

import socket
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Client

import pytest

from din_trainer.exchange.mesh import Mesh, WorkerLost
from din_trainer.training_errors import NoCluster


def meshes(addresses, patience=60.0):
    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(lambda number: Mesh(number, addresses, b"secret", patience), range(len(addresses))))


@pytest.fixture
def three(tmp_path):
    mesh = meshes([str(tmp_path / str(number)) for number in range(3)])
    yield mesh
    for one in mesh:
        one.close()


@pytest.mark.parametrize("size", [0, 1, 3_000_000], ids=["empty", "small", "larger than what a socket holds"])
def test_each_worker_gets_the_part_that_each_other_one_has_for_it(three, size):
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            received = list(pool.map(lambda mesh: mesh.exchange([bytes([mesh.index, to]) + b"." * size for to in range(3)]), three))
        assert [[(part[0], part[1], len(part)) for part in parts] for parts in received] == [
            [(other, worker, size + 2) for other in range(3)] for worker in range(3)
        ]


def test_a_worker_that_ends_is_noticed(three):
    three[2].close()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(mesh.exchange, [b""] * 3) for mesh in three[:2]]
        errors = [future.exception() for future in waiting]
    assert {type(error) for error in errors} == {WorkerLost}
    assert "worker 2 has ended" in {str(error) for error in errors}


def test_a_worker_that_sends_nothing_is_not_waited_for_for_ever(tmp_path):
    first, second = meshes([str(tmp_path / "0"), str(tmp_path / "1")], patience=0.3)
    with pytest.raises(WorkerLost, match=r"worker 1 has sent nothing for 0 s"):
        first.exchange([b"", b""])
    second.close()


def test_a_worker_that_does_not_start_is_not_waited_for_for_ever(tmp_path):
    with pytest.raises(WorkerLost, match="did not start within"):
        Mesh(0, [str(tmp_path / "0"), str(tmp_path / "1")], b"secret", patience=0.2)
    with pytest.raises(WorkerLost, match="worker 0 did not start within"):
        Mesh(1, [str(tmp_path / "none"), str(tmp_path / "1")], b"secret", patience=0.2)


def listens(address):
    """Connects as soon as somebody listens."""
    while True:
        try:
            return Client(address)
        except (FileNotFoundError, ConnectionRefusedError):
            continue


def test_strangers_are_not_waited_for_and_the_workers_go_on(tmp_path):
    """One has another key, one says nothing, such as a health check, and one ends at once."""
    addresses = [str(tmp_path / "0"), str(tmp_path / "1")]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(Mesh, 0, addresses, b"secret", 60.0)
        silent = listens(addresses[0])
        listens(addresses[0]).close()
        with pytest.raises(NoCluster, match=r"Worker 0 of the training has another key than worker 1: .* DIN_WORKERS_KEY"):
            Mesh(1, addresses, b"guess", 60.0)
        second = pool.submit(Mesh, 1, addresses, b"secret", 60.0)
        pair = [first.result(), second.result()]
        answers = list(pool.map(lambda mesh: mesh.exchange([b"a", b"b"]), pair))
    silent.close()
    assert answers == [[b"a", b"a"], [b"b", b"b"]]
    assert not list(tmp_path.iterdir())


def test_a_worker_that_listens_but_does_not_answer_is_not_waited_for_for_ever(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "0"))
        silent.listen()
        with pytest.raises(WorkerLost, match="worker 0 did not start within"):
            Mesh(1, [str(tmp_path / "0"), str(tmp_path / "1")], b"secret", patience=0.2)


def test_an_address_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with pytest.raises(NoCluster, match=rf"Worker 0 of the training cannot listen at .*{address[1]}.*: Address already in use"):
            Mesh(0, [address, ("127.0.0.1", 1)], b"secret")


def test_workers_of_a_cluster_are_connected_by_tcp():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        addresses = [("127.0.0.1", server.getsockname()[1]) for server in (one, other)]
    pair = meshes(addresses)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda mesh: mesh.exchange([bytes(100_000), bytes([mesh.index])]), pair))
    assert answers == [[bytes(100_000), bytes(100_000)], [b"\0", b"\1"]]
