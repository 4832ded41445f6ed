"""GAUC: how well a model ranks within each user's impressions (DIN paper, section 6.2)."""

from typing import NamedTuple

import numpy as np


class UserAUCs(NamedTuple):
    """One entry a user, in the order of their ids.

    Attributes:
        row: One of the user's rows, (U,).
        size: Impressions, (U,).
        auc: (U,), NaN where the user's impressions are all clicked or all not.
    """

    row: np.ndarray
    size: np.ndarray
    auc: np.ndarray


def user_aucs(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> UserAUCs:
    """The AUC within each user's impressions. Equal scores share their mean rank.

    Args:
        user: (N,), ids of any kind: int64, bytes or text.
        score: (N,).
        label: (N,), 0 or 1.
    """
    _, user = np.unique(user, return_inverse=True)
    order = np.lexsort((score, user))
    user, score, label = user[order], score[order], label[order]
    begins = np.append(True, user[1:] != user[:-1])  # of a user
    steps = begins | np.append(True, score[1:] != score[:-1])  # of a run of equal scores
    start, run = np.flatnonzero(begins), np.flatnonzero(steps)
    size, length = np.diff(start, append=len(user)), np.diff(run, append=len(user))
    rank = np.repeat(run + (length + 1) / 2, length) - np.repeat(start, size)  # (N,) among the user's, from 1
    positives, ranks = np.add.reduceat(label, start), np.add.reduceat(rank * label, start)
    pairs = positives * (size - positives)
    auc = np.full(len(start), np.nan)
    np.divide(ranks - positives * (positives + 1) / 2, pairs, out=auc, where=pairs > 0)
    return UserAUCs(order[start], size, auc)


def gauc(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> float | None:
    """The users' AUCs, averaged by their impressions (equation 10). With one user it is the plain AUC.

    Args:
        user: As `user_aucs`, and so the others.

    Returns:
        None where no user has both classes; the others are left out.
    """
    _, size, auc = user_aucs(user, score, label)
    both = ~np.isnan(auc)
    return float(np.average(auc[both], weights=size[both])) if both.any() else None
