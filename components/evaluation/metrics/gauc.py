"""Computes GAUC: how well a model ranks the impressions of each user (DIN paper, section 6.2)."""

from typing import NamedTuple

import numpy as np


class UserAUCs(NamedTuple):
    """One entry for each of U users, sorted by user id.

    Attributes:
        row: (U,), the number of one of the user's rows.
        size: (U,), the number of the user's impressions.
        auc: (U,), NaN if the user's impressions are all clicked or all not clicked.
    """

    row: np.ndarray
    size: np.ndarray
    auc: np.ndarray


def user_aucs(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> UserAUCs:
    """The AUC of each user's impressions. Equal scores share their mean rank.

    Args:
        user: (N,), user ids: int64, bytes or text.
        score: (N,).
        label: (N,), 0 or 1.
    """
    _, user = np.unique(user, return_inverse=True)
    order = np.lexsort((score, user))
    user, score, label = user[order], score[order], label[order]
    begins = np.append(True, user[1:] != user[:-1])  # where a user begins
    steps = begins | np.append(True, score[1:] != score[:-1])  # where a run of equal scores begins
    start, run = np.flatnonzero(begins), np.flatnonzero(steps)
    size, length = np.diff(start, append=len(user)), np.diff(run, append=len(user))
    rank = np.repeat(run + (length + 1) / 2, length) - np.repeat(start, size)  # (N,) among the user's impressions, from 1
    positives, ranks = np.add.reduceat(label, start), np.add.reduceat(rank * label, start)
    pairs = positives * (size - positives)
    auc = np.full(len(start), np.nan)
    np.divide(ranks - positives * (positives + 1) / 2, pairs, out=auc, where=pairs > 0)
    return UserAUCs(order[start], size, auc)


def gauc(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> float | None:
    """The mean of the users' AUCs, weighted by their impressions (equation 10). Users with one class are left out.

    Args:
        user: (N,), user ids: int64, bytes or text.
        score: (N,).
        label: (N,), 0 or 1.

    Returns:
        None if no user has both classes. With one user it is the plain AUC.
    """
    _, size, auc = user_aucs(user, score, label)
    both = ~np.isnan(auc)
    return float(np.average(auc[both], weights=size[both])) if both.any() else None
