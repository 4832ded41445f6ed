"""The options of Apache Beam for each engine that runs the pipeline."""

from typing import Any

from components.base.fingerprint import source_fingerprint


def local_options() -> list[str]:
    """Returns the options for running in this process, in memory.

    The runner is named, because Beam's default runner first tries to download Prism. The container image is never used; without a name for
    one, TFX packs its own sources into an sdist for each Beam component, which takes seconds every time. Beam's check of types is off: it
    takes time for each node and never depends on the data.
    """
    return [
        "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
        "--direct_num_workers=1",
        "--sdk_container_image=unused",
        "--no_pipeline_type_check",
    ]


def fingerprinted_options(*sources: Any) -> list[str]:
    """Returns the options for a node that has no other argument for the fingerprint of its code. They are part of its cache key."""
    return [*local_options(), f"--source_fingerprint={source_fingerprint(*sources)}"]
