"""CMake installs the extension against a stand-in for Slicer: all that the modules hold, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
from conftest import PROJECT

LIBRARY = "MultimodalRegistration/MultimodalRegistrationLib"
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


def install(build, to):
    """Build, which looks for new files, and install: the names of the files below the folder of Slicer's modules."""
    for step in (["--build", build], ["--install", build, "--prefix", to]):
        done = subprocess.run([CMAKE, *step], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    modules = to / "qt-scripted-modules"
    return sorted(file.relative_to(modules).as_posix() for file in modules.rglob("*") if file.is_file())


def held(folder):
    """The files below a module's folder, without what is not meant for users."""
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not re.search(r"CMakeLists\.txt$|\.md$|^Testing/|__pycache__|\.egg-info/|(^|/)\.", name):
            yield name


def test_all_that_the_modules_hold_is_installed_and_runs(tmp_path):
    code, said = configure(PROJECT, tmp_path / "build")
    assert code == 0, said
    installed = install(tmp_path / "build", tmp_path / "installed")
    assert installed == sorted(name for folder in FOLDERS for name in held(PROJECT / folder))
    assert "MultimodalRegistrationLib/__main__.py" in installed
    assert "MultimodalRegistrationLib/assess/report/page/page.html" in installed

    modules = tmp_path / "installed" / "qt-scripted-modules"
    program = "import MultimodalRegistrationLib.cli.main as cli; print(cli.__file__); cli.main(['presets', 'list'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(modules)},
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.startswith(str(modules)), done.stderr
    assert "ct-mr-head-rigid" in done.stdout


def test_files_that_come_and_go_need_no_list_and_no_new_configuration(copy, tmp_path):
    code, said = configure(copy, tmp_path / "build")
    assert code == 0, said
    before = install(tmp_path / "build", tmp_path / "before")

    library = copy / LIBRARY
    (library / "core" / "errors.py").unlink()
    (library / "further" / "__pycache__").mkdir(parents=True)
    for name in ("io/new.py", "further/__init__.py", "engines/presets/data/new.json"):
        (library / name).touch()
    for name in ("further/__pycache__/new.py", "io/.#new.py", "engines/presets/data/.new.json"):
        (library / name).touch()
    after = install(tmp_path / "build", tmp_path / "after")

    assert set(before) - set(after) == {"MultimodalRegistrationLib/core/errors.py"}
    assert set(after) - set(before) == {
        f"MultimodalRegistrationLib/{name}"
        for name in ("io/new.py", "further/__init__.py", "engines/presets/data/new.json")
    }


def test_more_modules_are_configured_with_their_tests(copy, tmp_path):
    code, said = configure(copy, tmp_path / "build")
    assert code == 0, said
    listed = subprocess.run([CTEST, "-N"], cwd=tmp_path / "build", capture_output=True, text=True, check=True).stdout
    assert "py_Another" in listed
    assert "py_nomainwindow_qSlicerThirdModuleGenericTest" in listed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda at: (at / "FiducialPrealign/FiducialPrealign.py").unlink(), "lists the nonexistent file 'Fiducial"),
        (lambda at: (at / "MultimodalRegistration/MultimodalRegistration.py").unlink(), "lists the nonexistent file"),
        (
            lambda at: (at / LIBRARY / "engines/presets/data/new.yaml").touch(),
            "does not list 'MultimodalRegistrationLib/engines/presets/data/new.yaml'",
        ),
        (lambda at: (at / "MultimodalRegistration/helper.py").touch(), "does not list 'helper.py'"),
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
