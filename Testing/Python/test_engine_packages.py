"""Engines are installed into a folder of their own, whole or not at all, and nothing else changes."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
import sys
import threading
import time
import types
import zipfile

import numpy as np
import pytest
from MultimodalRegistrationLib.core.errors import Cancelled, EngineNotInstalledError, InputError
from MultimodalRegistrationLib.engines import installation
from MultimodalRegistrationLib.engines.catalogue import ENGINES, Engine, engine_folder, engine_status
from MultimodalRegistrationLib.engines.installation import download_command, install, missing, remove
from MultimodalRegistrationLib.engines.supervised_child import SupervisedChild

ENGINE = Engine("tiny", "tiny-engine", "tiny-engine>=1", 1, 2, reproducible_in_parallel=True)


def make_wheel(folder, name, version, *, requires=(), big_mb=0):
    """A wheel with one module, and as many megabytes as wanted."""
    package = name.replace("-", "_")
    info = f"{package}-{version}.dist-info"
    files = {f"{package}.py": f"VERSION = {version!r}\n".encode()}
    if big_mb:
        files[f"{package}_data/numbers.bin"] = os.urandom(big_mb * 1_000_000)
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in requires)
    ).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{package}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return folder


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """A folder for engines, and an engine to put there."""
    monkeypatch.setitem(ENGINES, "tiny", ENGINE)
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_ENGINES", str(tmp_path / "engines"))
    return tmp_path / "engines"


@pytest.fixture
def wheels(tmp_path):
    """The engine's wheel, which wants a numpy of its own, and that numpy."""
    make_wheel(tmp_path / "wheels", "tiny-engine", "1.2", requires=["numpy==0.0.1"])
    return make_wheel(tmp_path / "wheels", "numpy", "0.0.1")


def installed_here():
    return {(each.metadata["Name"], each.version) for each in importlib.metadata.distributions()}


def test_what_is_missing_is_told_with_its_size(engines):
    assert missing("simpleitk") is None
    need = missing("tiny")
    assert need == installation.Need("tiny", ("tiny-engine>=1",), 1, 2)
    assert not engines.exists()


def test_an_engine_is_installed_with_its_own_numpy(engines, wheels):
    before, file = installed_here(), np.__file__
    lines = []
    status = install("tiny", wheels_folder=wheels, on_line=lines.append)
    assert (status.version, status.location) == ("1.2", str(engines / "tiny"))
    assert any("Successfully installed" in line for line in lines)
    assert missing("tiny") is None
    assert importlib.metadata.version("numpy") != "0.0.1"
    assert (installed_here(), np.__file__) == (before, file)
    assert (engines / "tiny" / "numpy.py").exists()
    assert os.listdir(engines) == ["tiny"]


def test_a_newer_one_replaces_it_whole(engines, wheels, tmp_path):
    install("tiny", wheels_folder=wheels)
    (engines / "tiny" / "old.py").touch()
    install("tiny", wheels_folder=make_wheel(tmp_path / "newer", "tiny-engine", "1.3"))
    assert engine_status("tiny").version == "1.3"
    assert not (engines / "tiny" / "old.py").exists()
    assert os.listdir(engines) == ["tiny"]


def test_it_is_removed(engines, wheels):
    install("tiny", wheels_folder=wheels)
    remove("tiny")
    assert os.listdir(engines) == []
    assert not engine_status("tiny").ready
    with pytest.raises(InputError, match="was not installed here"):
        remove("tiny")


@pytest.mark.parametrize("after_lines", [0, 1, 3])
def test_stopping_leaves_nothing_and_keeps_what_was_there(engines, wheels, tmp_path, after_lines):
    install("tiny", wheels_folder=wheels)
    newer = make_wheel(tmp_path / "newer", "tiny-engine", "1.3", requires=["numpy==0.0.1"], big_mb=30)
    make_wheel(newer, "numpy", "0.0.1")
    lines = []
    began = time.perf_counter()
    with pytest.raises(Cancelled):
        install("tiny", wheels_folder=newer, on_line=lines.append, should_stop=lambda: len(lines) >= after_lines)
    assert time.perf_counter() - began < 20
    assert os.listdir(engines) == ["tiny"]
    assert engine_status("tiny").version == "1.2"


def test_it_stops_within_a_second(engines, wheels):
    stop = threading.Event()
    told = []

    def on_line(_):
        stop.set()
        told.append(time.perf_counter())

    with pytest.raises(Cancelled):
        install("tiny", wheels_folder=wheels, on_line=on_line, should_stop=stop.is_set)
    assert time.perf_counter() - told[0] < 1


