"""What the MLP of DIN reads of a history beside its interest: the plain sum or mean of the events, and its products with the candidate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from din_trainer.layers.events import mean_by_row, rows_of, sum_by_row


def interactions_of(kind: str, query: Any, events: Any, rows: Any, interest: Any, sizes: Sequence[int]) -> list[Any]:
    """Returns the further inputs of the MLP for one behaviour sequence.

    With s = Σ_j e_j, the sum of the events (equation 1 of the paper), m = s / max(events, 1), their mean, v_A, the candidate, and v_U, the
    interest of equation 3:

    | kind          | inputs                                  |
    |---------------|-----------------------------------------|
    | `sum`         | s                                       |
    | `inner`       | s, ⟨v_A, s⟩ and ⟨v_A, v_U⟩              |
    | `mean_inner`  | m, ⟨v_A, m⟩ and ⟨v_A, v_U⟩              |
    | `elementwise` | s and v_A ⊙ s, as in the authors' later code |

    The sum grows with the history. Where histories get longer after training, as with each user's last impressions, the MLP then reads what
    it has never seen. The mean does not grow. The strength of an interest is in v_U, whose weights see the candidate.

    Products never come without the sum or the mean. The weights of the attention start near 0, and so does v_U: a product with v_U alone
    would have next to no gradient at first. Inner products are by behaviour, ⟨item, items of the history⟩ and ⟨category, categories of the
    history⟩: one number for both would hide which of them fits, and the MLP can add them up where it does not matter. Elementwise products
    are by behaviour anyway. Sum and mean are of all that the attention sums up: of the further fields of the events as well, which no
    product has.

    Args:
        kind: One of those above. A model with `none`, as in figure 2 of the paper, has no use for this function.
        query: The candidates, (B, D); or (B, N, D), N candidates for each history.
        events: The events of all histories with their further fields, (E, D + X).
        rows: The impression that each event belongs to, (E,) int, ascending.
        interest: What the attention makes of the events, (B, D + X) or (B, N, D + X).
        sizes: The size of each behaviour's embedding. They stand side by side in D.

    Returns:
        The sum or the mean, (B, D + X), then the products: (B, D), or (B, behaviours) each; with N candidates (B, N, …).

    References:
        The authors' later code, `Model_DIN` in script/model.py of github.com/mouna99/dien: its MLP reads the candidate, the sum of the
        history, their product and the attention's output. Inner products: Qu et al., 2016, arXiv 1611.00144.
    """
    pool = mean_by_row if kind == "mean_inner" else sum_by_row
    pooled = pool(events, rows, rows_of(query))  # (B, D + X)
    if kind == "sum":
        return [pooled]
    size = sum(sizes)
    keys = pooled[:, :size] if len(query.shape) == 2 else pooled[:, None, :size]  # (B, D) or (B, 1, D)
    products = [query * keys]
    if kind in ("inner", "mean_inner"):
        of_behaviour = np.repeat(np.eye(len(sizes), dtype=np.float32), sizes, axis=0)  # (D, behaviours): 1 where a number belongs to it
        products = [ops.matmul(x, of_behaviour) for x in (*products, query * interest[..., :size])]
    return [pooled, *products]
