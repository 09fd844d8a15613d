"""The CMake list of the library names every file once, and only files that exist."""

from __future__ import annotations

import re

import pytest
from conftest import PROJECT

MODULE = PROJECT / "MultimodalRegistration"


def listed(variable):
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(rf"set\({variable}\n(.*?)\)", text, re.DOTALL)[1].split()


@pytest.mark.parametrize(
    ("variable", "suffixes"),
    [("MODULE_PYTHON_SCRIPTS", (".py",)), ("MODULE_PYTHON_RESOURCES", (".css", ".html", ".js", ".json"))],
)
def test_every_file_is_listed_once(variable, suffixes):
    files = sorted(path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*") if path.suffix in suffixes)
    assert listed(variable) == files
