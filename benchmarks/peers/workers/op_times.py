"""Measures the share of each kind of op in the time of training steps, with TensorFlow's profiler."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

KINDS = {
    "matrix products": {"MatMul"},
    "elementwise": {
        *("Mul", "Sub", "AddV2", "AddN", "Sigmoid", "SigmoidGrad", "Tanh", "TanhGrad", "Square", "SquaredDifference", "RealDiv"),
        *("Select", "SelectV2", "Neg", "Cast", "Log", "Log1p", "Exp"),
    },
    "sums": {"Sum", "SegmentSum", "UnsortedSegmentSum", "BiasAddGrad", "Mean"},
    "lookups and copies": {
        "GatherV2",
        "GatherNd",
        "ResourceGather",
        "ConcatV2",
        "Slice",
        "Split",
        "Pad",
        "Unique",
        "Where",
        "Reshape",
        "StridedSliceGrad",
    },
    "optimizer": {"ResourceApplyAdam", "ResourceScatterUpdate"},
}


def _kind(op: str) -> str:
    """Returns the kind of an op by its type, such as `_MklNativeFusedMatMul`."""
    for kind, types in KINDS.items():
        if any(op.endswith(type_) if type_ == "MatMul" else op in (type_, f"_Mkl{type_}") for type_ in types):
            return kind
    return "other"


def shares_of_work(work: Callable[[], object]) -> dict[str, float]:
    """Runs `work` under the profiler. Returns the share of each kind of op in the time of all ops of the model's graph."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory(prefix="din-profile-") as folder:
        tf.profiler.experimental.start(folder)
        work()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace.FromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    times: Counter[str] = Counter()
    for plane in space.planes:
        names = {number: event.name for number, event in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            scope, _, op = names[event.metadata_id].partition(":")
            if scope.startswith("while/body"):  # the loop over steps
                times[_kind(op.split("#")[0])] += event.duration_ps
    total = sum(times.values())
    return {kind: time / total for kind, time in times.most_common()}
