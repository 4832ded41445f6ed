"""Puts the spans of a window together as the splits train, validation and eval. Whole shards are linked, so that a window costs no space.

The newest span is eval. The spans before it are train, except a share of the last of them, which is validation. Without spans before it
the newest span is split by time.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.components.example_gen.utils import SPAN_PROPERTY_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError
from components.base.examples_format import set_format
from components.base.shards import SPAN_SPLIT
from din_trainer.features import LABEL, TIMESTAMP

SPLITS = ("train", "validation", "eval")
DEALT_KEY = "dealt_"  # custom properties with numbers of impressions: `dealt_train`, …

_TIMES = (0.8, 0.9)  # a span that is split by time: the shares of the impressions before validation/ and before eval/
_ADVICE = "give it splits of its own, or use --window."
_BATCH = 8192  # impressions
_WRITE = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


def in_share(record: bytes, share: float) -> bool:
    """Whether an impression is in a share of all impressions. It depends on its content alone.

    A checksum such as CRC-32 would not do: it is linear, so that its bits can be those of the label.
    """
    return int.from_bytes(hashlib.blake2b(record, digest_size=8).digest()) < share * 2**64


def _batches(file: Path) -> Iterator[np.ndarray]:
    """Yields (N,) serialised impressions."""
    yield from tf.data.TFRecordDataset(str(file), compression_type="GZIP").batch(_BATCH).as_numpy_iterator()


def _values(records: np.ndarray, feature: str) -> np.ndarray:
    """(N,) of an int64 feature; −1 where it is missing."""
    return tf.io.parse_example(records, {feature: tf.io.FixedLenFeature([], tf.int64, -1)})[feature].numpy()


def _span_files(span: standard_artifacts.Examples) -> list[Path]:
    return sorted(Path(artifact_utils.get_split_uri([span], SPAN_SPLIT)).iterdir())


def _number(span: standard_artifacts.Examples) -> int:
    return span.get_int_custom_property(SPAN_PROPERTY_NAME)


def _name(span: standard_artifacts.Examples, file: Path) -> str:
    """The name of a file of a span among those of other spans; names have the order of the spans."""
    return f"span-{_number(span):010d}-{file.name}"


def _link(file: Path, target: Path) -> None:
    """Links a file, which is then independent of the original name. Where there are no hard links, it is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


class _Dealer:
    """Deals out the impressions of the files of a span to several splits.

    Args:
        span: The examples of the span.
        folders: The folder of each split.

    Attributes:
        clicks: (2,) by split: how many impressions without and with a click were dealt to it.
    """

    def __init__(self, span: standard_artifacts.Examples, folders: dict[str, Path]):
        self._span, self._folders = span, folders
        self.clicks = {split: np.zeros(2, np.int64) for split in folders}

    def deal(self, choose: Callable[[np.ndarray], np.ndarray]) -> None:
        """Writes each file of the span as one file for each split; `choose` turns (N,) impressions into (N,) numbers of splits."""
        for file in _span_files(self._span):
            with contextlib.ExitStack() as stack:
                writers: dict[str, tf.io.TFRecordWriter] = {}
                for records in _batches(file):
                    chosen, labels = choose(records), _values(records, LABEL)
                    for number, (split, folder) in enumerate(self._folders.items()):
                        rows = chosen == number
                        self.clicks[split] += np.bincount(labels[rows], minlength=2)
                        if rows.any() and split not in writers:
                            folder.mkdir(parents=True, exist_ok=True)
                            path = folder / _name(self._span, file)
                            writers[split] = stack.enter_context(tf.io.TFRecordWriter(str(path), _WRITE))
                        for record in records[rows]:
                            writers[split].write(record)


def _deal_last(span: standard_artifacts.Examples, folders: dict[str, Path], share: float) -> dict[str, np.ndarray]:
    """Deals out a span to train and validation. Returns the dealt impressions as `_Dealer.clicks`."""
    dealer = _Dealer(span, folders)
    dealer.deal(lambda records: np.array([in_share(record, share) for record in records], int))
    return dealer.clicks


def _deal_by_time(span: standard_artifacts.Examples, folders: dict[str, Path], name: str) -> dict[str, np.ndarray]:
    """Deals out a span to three splits by time: impressions of the same second come into the same split. Returns `_Dealer.clicks`."""
    times = np.concatenate([_values(records, TIMESTAMP) for file in _span_files(span) for records in _batches(file)])
    if times.min() < 0:
        raise DataError(f"{name} has impressions without a timestamp, so that it cannot be split by time: {_ADVICE}")
    begins = np.sort(times)[[int(share * len(times)) for share in _TIMES]]
    dealer = _Dealer(span, folders)
    dealer.deal(lambda records: np.searchsorted(begins, _values(records, TIMESTAMP), side="right"))
    return dealer.clicks


def _check_classes(clicks: np.ndarray, what: str, advice: str) -> None:
    if not clicks.all():
        counted = f"{clicks[0]:,} impressions without and {clicks[1]:,} with a click"
        raise DataError(f"{what} has {counted}, but both classes are needed: {advice}")


@component
def Window(
    spans: InputArtifact[list[standard_artifacts.Examples]],
    examples: OutputArtifact[standard_artifacts.Examples],
    names: Parameter[str],
    validation_share: Parameter[float],
    source_fingerprint: Parameter[str],
) -> None:
    """Makes one Examples artifact of those of several spans.

    Args:
        spans: The examples of each span, with one split.
        examples: Receives the splits train, validation and eval. Its custom properties `dealt_train`, … count the impressions that were
            dealt out one by one; all others are in files that were linked.
        names: JSON list: the names of the spans, oldest first, for messages.
        validation_share: The share of the last span before the newest that is validation.
        source_fingerprint: Changes with this code, so that TFX does not reuse old results.

    Raises:
        DataError: A split has no impressions, or only one class of labels, or a time is missing.
    """
    del source_fingerprint
    if len({_number(span) for span in spans}) < len(spans):
        raise ValueError(f"the examples of {json.loads(names)} do not say which span each of them is")
    *before, newest = sorted(spans, key=_number)
    folders = {split: Path(examples.uri) / f"Split-{split}" for split in SPLITS}
    name = json.loads(names)[-2 if before else -1]
    if before:
        for split, linked in (("train", before[:-1]), ("eval", [newest])):
            for span in linked:
                for file in _span_files(span):
                    _link(file, folders[split] / _name(span, file))
        dealt = _deal_last(before[-1], {split: folders[split] for split in ("train", "validation")}, validation_share)
        what, advice = f"{name}, of which a share is validation,", "raise or lower spans.validation_share."
    else:
        dealt = _deal_by_time(newest, folders, name)
        what, advice = f"{name}, which is split by time,", _ADVICE
    for split, clicks in dealt.items():
        if split != "train" or len(before) < 2:  # otherwise train has other spans, too
            _check_classes(clicks, f"The part {split} of {what}", advice)
        examples.set_int_custom_property(f"{DEALT_KEY}{split}", int(clicks.sum()))
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    set_format(examples)
