"""How TensorFlow shares the cores."""

import os


def share_cores() -> None:
    """Gives half of the cores to the work within an op and leaves the others to ops that run beside it. Call it before TensorFlow starts.

    A training step is hundreds of small ops, many of which do not wait for each other: cutting each one up for all cores costs more than it
    brings. A value that the user set (`TF_NUM_INTRAOP_THREADS`) is kept.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max((os.cpu_count() or 1) // 2, 1)))
