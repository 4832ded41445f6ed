"""The arguments of nodes for Apache Beam. They are the same on every engine, because TFX's cache keys contain them."""

from typing import TYPE_CHECKING, Any

from components.base.fingerprint import source_fingerprint

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_component import BaseComponent


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


def add_fingerprint(node: "BaseComponent", *sources: Any) -> None:
    """Adds the fingerprint of a node's code to its cache key, for a node that has no other argument for it.

    TFX hashes the further flags of executors, and hands them to no library.
    """
    node.executor_spec.add_extra_flags([f"--source_fingerprint={source_fingerprint(*sources)}"])
