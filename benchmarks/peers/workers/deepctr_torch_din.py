"""DeepCTR-Torch's DIN. Its MLP has ReLU, the default, because its Dice fails there. Histories are masked by their length."""

from unittest import mock

import numpy as np
from harness import Data, Model, serve


def build(data: Data) -> Model:
    """Makes the model without L2 terms, so that the loss is only the log loss."""
    mock.patch("requests.get").start()  # its import asks the package index for a newer version, in a thread
    import deepctr_torch
    import torch
    from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat
    from deepctr_torch.models import DIN
    from torch_loop import model_of

    columns = [
        SparseFeat("user", data.n_users + 1, 16),
        SparseFeat("item", data.n_items + 1, 16),
        VarLenSparseFeat(
            SparseFeat("hist_item", data.n_items + 1, 16, embedding_name="item"), data.historical_item_ids.shape[1], length_name="length"
        ),
    ]
    din = DIN(columns, ["item"], dnn_hidden_units=(128, 64, 32), att_hidden_size=(80, 40), att_activation="Dice", l2_reg_embedding=0)
    inputs = np.column_stack([data.user_id, data.candidate_item_id, data.historical_item_ids, data.history_length])
    optimizer = torch.optim.Adam(din.parameters(), lr=1e-3, fused=True)
    return model_of(deepctr_torch.__version__, data, inputs, din, din, optimizer)


if __name__ == "__main__":
    serve(build)
