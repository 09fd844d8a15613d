"""The CMake lists of a module name every file once, sorted, and only files that exist."""

from __future__ import annotations

import re

import pytest
from conftest import PROJECT

LISTS = sorted(PROJECT.glob("*/CMakeLists.txt"))


def listed(path, variable):
    text = path.read_text(encoding="utf-8")
    name = re.search(r"set\(MODULE_NAME (\w+)\)", text)[1]
    return re.search(rf"set\({variable}\n(.*?)\)", text, re.DOTALL)[1].replace("${MODULE_NAME}", name).split()


def installed(path):
    """Files below a module's folder, without documentation and tests."""
    for file in path.parent.rglob("*"):
        name = file.relative_to(path.parent).as_posix()
        if file.is_file() and not re.search(r"CMakeLists\.txt$|\.md$|^Testing/|__pycache__|\.egg-info/|(^|/)\.", name):
            yield name


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.parent.name)
def test_every_file_is_listed_once(path):
    files = sorted(installed(path))
    assert listed(path, "MODULE_PYTHON_SCRIPTS") == [name for name in files if name.endswith(".py")]
    assert listed(path, "MODULE_PYTHON_RESOURCES") == [name for name in files if not name.endswith(".py")]