def test_an_error_of_the_caller_stops_it_too(engines, wheels):
    def fail(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        install("tiny", wheels_folder=wheels, on_line=fail)
    assert os.listdir(engines) == []


def test_what_a_dead_process_left_is_removed(engines, wheels):
    left = engines / ".installing-999999999-abc"
    left.mkdir(parents=True)
    ours = engines / f".installing-{os.getpid()}-abc"
    ours.mkdir()
    install("tiny", wheels_folder=wheels)
    assert sorted(os.listdir(engines)) == [ours.name, "tiny"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda at: at / "none", "does not exist"),
        (lambda at: (at / "empty").mkdir() or at / "empty", "there are no wheels"),
        (lambda at: make_wheel(at / "other", "other", "1.0"), "from these wheels .No matching distribution"),
        (
            lambda at: make_wheel(at / "half", "tiny-engine", "1.2", requires=["absent"]),
            "No matching distribution.*absent",
        ),
        (lambda at: make_wheel(at / "old", "tiny-engine", "0.9"), "No matching distribution"),
    ],
)
def test_a_folder_of_wheels_that_does_not_do_is_refused(engines, tmp_path, make, said):
    folder = make(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        install("tiny", wheels_folder=folder)
    assert caught.value.subject == str(folder)
    assert download_command("tiny") in caught.value.remedy
    assert not engines.exists() or os.listdir(engines) == []


def test_without_a_network_the_other_ways_are_offered(engines, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(EngineNotInstalledError, match="the package index cannot be reached") as caught:
        install("tiny")
    assert download_command("tiny") in caught.value.remedy
    assert "engine simpleitk, which is there" in caught.value.remedy
    assert os.listdir(engines) == []


def test_a_folder_that_cannot_be_made_is_refused(wheels, tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "tiny", ENGINE)
    (tmp_path / "file").touch()
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_ENGINES", str(tmp_path / "file" / "engines"))
    with pytest.raises(InputError, match=r"cannot be written to.*MULTIMODAL_REGISTRATION_ENGINES"):
        install("tiny", wheels_folder=wheels)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_read_only_folder_is_refused(engines, wheels):
    engines.mkdir()
    engines.chmod(0o555)
    with pytest.raises(InputError, match=r"cannot be written to .Permission denied"):
        install("tiny", wheels_folder=wheels)
    engines.chmod(0o755)


def test_an_engines_folder_comes_first_in_its_process_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("ITK_AUTOLOAD_PATH", "/plugins")
    monkeypatch.setenv("UNWANTED", "1")
    (tmp_path / "first").mkdir()
    make = "import os, sys; print(sys.path[1], os.environ.get('ITK_AUTOLOAD_PATH'), os.environ.get('UNWANTED'))"
    (tmp_path / "first" / "told.py").write_text(make, encoding="utf-8")
    child, printed, ended = (
        SupervisedChild("told", first_on_path=tmp_path / "first", environment={"UNWANTED": None}),
        "",
        False,
    )
    while not ended:
        if (line := child.next_line()) is not None:
            printed += line.printed
            ended = line.event is not None and line.event["event"] == "worker-ended"
    child.close()
    assert printed == f"{tmp_path / 'first'} None None\n"
    assert str(tmp_path / "first") not in sys.path


def test_too_little_space_is_told_before_the_download(engines, wheels, monkeypatch):
    monkeypatch.setattr(installation.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=2_000_000))
    with pytest.raises(InputError, match="2 MB are free, and the engine tiny needs 3 MB"):
        install("tiny", wheels_folder=wheels)
    assert os.listdir(engines) == []


def test_in_slicer_the_engines_lie_beside_its_settings(monkeypatch, tmp_path):
    slicer = pytest.importorskip("slicer")
    from MultimodalRegistrationLib.application.engine_packages import slicer_engines_folder, use_slicer_engines

    settings = tmp_path / "slicer.org" / "Slicer.ini"
    app = types.SimpleNamespace(slicerUserSettingsFilePath=str(settings), majorVersion=5, minorVersion=10)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    folder = slicer_engines_folder()
    assert folder.parent == tmp_path / "slicer.org" / "MultimodalRegistration"
    assert folder.name.startswith(f"engines-5.10-{sys.implementation.cache_tag}-")
    # Set and deleted again, so that what the call sets is undone after the test.
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_ENGINES", "x")
    assert str(use_slicer_engines()) == "x"
    monkeypatch.delenv("MULTIMODAL_REGISTRATION_ENGINES")
    assert use_slicer_engines() == folder
    assert engine_folder("ants") == folder / "ants"
    assert not settings.parent.exists()
