"""The recipes of console.md and README.md, as they stand there."""

from __future__ import annotations

import json
import re
import sys

import pytest
import SimpleITK as sitk
import slicer
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, PROJECT
from MultimodalRegistrationLib.core.phantom import make_head

TEXT = (PROJECT / "Resources" / "Docs" / "console.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
(SCRIPT,) = re.findall(r"^```python script\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_blocks_are_python():
    assert len(BLOCKS) == 6
    for block in (*BLOCKS, SCRIPT):
        compile(block, "console.md", "exec")


def test_the_script_is_ascii_and_ends_with_an_exit_code():
    assert SCRIPT.isascii()
    assert SCRIPT.rstrip().endswith("slicer.util.exit(code)")


@pytest.mark.slow
def test_the_blocks_do_what_they_say(tmp_path, monkeypatch, capsys):
    scene = slicer.vtkMRMLScene()
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    names = {"slicer": slicer}
    for block in BLOCKS:
        exec(compile(block, "console.md", "exec"), names)
    printed = capsys.readouterr().out
    assert names["registered"].verdict["word"] == "verified"
    assert names["phantom_error_mm"](names["registered"].node) < 1.0
    assert names["t1"].GetParentTransformNode() is names["registered"].node
    assert len(names["done"].content["methods"]) == 2
    assert names["done"].verdict["word"] == "good"
    assert "away from the truth: 0." in printed
    assert (tmp_path / "report" / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.slow
def test_the_block_without_slicer(tmp_path, monkeypatch, capsys, head_ct, head_mr):
    for head, name in ((head_ct, "ct.nrrd"), (head_mr, "mr.nrrd")):
        sitk.WriteImage(head.image, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("verified [[")


@pytest.fixture
def study(tmp_path):
    """One case that can be registered, one with a broken file, and one that has its result."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    for name, head in (
        ("ct", make_head("CT", CT_GRID, CT_POSE, seed=1)),
        ("mr", make_head("T1", MR_GRID, MR_POSE, seed=2)),
    ):
        sitk.WriteImage(head.image, str(tmp_path / "a" / f"{name}.nrrd"))
    (tmp_path / "b" / "ct.nrrd").write_text("not a volume")
    (tmp_path / "c" / "verdict.json").write_text('{"verdict": "verified", "against": []}')
    return tmp_path


@pytest.mark.slow
def test_the_script_goes_through_a_study(slicer_app, study, monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(slicer.util, "exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["study.py", str(study)])
    exec(compile(SCRIPT, "study.py", "exec"), {"__name__": "__main__"})
    assert codes == [8]
    out, err = capsys.readouterr()
    assert out.splitlines()[-2:] == ["a verified", "b error"]
    assert "Traceback" in err
    assert json.loads((study / "a" / "verdict.json").read_text())["verdict"] == "verified"
    assert sitk.ReadTransform(str(study / "a" / "mr-to-ct.h5")).IsLinear()
    slicer_app.slot_errors.clear()


def test_the_script_says_when_it_could_not_run(slicer_app, tmp_path, monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(slicer.util, "exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["study.py", str(tmp_path / "missing")])
    exec(compile(SCRIPT, "study.py", "exec"), {"__name__": "__main__"})
    assert codes == [2]
    assert "missing" in capsys.readouterr().err
