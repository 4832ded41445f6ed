"""Ops by kind."""

from benchmarks.peers.workers.op_times import _kind


def test_kinds_of_ops():
    names = {"_MklNativeFusedMatMul": "matrix products", "_MklMatMul": "matrix products", "MatMul": "matrix products"}
    names |= {"Mul": "elementwise", "UnsortedSegmentSum": "sums", "ResourceGather": "lookups and copies", "NoOp": "other"}
    assert {name: _kind(name) for name in names} == names
