"""Outputs appear whole or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.io.outputs import OutputFiles, is_device, plain_file_name


def test_nothing_is_left_when_the_work_fails(tmp_path):
    target = tmp_path / "result.json"
    target.write_text("old")

    def work():
        with OutputFiles() as outputs:
            outputs.add(target, (".json",)).write_text("half")
            raise RuntimeError("stopped in the middle")

    with pytest.raises(RuntimeError, match="stopped"):
        work()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_all_files_appear_at_the_commit(tmp_path):
    with OutputFiles() as outputs:
        first = outputs.add(tmp_path / "a.h5", (".h5",))
        second = outputs.add(tmp_path / "b.nii.gz", (".nrrd", ".nii.gz"))
        assert (first.suffix, second.name[-7:]) == (".h5", ".nii.gz")
        first.write_text("one")
        second.write_text("two")
        assert not (tmp_path / "a.h5").exists()
        outputs.commit()
    assert sorted(os.listdir(tmp_path)) == ["a.h5", "b.nii.gz"]
    assert (tmp_path / "b.nii.gz").read_text() == "two"
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a.h5").stat().st_mode & 0o777 == 0o666 & ~mask


def test_all_files_stay_as_they_were_when_one_cannot_be_replaced(tmp_path, monkeypatch):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("old")
    replace = Path.replace

    def locked(self, target):
        if not self.name.endswith(".previous") and Path(target).name == "b.txt":
            raise PermissionError(13, "in use by another program")
        return replace(self, target)

    with OutputFiles() as outputs:
        for name in ("a.txt", "b.txt"):
            outputs.add(tmp_path / name, (".txt",)).write_text("new")
        monkeypatch.setattr(Path, "replace", locked)
        with pytest.raises(InputError, match="in use by another program"):
            outputs.commit()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old", "b.txt": "old"}


def test_refused_targets(tmp_path):
    source = tmp_path / "in.nrrd"
    source.write_text("x")
    (tmp_path / "folder.nrrd").mkdir()
    with OutputFiles([source]) as outputs:
        outputs.add(tmp_path / "twice.nrrd", (".nrrd",))
        for path, found in {
            tmp_path / "in.nrrd": "also an input",
            tmp_path / "folder.nrrd": "this is a folder",
            tmp_path / "missing" / "out.nrrd": "does not exist",
            tmp_path / "out.jpg": "cannot be written",
            tmp_path / "twice.nrrd": "two outputs",
            tmp_path / "folder.nrrd" / ".." / "twice.nrrd": "two outputs",
        }.items():
            with pytest.raises(InputError, match=found):
                outputs.add(path, (".nrrd",))
    assert sorted(os.listdir(tmp_path)) == ["folder.nrrd", "in.nrrd"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_a_folder_that_cannot_be_written_to():
    with OutputFiles() as outputs, pytest.raises(InputError, match="cannot be written to"):
        outputs.add("/proc/out.nrrd", (".nrrd",))


def test_an_interruption_while_files_are_moved_puts_all_back(tmp_path, monkeypatch):
    targets = [tmp_path / "a.json", tmp_path / "b.json"]
    for target in targets:
        target.write_text("old")
    moved, move = [], Path.replace

    def interrupted(self, target):
        moved.append(target)
        if len(moved) == 4:
            raise KeyboardInterrupt
        return move(self, target)

    def work():
        with OutputFiles() as outputs:
            for target in targets:
                outputs.add(target, (".json",)).write_text("new")
            monkeypatch.setattr(Path, "replace", interrupted)
            outputs.commit()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "old", "b.json": "old"}


@given(st.text(max_size=120))
def test_a_plain_file_name_is_one_everywhere(name):
    plain = plain_file_name(name, "picture")
    assert 0 < len(plain) <= 60 + len("picture_")
    assert not set(plain) & set('/\\:*?"<>| \n\t\0')
    assert plain.strip(".") == plain
    assert not is_device(plain)


def test_a_plain_file_name_keeps_what_can_be_read():
    names = ["CT to T1 (2)", "La\u0308sion", "हिन्दी", "...", "nul", "COM¹.x", "a" * 99]
    assert [plain_file_name(name, "picture") for name in names] == [
        *("CT_to_T1_2", "Läsion", "हिन्दी", "picture", "picture_nul", "picture_COM¹.x", "a" * 60)
    ]
