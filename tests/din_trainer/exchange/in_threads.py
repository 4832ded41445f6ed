"""Several workers as threads of one process: enough for what happens outside graphs."""

from concurrent.futures import ThreadPoolExecutor

from din_trainer.exchange.collectives import Workers
from din_trainer.exchange.mesh import Mesh


def by_workers(folder, count, work, patience=60.0):
    """Returns what `work(workers)` returns, by worker."""
    addresses = [str(folder / str(number)) for number in range(count)]

    def run(number):
        mesh = Mesh(number, addresses, b"secret", patience)
        try:
            return work(Workers(mesh))
        finally:
            mesh.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
