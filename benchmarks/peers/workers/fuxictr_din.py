"""FuxiCTR's DIN, made of its layers as in its model zoo. Histories are masked by the id 0. The statistics of Dice include the padding."""

from importlib.metadata import version
from typing import Any

import numpy as np
from harness import Data, Model, serve


def build(data: Data) -> Model:
    """Makes the model with Dice in the attention unit and in the MLP, without regularisation, batch normalisation and dropout."""
    import torch
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.layers import DIN_Attention, FeatureEmbeddingDict, MLP_Block
    from torch_loop import model_of

    item: dict[str, Any] = {"vocab_size": data.n_items + 1, "padding_idx": 0}
    features = FeatureMap("bench", "")
    features.features = {
        "user": {"type": "categorical", "vocab_size": data.n_users + 1},
        "item": {"type": "categorical", **item},
        "history": {"type": "sequence", "share_embedding": "item", **item},
    }

    class DIN(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = FeatureEmbeddingDict(features, 16)
            self.attention = DIN_Attention(16, [80, 40], "Dice")
            self.mlp = MLP_Block(3 * 16, [128, 64, 32], "Dice", output_dim=1, output_activation="Sigmoid")

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            ids = {"user": rows[:, 0], "item": rows[:, 1], "history": rows[:, 2:]}
            x = self.embedding(ids)
            x["history"] = self.attention(x["item"], x["history"], ids["history"] != 0)
            return self.mlp(self.embedding.dict2tensor(x, flatten_emb=True))

    din = DIN()
    inputs = np.column_stack([data.user_id, data.candidate_item_id, data.historical_item_ids])
    optimizer = torch.optim.Adam(din.parameters(), lr=1e-3, fused=True)
    return model_of(version("fuxictr"), data, inputs, din, din, optimizer)


if __name__ == "__main__":
    serve(build)
