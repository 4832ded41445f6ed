"""Beam options of each engine."""


def local_options() -> list[str]:
    """In memory, in this process. Named outright, because Beam's default runner first tries to download Prism."""
    return ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--direct_num_workers=1"]
