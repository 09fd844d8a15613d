"""The extension is configured by CMake against a stand-in for Slicer that checks every list of files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig

import pytest
from conftest import PROJECT

FOLDERS = ("FiducialPrealign", "RegistrationPreprocess", "MultimodalRegistration", "RegistrationQA")
# The package's programs lie beside this Python, which need not be on the search path.
PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
CMAKE, CTEST = (shutil.which(name, path=PATH) for name in ("cmake", "ctest"))
# Nothing is compiled, so no compiler is looked for.
NO_COMPILER = [
    f"-DCMAKE_{language}_COMPILER{setting}"
    for language in ("C", "CXX")
    for setting in (f"={CMAKE}", "_FORCED=1", "_ID_RUN=1")
]
NEW_MODULE = """
set(MODULE_NAME Another)
set(MODULE_PYTHON_SCRIPTS
  ${MODULE_NAME}.py
  )
set(MODULE_PYTHON_RESOURCES
  Resources/Icons/${MODULE_NAME}.svg
  Resources/shared.txt
  )
slicerMacroBuildScriptedModule(
  NAME ${MODULE_NAME}
  SCRIPTS ${MODULE_PYTHON_SCRIPTS}
  RESOURCES ${MODULE_PYTHON_RESOURCES}
  WITH_GENERIC_TESTS
  )
if(BUILD_TESTING)
  slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)
endif()
"""


@pytest.fixture(scope="module", autouse=True)
def _cmake():
    if CMAKE is None:
        message = "cmake is not installed; the package cmake has it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture
def copy(tmp_path):
    """The parts of the project that CMake sees, with two more modules that share nothing."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    top = source / "CMakeLists.txt"
    for name in ("Another", "Third"):
        folder = source / name
        (folder / "Resources" / "Icons").mkdir(parents=True)
        (folder / "CMakeLists.txt").write_text(
            NEW_MODULE.replace("Another", name).replace("shared", f"for{name}"), encoding="utf-8"
        )
        for file in (f"{name}.py", f"Resources/Icons/{name}.svg", f"Resources/for{name}.txt"):
            (folder / file).write_text("", encoding="utf-8")
        replace(top, "## NEXT_MODULE", f"add_subdirectory({name})\n## NEXT_MODULE")
    return source


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def configure(source, build):
    """Exit code and everything that CMake says, on one line."""
    command = [CMAKE, "-S", source, "-B", build, f"-DSlicer_DIR={PROJECT / 'Testing' / 'CMake'}", *NO_COMPILER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_the_extension_is_configured(tmp_path):
    code, said = configure(PROJECT, tmp_path)
    assert code == 0, said


def test_more_modules_are_configured_with_their_tests(copy, tmp_path):
    code, said = configure(copy, tmp_path / "build")
    assert code == 0, said
    listed = subprocess.run([CTEST, "-N"], cwd=tmp_path / "build", capture_output=True, text=True, check=True).stdout
    assert "py_Another" in listed
    assert "py_nomainwindow_qSlicerThirdModuleGenericTest" in listed


LIBRARY = "MultimodalRegistration/MultimodalRegistrationLib"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda at: (at / LIBRARY / "errors.py").unlink(), "lists the nonexistent file 'MultimodalRegistrationLib/err"),
        (lambda at: (at / LIBRARY / "presets/data/rigid.json").unlink(), "lists the nonexistent file"),
        (lambda at: (at / LIBRARY / "io/new.py").touch(), "does not list 'MultimodalRegistrationLib/io/new.py'"),
        (
            lambda at: (at / LIBRARY / "presets/data/new.json").touch(),
            "does not list 'MultimodalRegistrationLib/presets",
        ),
        (lambda at: (at / "Another/Resources/new.ui").touch(), "Another does not list 'Resources/new.ui'"),
        (lambda at: replace(at / "Third/CMakeLists.txt", "forThird", "forAnother"), "lists the nonexistent file"),
        (
            lambda at: (
                (at / "Third/Resources/forThird.txt").rename(at / "Third/Resources/FORANOTHER.txt"),
                replace(at / "Third/CMakeLists.txt", "forThird", "FORANOTHER"),
            ),
            "Third and Another both install 'Resources/FORANOTHER.txt'",
        ),
        (
            lambda at: (
                (at / "Another/helper.py").touch(),
                replace(at / "Another/CMakeLists.txt", "  ${MODULE_NAME}.py\n", "  ${MODULE_NAME}.py\n  helper.py\n"),
            ),
            "Slicer would take 'helper.py' beside Another.py for a module",
        ),
        (
            lambda at: (
                (at / "Another/Resources/Icons/Another.svg").unlink(),
                replace(at / "Another/CMakeLists.txt", "  Resources/Icons/${MODULE_NAME}.svg\n", ""),
            ),
            "Another has no icon",
        ),
        (
            lambda at: replace(at / "Another/CMakeLists.txt", "SCRIPT ${MODULE_NAME}.py", "SCRIPT AnotherTest.py"),
            "AnotherTest.py' does not exist",
        ),
        (lambda at: replace(at / "CMakeLists.txt", "add_subdirectory(Another)", ""), "is not added"),
        (lambda at: replace(at / "CMakeLists.txt", "set(EXTENSION_ICONURL", "set(X"), "EXTENSION_ICONURL is not set"),
        (lambda at: (at / "LICENSE").unlink(), "There is no LICENSE"),
        (lambda at: replace(at / "Third/CMakeLists.txt", "WITH_GENERIC_TESTS", "WITH_TEST WITH"), "nonexistent file"),
    ],
)
def test_a_wrong_list_fails(copy, tmp_path, change, said):
    change(copy)
    code, output = configure(copy, tmp_path / "build")
    assert code != 0
    assert said in output
