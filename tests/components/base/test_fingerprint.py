"""Fingerprints of a small made-up project. `tests/pipeline/test_dag.py` tests those of the pipeline's nodes."""

import pytest

from components.base import fingerprint
from components.base.fingerprint import file_fingerprint, import_closure, source_fingerprint

FILES = {
    "components/__init__.py": "",
    "components/gate.py": "import os\nimport components.metrics.area as area\n",
    "components/metrics/__init__.py": "",
    "components/metrics/area.py": "from components.metrics import sums\n",
    "components/metrics/sums.py": "",
    "components/typed.py": (
        "import typing\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from components import gate\nelse:\n    from components.metrics.sums import add\n"
        "if typing.TYPE_CHECKING:\n    from components.metrics import area\n"
    ),
    "components/lazy.py": "def load():\n    from components.metrics.sums import add\n\n    return add\n",
    "components/child.py": '"""See components.gate for more."""\nCOMMAND = ["python", "-m", "din_trainer.loader"]\n',
    "din_trainer/__init__.py": "",
    "din_trainer/loader.py": "def run_fn():\n    pass\n",
    "components/relative.py": "from . import gate\n",
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    for name, source in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)
    return tmp_path


def modules(*names):
    """The closure without the packages."""
    return [name for name in import_closure(*names) if name not in ("components", "components.metrics", "din_trainer")]


def test_imports_are_followed_through_other_modules():
    assert import_closure("components.gate") == [
        "components", "components.gate", "components.metrics", "components.metrics.area", "components.metrics.sums"
    ]  # fmt: skip


def test_imports_inside_functions_count():
    assert modules("components.lazy") == ["components.lazy", "components.metrics.sums"]


def test_imports_for_the_type_checker_do_not_count_and_the_others_beside_them_do():
    assert modules("components.typed") == ["components.metrics.sums", "components.typed"]


def test_a_module_that_is_named_by_a_string_counts_and_one_in_a_sentence_does_not():
    assert modules("components.child") == ["components.child", "din_trainer.loader"]


def test_an_entry_may_be_a_function_or_a_package():
    assert import_closure("din_trainer.loader.run_fn") == ["din_trainer", "din_trainer.loader"]
    assert import_closure("din_trainer") == ["din_trainer"]


@pytest.mark.parametrize("name", ["din_trainers.loader", "tensorflow", ""])
def test_a_name_of_no_module_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' names no module of this project"):
        import_closure(name)


def test_a_relative_import_is_refused():
    with pytest.raises(ValueError, match=r"components\.relative: the relative import in line 1 cannot be followed"):
        import_closure("components.relative")


def test_modules_that_import_each_other_are_followed_once(project):
    (project / "components/metrics/sums.py").write_text("from components import gate\n")
    assert modules("components.gate") == ["components.gate", "components.metrics.area", "components.metrics.sums"]


def test_an_edit_of_what_is_reached_changes_the_fingerprint(project):
    before = source_fingerprint("components.gate"), source_fingerprint("components.child")
    (project / "components/metrics/sums.py").write_text("# edited\n")
    after = source_fingerprint("components.gate"), source_fingerprint("components.child")
    assert before[0] != after[0] and before[1] == after[1]


def test_an_edited_import_is_followed_at_once(project):
    assert modules("components.metrics.area") == ["components.metrics.area", "components.metrics.sums"]
    (project / "components/metrics/area.py").write_text("import components.lazy\n")
    assert "components.lazy" in modules("components.metrics.area")


def test_an_upgraded_library_changes_the_fingerprint(monkeypatch):
    before = source_fingerprint("components.gate")
    monkeypatch.setattr(fingerprint, "version", lambda library: "9.9" if library == "keras" else "1.0")
    upgraded = source_fingerprint("components.gate")
    monkeypatch.setattr(fingerprint, "version", lambda library: "1.0")
    assert len({before, upgraded, source_fingerprint("components.gate")}) == 3


def test_a_component_stands_for_its_module():
    class Gate:
        __module__ = "components.gate"

    assert source_fingerprint(Gate) == source_fingerprint("components.gate") != source_fingerprint("components.child")


def test_a_file_s_fingerprint_is_of_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_fingerprint(str(tmp_path / "a")) == "ba7816bf8f01cfea"  # the SHA-256 of "abc" in FIPS 180-2, appendix B.1
