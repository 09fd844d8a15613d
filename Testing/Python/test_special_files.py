"""Pipes and the like in place of files: told, never waited for."""

from __future__ import annotations

import os
import socket
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import run_command
from MultimodalRegistrationLib.assess.report.marks import read_mark
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.io.input_files import data_files, refuse_special_files
from MultimodalRegistrationLib.io.run_records import find_record
from MultimodalRegistrationLib.io.transforms import read_transform
from MultimodalRegistrationLib.io.volumes import read_volume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files on Windows")

_SECONDS = 60
# What is asked, with {pipe} in place of one file. The others are volumes, or are not reached.
_REGISTER = "register --fixed {volume} --moving {volume} --output-transform {folder}/T.h5"
_PREALIGN = "prealign --output-transform {folder}/T.h5"
_QUESTIONS = {
    "fixed volume": ("p.nrrd", "register --fixed {pipe} --moving {volume} --output-transform {folder}/T.h5"),
    "NIfTI volume": ("p.nii", "register --fixed {volume} --moving {pipe} --output-transform {folder}/T.h5"),
    "compressed volume": ("p.nii.gz", "check {pipe}"),
    # As of a process substitution of the shell.
    "volume without a type": ("63", "check {pipe}"),
    "mask": ("p.nrrd", f"{_REGISTER} --fixed-mask {{pipe}}"),
    "segmentation": (
        "p.seg.nrrd",
        "structures --fixed {volume} --moving {volume} --segmentation {pipe} --output-dir {folder}/out",
    ),
    "landmarks": ("p.fcsv", f"{_PREALIGN} --fixed-landmarks {{pipe}} --moving-landmarks {{pipe}}"),
    "markups": ("p.mrk.json", f"{_PREALIGN} --fixed-landmarks {{pipe}} --moving-landmarks {{pipe}}"),
    "model": (
        "p.stl",
        f"{_PREALIGN} --fixed-surface {{pipe}} --moving-surface {{pipe}} --fixed-space RAS --moving-space RAS",
    ),
    "transform": ("p.h5", f"{_REGISTER} --initial-transform {{pipe}}"),
    "field": ("p.nii.gz", "transform invert {pipe} --output-transform {folder}/I.h5"),
    "preset": ("p.json", f"{_REGISTER} --preset {{pipe}}"),
    "steps": ("p.json", f"{_REGISTER} --preprocess {{pipe}}"),
    "study": ("p.csv", "batch {pipe} --output-dir {folder}/out"),
    "settings of elastix": ("p.txt", "presets import {pipe} --to {folder}/preset.json"),
    "report": ("p.html", "mark {pipe} --as approved --name me"),
}


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "volume.nrrd"
    voxels = np.random.default_rng(1).integers(0, 900, (24, 25, 26)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    return path


@pytest.mark.parametrize("what", _QUESTIONS)
def test_a_pipe_in_place_of_a_file_is_told(volume, tmp_path, what):
    name, question = _QUESTIONS[what]
    os.mkfifo(tmp_path / name)
    words = question.format(pipe=tmp_path / name, volume=volume, folder=tmp_path).split()
    done = run_command(*words, timeout=_SECONDS)
    told = done.stdout + done.stderr
    assert done.returncode == 2, told
    assert "this is a pipe (FIFO), not a file. Write its content to a file first, and give that." in told
    assert str(tmp_path / name) in told


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("v.nhdr", "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nspace: LPS\nencoding: raw\nendian: little\n{}"),
        ("v.mhd", "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_SHORT\n{}"),
    ],
)
def test_a_pipe_behind_a_detached_header_is_told(tmp_path, header, lines):
    os.mkfifo(tmp_path / "voxels.raw")
    names = "data file: voxels.raw" if header.endswith(".nhdr") else "ElementDataFile = voxels.raw"
    (tmp_path / header).write_text(lines.format(f"{names}\n"))
    done = run_command("check", tmp_path / header, timeout=_SECONDS)
    assert done.returncode == 2
    assert f"its file {tmp_path / 'voxels.raw'} is a pipe (FIFO), not a file" in done.stdout + done.stderr
    with pytest.raises(InputError, match="pipe"):
        read_volume(tmp_path / header)
    with pytest.raises(InputError, match="pipe"):
        read_transform(tmp_path / header)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("v.nhdr", "NRRD0004\ndata file: a b.raw\n", ["a b.raw"]),
        ("v.nhdr", "NRRD0004\ndatafile: LIST 2\na.raw\nb.raw\n", ["a.raw", "b.raw"]),
        ("v.nhdr", "NRRD0004\nDATA FILE: s%03d.raw 1 5 2\n", ["s001.raw", "s003.raw", "s005.raw"]),
        ("v.nrrd", "NRRD0004\ntype: short\n\ndata file: a.raw\n", []),
        ("v.mhd", "NDims = 3\nElementDataFile = a.zraw\n", ["a.zraw"]),
        ("v.mhd", "NDims = 3\nElementDataFile = LIST\na.raw\nb.raw\n", ["a.raw", "b.raw"]),
        ("v.mhd", "NDims = 3\nElementDataFile = s%d.raw 1 2 1\n", ["s1.raw", "s2.raw"]),
        ("v.mha", "NDims = 3\nElementDataFile = LOCAL\nElementDataFile = a.raw\n", []),
    ],
)
def test_files_that_a_header_names(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    assert data_files(tmp_path / name) == [tmp_path / one for one in found]


def test_sockets_devices_and_links_to_them_are_told(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as made:
        # The path of a socket must be short.
        monkeypatch.chdir(tmp_path)
        made.bind("s")
        with pytest.raises(InputError, match="this is a socket"):
            refuse_special_files(tmp_path / "s")
    (tmp_path / "zero.nrrd").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="this is a device"):
        read_volume(tmp_path / "zero.nrrd")
    for path in (tmp_path, tmp_path / "missing.nrrd"):
        refuse_special_files(path)


def test_a_pipe_among_dicom_files_is_told(tmp_path):
    os.mkfifo(tmp_path / "slice")
    done = run_command("check", tmp_path, timeout=_SECONDS)
    assert done.returncode == 2
    assert f"its file {tmp_path / 'slice'} is a pipe" in done.stdout + done.stderr


def test_a_pipe_beside_a_transform_or_a_report_is_not_waited_for(tmp_path):
    """Records are looked for among all JSON files of the folder; a mark lies beside its report."""
    sitk.WriteTransform(sitk.Euler3DTransform(), str(tmp_path / "T.tfm"))
    os.mkfifo(tmp_path / "T.json")
    assert find_record(tmp_path / "T.tfm", read_transform(tmp_path / "T.tfm")) is None
    os.mkfifo(tmp_path / "report.mark.json")
    data = '<script type="application/json" id="mark-data">{"mark": null, "report_created": ""}</script>'
    (tmp_path / "report.html").write_text(f"<!--mark-->{data}<!--/mark-->")
    with pytest.raises(InputError, match="pipe"):
        read_mark(tmp_path / "report.html")


def test_a_folder_is_told_where_it_cannot_be_a_series(tmp_path):
    with pytest.raises(InputError, match="this is a folder"):
        read_transform(tmp_path)
