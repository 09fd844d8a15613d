"""The packages of the library, in their order, as its own docstring lists them; and what its files import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from conftest import PROJECT

PACKAGE_PARENT = PROJECT / "MultimodalRegistration"
LIBRARY = PACKAGE_PARENT / "MultimodalRegistrationLib"
FILES = sorted(path.relative_to(PACKAGE_PARENT) for path in LIBRARY.rglob("*.py"))


def listed_packages(text: str) -> dict[str, str]:
    """What each package is for, by its name: lines such as ``1. `core`: what it is for``."""
    return {name: words.strip() for name, words in re.findall(r"^\d+\. `+(\w+)`+: (.+(?:\n {3,}\S.*)*)", text, re.M)}


def module_name(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def imported_modules(file: Path) -> Iterator[str]:
    """Absolute names of what a file imports from the library, relative to ``PACKAGE_PARENT``."""
    package = module_name(file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse((PACKAGE_PARENT / file).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        if module.split(".")[0] == LIBRARY.name:
            yield from (f"{module}.{alias.name}" for alias in node.names)
