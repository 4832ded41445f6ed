"""What a piece of work costs this process: CPU seconds with those of its children, and the peak of memory."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Costs = dict[str, dict[str, float]]


def cpu_seconds() -> float:
    """The CPU time of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def reset_peak() -> None:
    """Makes Linux forget the peak of this process' memory."""
    Path("/proc/self/clear_refs").write_text("5")


def _status_mb(field: str) -> float:
    """A field of this process' status in Linux, in units of 10⁶ bytes."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0]) * 1024 / 1e6


def memory_mb() -> float:
    """The memory that this process takes now, in units of 10⁶ bytes."""
    return _status_mb("VmRSS")


def peak_mb() -> float:
    """The peak of this process' memory since it was reset, in units of 10⁶ bytes."""
    return _status_mb("VmHWM")


@contextmanager
def measured(costs: Costs, name: str) -> Iterator[None]:
    """Adds `cpu` and `peak_mb` of what happens meanwhile to `costs`, under a name."""
    reset_peak()
    begin = cpu_seconds()
    yield
    costs[name] = {"cpu": cpu_seconds() - begin, "peak_mb": peak_mb()}
