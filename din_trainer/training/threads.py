"""Sets how many cores TensorFlow uses within one operation."""

import os


def share_cores() -> None:
    """Lets one operation use half of the cores, so that the others can run other operations. Call it before TensorFlow is imported.

    A training step has hundreds of small operations, and many of them do not depend on each other. To split each one over all cores costs
    more than it gains. A value that the user has set (`TF_NUM_INTRAOP_THREADS`) is kept.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max((os.cpu_count() or 1) // 2, 1)))
