"""Beam options of each engine."""


def local_options() -> list[str]:
    """In memory, in this process.

    The runner is named outright, because Beam's default one first tries to download Prism. The container image is never used here; naming
    one keeps TFX from packing its own sources into an sdist for each Beam component, which takes seconds every time.
    """
    return [
        "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
        "--direct_num_workers=1",
        "--sdk_container_image=unused",
    ]
