"""Work on the parts of a data set, one part after another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from components.base.errors import InputError, causes
from pipeline.runners.beam_options import local_options

T = TypeVar("T")


def map_parts(work: Callable[[T], dict[str, Any]], parts: list[T], folder: Path) -> list[dict[str, Any]]:
    """What `work` returns for each part, in no particular order.

    Args:
        work: Picklable, as are the parts; it returns what JSON can hold.
        parts: What to work on.
        folder: Where results are put down; it must not exist.

    Raises:
        InputError, OSError, KeyboardInterrupt: What `work` raises; Beam would wrap it.
    """
    try:
        with beam.Pipeline(options=PipelineOptions(local_options())) as pipeline:
            (
                pipeline
                | beam.Create(parts, reshuffle=len(parts) > 1)
                | beam.Map(lambda part: json.dumps(work(part)))
                | beam.io.WriteToText(str(folder / "result"))
            )
    except Exception as error:
        original = [cause for cause in causes(error) if isinstance(cause, InputError | OSError | KeyboardInterrupt)]
        if original:
            raise original[-1] from None
        raise
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]
