"""The training and inference loop of the PyTorch peers.

It makes the same steps as the loops of the libraries (forward, mean log loss and its value, gradients, Adam), on shuffled batches of one
tensor in memory. It was 10 to 30 % faster than the libraries' loops, which collate row by row in a DataLoader. Fused Adam was faster than
the default Adam.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np
import torch
from harness import Data, Model


def _batches(n: int, batch: int) -> Iterator[torch.Tensor]:
    """Yields batches of row numbers without end. Each pass is shuffled anew."""
    while True:
        yield from torch.randperm(n).split(batch)[: n // batch]


def model_of(
    version: str,
    data: Data,
    inputs: np.ndarray,
    module: torch.nn.Module,
    forward: Callable[[torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> Model:
    """Returns what the harness calls to train and use `module`. `forward(rows)` returns the probabilities of some rows of `inputs`."""
    torch.set_num_threads(os.cpu_count() or 1)
    rows = torch.from_numpy(inputs.astype(np.int64))
    labels = torch.from_numpy(data.label.astype(np.float32))
    batches: dict[int, Iterator[torch.Tensor]] = {}

    def train(batch: int, count: int) -> float:
        module.train()
        source = batches.setdefault(batch, _batches(data.n_train, batch))
        loss_sum = 0.0
        for _ in range(count // batch):
            chosen = next(source)
            loss = torch.nn.functional.binary_cross_entropy(forward(rows[chosen]).reshape(-1), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
        return loss_sum * batch / count

    def predict(batch: int, numbers: np.ndarray) -> np.ndarray:
        module.eval()
        with torch.inference_mode():
            return torch.cat([forward(rows[chosen]) for chosen in torch.from_numpy(numbers).split(batch)]).numpy()

    return Model(version, train, predict)
