"""torch-rechub's DIN. It has no mask. Its padding_idx keeps the embeddings of padding at zero, which has the same effect in the sum."""

import numpy as np
from harness import Data, Model, serve


def build(data: Data) -> Model:
    """Makes the model with Dice in the attention unit and in the MLP."""
    import torch
    import torch_rechub
    from torch_loop import model_of
    from torch_rechub.basic.features import SequenceFeature, SparseFeature
    from torch_rechub.models.ranking import DIN

    item = SparseFeature("item", data.n_items + 1, 16, padding_idx=0)
    din = DIN(
        features=[SparseFeature("user", data.n_users + 1, 16)],
        history_features=[SequenceFeature("history", data.n_items + 1, 16, pooling="concat", shared_with="item", padding_idx=0)],
        target_features=[item],
        mlp_params={"dims": [128, 64, 32]},
        attention_mlp_params={"dims": [80, 40], "activation": "dice"},
    )

    def forward(rows: torch.Tensor) -> torch.Tensor:
        return din({"user": rows[:, 0], "item": rows[:, 1], "history": rows[:, 2:]})

    inputs = np.column_stack([data.user_id, data.candidate_item_id, data.historical_item_ids])
    optimizer = torch.optim.Adam(din.parameters(), lr=1e-3, fused=True)
    return model_of(torch_rechub.__version__, data, inputs, din, forward, optimizer)


if __name__ == "__main__":
    serve(build)
