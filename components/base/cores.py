"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Counts the cores that the process may run on, which may be fewer than the machine has (taskset, containers)."""
    return len(os.sched_getaffinity(0))
