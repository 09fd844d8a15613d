"""Read the names that Slicer has for Python out of its sources, into a data file that the tests use.

    cd Testing
    python -m SlicerNames.read_names SLICER --branch 5.10 --ctk CTK --vtkaddon VTKADDON \
        --output SlicerNames/names-5.10.json

SLICER, CTK and VTKADDON are clones of the three repositories (bare ones will do). CTK and vtkAddon are read at the
revision that this Slicer builds, or at their newest where the clone is older; the data file says which was read.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from SlicerNames.headers import CppClass, decorators, read_classes

SLICER_HEADERS = re.compile(
    r"(Libs/MRML/(Core|Logic|Widgets|DisplayableManager)|Libs/vtkSegmentationCore|Libs/vtkITK"
    r"|Base/(Logic|QTCore|QTGUI|QTCLI|QTApp)|Modules/(Core|Loadable))/.*\.h$"
)
CTK_HEADERS = re.compile(
    r"Libs/(Core|Widgets|Visualization/VTK/(Core|Widgets)|Scripting/Python/(Core|Widgets))/\w+\.h$"
)
NOT_PUBLIC = re.compile(r"Testing/|/Templates/|DesignerPlugins|/Plugins/|_p\.h$|Resources/")


class Repository:
    """A clone at one revision."""

    def __init__(self, folder: Path, revision: str) -> None:
        self.folder = folder
        if not self.has(revision):
            print(f"{folder} does not have {revision}: its newest commit is read instead")
            revision = "HEAD"
        self.revision = self._git("rev-parse", f"{revision}^{{commit}}").strip()

    def has(self, revision: str) -> bool:
        command = ["git", "-C", str(self.folder), "cat-file", "-e", f"{revision}^{{commit}}"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout

    def paths(self) -> list[str]:
        return self._git("ls-tree", "-r", "--name-only", self.revision).splitlines()

    def read(self, path: str) -> str:
        command = ["git", "-C", str(self.folder), "show", f"{self.revision}:{path}"]
        return subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8", errors="replace")


def revision_built(slicer: Repository, path: str, variable: str) -> str:
    """Commit of another repository that this Slicer builds."""
    match = re.search(rf"{variable}.{{0,200}}?\b([0-9a-f]{{40}})\b", slicer.read(path), re.DOTALL)
    if match is None:
        raise ValueError(f"{path} names no commit after {variable}")
    return match[1]


def slicer_version(slicer: Repository) -> str:
    text = slicer.read("CMakeLists.txt")
    parts = [re.search(rf'set\(Slicer_VERSION_{part} "(\d+)"\)', text) for part in ("MAJOR", "MINOR", "PATCH")]
    return ".".join(part[1] for part in parts if part)


def cpp_classes(repository: Repository, pattern: re.Pattern[str]) -> Iterable[CppClass]:
    for path in repository.paths():
        if pattern.match(path) and not NOT_PUBLIC.search(path):
            text = repository.read(path)
            yield from decorators(text) if "Decorators" in path else read_classes(text)


def python_names(source: str) -> list[str]:
    """Public names at the top of a Python file, in conditions and ``try`` too."""
    names: set[str] = set()
    waiting: list[ast.stmt] = list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return sorted(name for name in names if not name.startswith("_") and name not in ("annotations", "TYPE_CHECKING"))


def python_modules(slicer: Repository) -> dict[str, str]:
    """Names by module: those of Slicer's own packages, and of its scripted modules that others may import."""
    modules: dict[str, str] = {}
    for path in slicer.paths():
        if "/tests/" in path or not path.endswith(".py"):
            continue
        if path.startswith("Base/Python/"):
            name = path.removeprefix("Base/Python/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        elif scripted := re.fullmatch(r"Modules/Scripted/(\w+)/\1\.py", path):
            name = scripted[1]
        else:
            continue
        names = python_names(slicer.read(path))
        for package in re.findall(r"^from \.(\w+) import \*", slicer.read(path), re.MULTILINE):
            names += python_names(slicer.read(path.replace("__init__", package)))
        modules[name] = " ".join(sorted(set(names)))
    return modules


def module_names(slicer: Repository) -> str:
    """Modules that come with Slicer, as their attribute of ``slicer.modules`` says it."""
    names = set()
    for path in slicer.paths():
        if re.fullmatch(r"Modules/(CLI|Loadable|Scripted)/\w+/CMakeLists\.txt", path) and (
            match := re.search(r"set\(MODULE_NAME\s+\"?(\w+)", slicer.read(path))
        ):
            names.add(match[1].lower())
    remote = re.findall(r"Slicer_Remote_Add\((\w+)", slicer.read("SuperBuild.cmake"))
    return " ".join(sorted(names | {name.lower() for name in remote}))


def merged(classes: Iterable[CppClass]) -> dict[str, CppClass]:
    """Classes by name; what decorators add joins the class itself."""
    found: dict[str, CppClass] = {}
    for each in classes:
        known = found.setdefault(each.name, CppClass(each.name, []))
        known.bases = known.bases or each.bases
        for kind in ("methods", "properties", "signals", "values"):
            getattr(known, kind).update(getattr(each, kind))
        known.returns.update(each.returns)
    return found


def as_data(found: CppClass, known: set[str]) -> dict[str, str]:
    """One class with what is there; of the returned classes those that are known."""
    returns = {f"{method}:{name}" for method, name in found.returns.items() if name in known}
    data = {
        "bases": " ".join(found.bases),
        "methods": " ".join(sorted(found.methods)),
        "properties": " ".join(sorted(found.properties)),
        "signals": "; ".join(sorted(found.signals)),
        "values": " ".join(sorted(found.values)),
        "returns": " ".join(sorted(returns)),
    }
    return {kind: names for kind, names in data.items() if names}


def write(path: Path, data: dict[str, Any]) -> None:
    """JSON with one class or module a line, so that two versions can be compared."""
    lines = []
    for key, value in data.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"{json.dumps(name)}: {json.dumps(value[name])}" for name in sorted(value))
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slicer", type=Path)
    parser.add_argument("--branch", required=True)
    parser.add_argument("--ctk", type=Path, required=True)
    parser.add_argument("--vtkaddon", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    slicer = Repository(given.slicer, given.branch)
    ctk = Repository(given.ctk, revision_built(slicer, "SuperBuild/External_CTK.cmake", "_GIT_TAG"))
    vtkaddon = Repository(given.vtkaddon, revision_built(slicer, "SuperBuild.cmake", r"Slicer_Remote_Add\(vtkAddon"))
    classes = merged(
        [
            *cpp_classes(slicer, SLICER_HEADERS),
            *cpp_classes(ctk, CTK_HEADERS),
            *cpp_classes(vtkaddon, re.compile(r"\w+\.h$")),
        ]
    )
    write(
        given.output,
        {
            "version": slicer_version(slicer),
            "commit": slicer.revision,
            "ctk_commit": ctk.revision,
            "vtkaddon_commit": vtkaddon.revision,
            "modules": module_names(slicer),
            "python": python_modules(slicer),
            "classes": {name: as_data(found, set(classes)) for name, found in classes.items()},
        },
    )


if __name__ == "__main__":
    main()
