"""The page of users' stories and the tests that run them name each other, and no story is without a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from conftest import PROJECT

STORIES = [f"U{number}" for number in range(1, 37)]
PAGE = PROJECT / "Resources" / "Docs" / "stories.md"
TESTS = Path(__file__).parent


def marked_stories(test: ast.FunctionDef) -> list[str]:
    """Stories of the marks above one test; their numbers are written out there, so that they can be searched for."""
    return [
        ast.literal_eval(argument)
        for mark in test.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.story"
        for argument in mark.args
    ]


def marked_tests() -> dict[str, set[str]]:
    """What pytest collects (``test_*.py::test_*``) of each story."""
    found: dict[str, set[str]] = {}
    for file in sorted(TESTS.glob("test_*.py")):
        for one in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(one, ast.FunctionDef):
                stories = marked_stories(one)
                assert one.name.startswith("test_") or not stories, f"{one.name} is no test"
                for story in stories:
                    found.setdefault(story, set()).add(f"{file.name}::{one.name}")
    return found


def stories_of_page() -> dict[str, str]:
    """Text of each story's section."""
    parts = re.split(r"^### (U\d+) .*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_story_is_on_the_page_once_and_in_order():
    headings = re.findall(r"^### (U\d+) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == STORIES


def test_every_story_has_a_test_of_its_own():
    assert sorted(marked_tests(), key=lambda story: int(story[1:])) == STORIES


def test_the_page_and_the_marks_name_the_same_tests():
    on_page = {
        story: set(re.findall(r"`(test_\w+\.py::test_\w+)`", section)) for story, section in stories_of_page().items()
    }
    assert on_page == marked_tests()


def test_every_story_says_how_it_runs_and_how_it_ends():
    for story, section in stories_of_page().items():
        labels = re.findall(r"^\*\*(\w+)\.\*\* \S", section, re.MULTILINE)
        assert labels == ["Case", "Run", "Outcome", "Tests"], story
