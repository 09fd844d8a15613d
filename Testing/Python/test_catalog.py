"""The entry for Slicer's extension catalogue keeps the rules of its schema and of the catalogue's own checks."""

from __future__ import annotations

import json
import re
from urllib.parse import urlparse

import pytest
from conftest import PROJECT

ENTRY = PROJECT / "Resources" / "MultimodalRegistration.json"
# From slicer-extension-catalog-entry-schema-v1.0.1.json.
REQUIRED = {"$schema", "category", "scm_url"}
TYPES = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
RAW = "https://raw.githubusercontent.com/MultimodalRegistration/SlicerMultimodalRegistration/main/"
SIGNATURES = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".gif": b"GIF8"}


@pytest.fixture(scope="module")
def entry():
    return json.loads(ENTRY.read_text(encoding="utf-8"))


def metadata(name):
    """A quoted EXTENSION_ variable of the top CMakeLists.txt."""
    text = (PROJECT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(rf'^set\(EXTENSION_{name} "([^"]+)"\)', text, re.MULTILINE)[1]


def test_the_entry_keeps_the_schema(entry):
    assert set(entry) >= REQUIRED
    assert set(entry) <= set(TYPES)
    assert all(isinstance(value, TYPES[key]) for key, value in entry.items())
    assert entry["$schema"].endswith("/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert 1 <= entry["tier"] <= 5
    assert all(isinstance(name, str) for name in entry["build_dependencies"])


def test_the_entry_passes_the_checks_of_the_catalogue(entry):
    assert b"\r" not in ENTRY.read_bytes()
    assert not ENTRY.stem.lower().startswith("slicer")
    assert entry["category"] == "Registration"
    url = urlparse(entry["scm_url"])
    assert url.scheme in ("git", "https")
    assert re.match(r"Slicer[-_]?|SlicerExtension-", url.path.rsplit("/", 1)[1])
    project = re.search(r"^project\((\w+)\)", (PROJECT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert project[1] == ENTRY.stem
    assert (PROJECT / "LICENSE").is_file()


def test_homepage_and_repository_are_the_same(entry):
    assert entry["scm_url"] == metadata("HOMEPAGE") + ".git"


@pytest.mark.parametrize("name", ["ICONURL", "SCREENSHOTURLS"])
def test_pictures_are_in_the_repository(name):
    for url in metadata(name).split():
        assert url.startswith(RAW)
        picture = PROJECT / url.removeprefix(RAW)
        assert picture.read_bytes().startswith(SIGNATURES[picture.suffix])


def test_every_module_has_a_picture_in_the_catalogue():
    shown = metadata("SCREENSHOTURLS")
    for start in ("registration", "qa", "preprocess", "FiducialPrealign"):
        assert f"{RAW}Testing/Screenshots/{start}-" in shown


def test_the_icon_is_128_by_128():
    header = (PROJECT / "MultimodalRegistration.png").read_bytes()[:24]
    assert (int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")) == (128, 128)
