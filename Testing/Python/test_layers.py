"""Imports point downward only: each file imports with everything above its layer blocked."""

from __future__ import annotations

import ast
import subprocess
import sys

import MultimodalRegistrationLib
import pytest
from conftest import PROJECT
from library_packages import FILES, LIBRARY, PACKAGE_PARENT, imported_modules, listed_packages, module_name

PACKAGES = list(listed_packages(MultimodalRegistrationLib.__doc__ or ""))
LAYER_OF_FOLDER = {"mrml": 2, "application": 3, "panels": 4}
ABOVE = {1: ["slicer", "vtk", "vtkmodules", "qt", "ctk"], 2: ["qt", "ctk"], 3: ["qt", "ctk"]}
NEEDED_PACKAGES = {*sys.stdlib_module_names, "numpy", "scipy", "SimpleITK"}


def top_imports(path) -> set[str]:
    """The packages that a file imports, without those of the library."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in names}


# Only an engine's own file may import its package.
PACKAGE_OF_FILE = {
    path.stem: package
    for path in sorted((LIBRARY / "engines").glob("run_*.py"))
    for package in top_imports(path) - NEEDED_PACKAGES
}
ENGINE_PACKAGES = sorted(set(PACKAGE_OF_FILE.values()))

# Each module is imported as if it were the first of the library; only the packages it stands on stay loaded.
IMPORT_EACH = """
import importlib, sys, traceback
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
failed = 0
for module in {modules!r}:
    for name in [name for name in sys.modules if name.split(".")[0] == "MultimodalRegistrationLib"]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except BaseException:
        failed += 1
        print(module, traceback.format_exc(), sep=chr(10))
sys.exit(failed > 0)
"""


def layer(file) -> int:
    return LAYER_OF_FOLDER.get(file.parts[1], 1)


@pytest.mark.parametrize(
    ("number", "package"), [*((number, None) for number in ABOVE), *((1, package) for package in ENGINE_PACKAGES)]
)
def test_imports_with_the_layers_above_blocked(number, package):
    # __main__ runs when it is imported. Panels need Qt as Slicer gives it.
    files = [file for file in FILES if layer(file) == number and file.stem != "__main__"]
    modules = [module_name(file) for file in files if PACKAGE_OF_FILE.get(file.stem) == package]
    assert modules
    blocked = ABOVE[number] + [other for other in ENGINE_PACKAGES if other != package]
    script = IMPORT_EACH.format(blocked=blocked, modules=modules)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PACKAGE_PARENT)
    assert done.returncode == 0, done.stdout + done.stderr


def place(module: str) -> int:
    """Where a module is in the order of the packages; what belongs to none starts the program, above all."""
    name = module.split(".")[1] if "." in module else ""
    return PACKAGES.index(name) if name in PACKAGES else len(PACKAGES)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_packages_import_from_those_before_them(file):
    for module in imported_modules(file):
        if module != "MultimodalRegistrationLib.__version__":
            assert place(module) <= place(module_name(file)), f"{file} imports {module}"


def test_every_package_is_in_the_list_and_says_what_it_is_for():
    folders = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert folders == set(PACKAGES)
    for page in (PROJECT / "README.md", PROJECT / "Resources" / "Docs" / "architecture.md"):
        assert listed_packages(page.read_text(encoding="utf-8")) == listed_packages(MultimodalRegistrationLib.__doc__)
    for name, words in listed_packages(MultimodalRegistrationLib.__doc__).items():
        docstring = ast.get_docstring(ast.parse((LIBRARY / name / "__init__.py").read_text(encoding="utf-8")))
        assert (docstring or "").lower() == words.lower(), name


@pytest.mark.parametrize("file", [file for file in FILES if layer(file) < 3], ids=str)
def test_only_the_layers_of_the_application_use_it(file):
    for node in ast.walk(ast.parse((PACKAGE_PARENT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in ("app", "modules", "mrmlScene"):
            assert ast.unparse(node.value) != "slicer", f"{file} uses {ast.unparse(node)}"


def test_the_supervisor_needs_the_standard_library_only():
    assert top_imports(LIBRARY / "engines" / "supervisor.py") <= set(sys.stdlib_module_names)
