"""What README, CONTRIBUTING and docs/ name exists: files, modules, links and headings."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import NAMES, PAGES, headings

_FOLDERS = "pipeline|components|din_trainer|benchmarks|tests|deploy|docs"
_PATH = re.compile(rf"(?<![\w/.\-])(?:{_FOLDERS})/[\w./*\-]*")
_DOTTED = re.compile(r"(?<![\w/.])(?:pipeline|components|din_trainer|benchmarks)(?:\.[A-Za-z_]\w*)+")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_PLACEHOLDER = re.compile(r"\b(?:NAME|test_NAME)\b")


def named_paths(page: Path) -> set[str]:
    found = {path.rstrip(".") for path in _PATH.findall(page.read_text())}
    return {path for path in found if not _PLACEHOLDER.search(path)}


def names_of(module: Path) -> set[str]:
    """The names that a module defines."""
    names: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def is_defined(dotted: str) -> bool:
    """Whether a dotted name is a package, a module, or a name that a module defines."""
    place, parts = ROOT, dotted.split(".")
    for index, part in enumerate(parts):
        place /= part
        module = place.with_suffix(".py")
        if module.is_file():
            rest = parts[index + 1 :]
            return not rest or rest[0] in names_of(module)
        if not place.is_dir():
            return place.parent.is_dir() and index == len(parts) - 1 and part in names_of(place.parent / "__init__.py")
    return True


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_path_exists(page):
    assert [path for path in named_paths(page) if not any(ROOT.glob(path))] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_dotted_name_exists(page):
    names = [name for name in _DOTTED.findall(page.read_text()) if not name.endswith(".md")]
    assert [name for name in names if not is_defined(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    for target, anchor in _LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert not anchor or anchor in headings(file), f"{target}#{anchor}"


def test_a_name_that_does_not_exist_is_noticed():
    assert is_defined("components.verdict.Verdict") and is_defined("pipeline.dag")
    assert not is_defined("components.verdict.Judge") and not is_defined("pipeline.serving.client")


def test_every_folder_of_the_packages_is_explained():
    text = (ROOT / "docs" / "architecture.md").read_text()
    folders = [init.parent for package in ("din_trainer", "components", "pipeline") for init in (ROOT / package).glob("*/__init__.py")]
    assert len(folders) > 15
    assert [folder.name for folder in folders if f"| `{folder.relative_to(ROOT)}/" not in text] == []
