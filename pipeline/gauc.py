"""GAUC: how well a model ranks within each user's impressions (DIN paper, section 6.2)."""

import numpy as np


def gauc(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> float | None:
    """The users' AUCs, averaged by their impressions (equation 10). Equal scores share their mean rank.

    Args:
        user: (N,), ids of any kind: int64, bytes or text. With one user it is the plain AUC.
        score: (N,).
        label: (N,), 0 or 1.

    Returns:
        None where no user has both classes; the others are left out.
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
    both = (positives > 0) & (positives < size)
    if not both.any():
        return None
    size, positives, ranks = size[both], positives[both], ranks[both]
    auc = (ranks - positives * (positives + 1) / 2) / (positives * (size - positives))
    return float(np.average(auc, weights=size))
