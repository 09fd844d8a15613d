"""The command as scripts use it: files, exit codes, messages, and outputs that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, rigid, run_command
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.frames import modelling_ras_from_resampling_lps
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import displacement_mm, sitk_from_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.engines.presets.preset import user_preset_folder
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.register import memory_need
from test_volume_files import bad_files

TARGETS = target_points_lps(CT_POSE)


@pytest.fixture(scope="module")
def files(tmp_path_factory, head_ct, head_mr):
    folder = tmp_path_factory.mktemp("volumes")
    sitk.WriteImage(sitk.Cast(head_ct.image, sitk.sitkInt16), str(folder / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(folder / "mr.nii.gz"))
    return folder


@pytest.mark.story("U13")
@pytest.mark.slow
def test_the_main_job(files, tmp_path, head_ct, truth_ct_to_mr_lps):
    done = run_command(
        *("register", "--fixed", files / "ct.nrrd", "--moving", files / "mr.nii.gz"),
        *("--output-transform", tmp_path / "T.h5", "--output-volume", tmp_path / "R.nrrd"),
        *("--json", tmp_path / "result.json", "--keep-temporary-files", tmp_path / "kept", "--seed", 11),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["R.nrrd", "T.h5", "kept", "result.json"]
    assert sorted(os.listdir(tmp_path / "kept")) == ["elastix.log", "job-1", "preset.json"]
    assert "elastix: stage 1 of 1, level 3" in done.stderr
    assert "\r" not in done.stderr, "plain lines when it is not a terminal"
    assert "Settled" in done.stdout
    assert "Verdict: VERIFIED; estimated error" in done.stdout

    matrix = read_linear_transform(tmp_path / "T.h5")
    assert displacement_mm(matrix, truth_ct_to_mr_lps, TARGETS).mean() < 0.8

    resampled = sitk.ReadImage(str(tmp_path / "R.nrrd"))
    np.testing.assert_allclose(resampled.GetDirection(), head_ct.image.GetDirection(), atol=1e-6)
    truth = sitk.Resample(
        sitk.ReadImage(str(files / "mr.nii.gz")), head_ct.image, sitk_from_matrix(truth_ct_to_mr_lps), sitk.sitkLinear
    )
    pair = [sitk.GetArrayViewFromImage(image).ravel() for image in (resampled, truth)]
    inside = pair[1] > 50
    assert np.corrcoef(pair[0][inside], pair[1][inside])[0, 1] > 0.97

    result = json.loads((tmp_path / "result.json").read_text())
    assert result["schema"] == 5
    assert (result["verdict"]["word"], result["verdict"]["against"]) == ("verified", [])
    assert result["verdict"]["evidence"]["margin_over_rival"] > 0.05
    assert (result["engine"], result["preset"], result["seed"]) == ("elastix", "rigid", 11)
    np.testing.assert_allclose(
        result["transform"]["moving_to_fixed_ras"], modelling_ras_from_resampling_lps(matrix), atol=1e-9
    )
    assert result["metric"]["at_end"] > result["metric"]["at_start"]
    assert result["convergence"]["settled"] is True
    assert {"read", "check", "prepare", "search", "engine", "verdict", "write"} <= set(result["seconds"])
    assert {"elastix", "SimpleITK", "numpy", "python"} <= set(result["versions"])


@pytest.mark.slow
def test_initial_transform_and_masks(files, tmp_path, head_ct, truth_ct_to_mr_lps):
    """The start and the result share their convention: a result given back as the start stays where it is."""
    sitk.WriteTransform(sitk_from_matrix(truth_ct_to_mr_lps), str(tmp_path / "start.tfm"))
    mask = sitk.BinaryDilate(head_ct.image > -300, (3, 3, 2))
    coarse = sitk.Shrink(mask, (2, 2, 1))
    sitk.WriteImage(coarse, str(tmp_path / "mask.nii.gz"))
    done = run_command(
        *("register", "--fixed", files / "ct.nrrd", "--moving", files / "mr.nii.gz", "--engine", "simpleitk"),
        *("--output-transform", tmp_path / "T.tfm", "--initial-transform", tmp_path / "start.tfm"),
        *("--fixed-mask", tmp_path / "mask.nii.gz", "--json", tmp_path / "r.json"),
        *("--start", "given", "--no-verdict"),
    )
    assert done.returncode == 0, done.stderr
    assert "is on another grid" in done.stderr
    assert displacement_mm(read_linear_transform(tmp_path / "T.tfm"), truth_ct_to_mr_lps, TARGETS).mean() < 0.8
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["verdict"] is None
    assert any("another grid" in warning for warning in result["warnings"])
    assert result["moved_from_start"]["mean_mm"] < 1.5


def bad_calls(files, folder):
    """Each kind of bad call: the options that differ from a good one, and what the message must say."""
    sitk.WriteTransform(sitk_from_matrix(rigid([0, 0, 1], 0, [0, 2000, 0])), str(folder / "far.tfm"))
    sitk.WriteImage(sitk.Image(20, 20, 20, sitk.sitkUInt8), str(folder / "empty-mask.nrrd"))
    beside = sitk.Image(20, 20, 20, sitk.sitkUInt8) + 1
    beside.SetOrigin((3000, 0, 0))
    sitk.WriteImage(beside, str(folder / "mask-beside.nrrd"))
    preset = folder / "preset.json"
    preset.write_text('{"schema": 1}')
    calls = [({"--fixed": folder / name}, found) for name, found in bad_files(folder).items()]
    calls += [
        ({"--moving": folder / "nan.nrrd"}, "NaN"),
        ({"--initial-transform": folder / "far.tfm", "--start": "given"}, "no overlap"),
        ({"--initial-transform": folder / "far.tfm", "--start": "center"}, "does not use it"),
        ({"--max-rotation": "200"}, "a number from 0 to 180"),
        ({"--max-translation": "-3"}, "zero or a positive number"),
        ({"--max-translation": "nan"}, "zero or a positive number"),
        ({"--initial-transform": folder / "absent.tfm"}, "no such file"),
        ({"--fixed-mask": folder / "empty-mask.nrrd"}, "mask is empty"),
        ({"--moving-mask": folder / "mask-beside.nrrd"}, "marks nothing inside"),
        ({"--preset": "rigidd"}, "no preset of this name"),
        ({"--preset": preset}, "is missing"),
        ({"--seed": "0"}, "whole number"),
        ({"--threads": "0"}, "whole number"),
        ({"--output-transform": folder / "absent" / "T.h5"}, "does not exist"),
        ({"--output-transform": folder / "T.xyz"}, "cannot be written"),
        ({"--output-volume": folder / "R.jpg"}, "cannot be written"),
        ({"--output-volume": folder / "R.mhd"}, "cannot be written"),
        ({"--keep-temporary-files": "/proc/kept"}, "cannot be used"),
        ({"--output-volume": files / "ct.nrrd"}, "also an input"),
    ]
    return calls


def test_bad_input_ends_with_2_names_the_file_and_touches_nothing(files, tmp_path, capsys):
    volumes = tmp_path / "in"
    volumes.mkdir()
    outputs = tmp_path / "out"
    outputs.mkdir()
    for name in ("T.h5", "R.nrrd", "r.json"):
        (outputs / name).write_text("precious")
    for change, found in bad_calls(files, volumes):
        options = {
            "--fixed": files / "ct.nrrd",
            "--moving": files / "mr.nii.gz",
            "--output-transform": outputs / "T.h5",
            "--output-volume": outputs / "R.nrrd",
            "--json": outputs / "r.json",
            "--engine": "simpleitk",
            **change,
        }
        before = sorted(os.listdir(volumes))
        code = main(["register", *(str(part) for option in options.items() for part in option)])
        message = capsys.readouterr().err
        assert code == 2, (change, message)
        assert re.search(found, message), (change, message)
        named = Path(str(next(iter(change.values())))).name
        assert named in message, (change, message)
        assert {path.read_text() for path in outputs.iterdir()} == {"precious"}
        assert len(os.listdir(outputs)) == 3
        assert sorted(os.listdir(volumes)) == before


def test_usage_errors_end_with_2(capsys):
    for arguments in ([], ["register"], ["register", "--fixd", "x"], ["presets"], ["register", "--engine", "magic"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()


@pytest.mark.story("U23")
@pytest.mark.slow
def test_a_failed_engine_ends_with_3_and_keeps_its_log(files, tmp_path):
    preset = json.loads(run_command("presets", "show", "rigid").stdout)
    preset["engines"]["elastix"][0]["RequiredRatioOfValidSamples"] = 0.9
    (tmp_path / "strict.json").write_text(json.dumps(preset))
    sitk.WriteTransform(sitk_from_matrix(rigid([0, 1, 0], 30, [150, 60, 40])), str(tmp_path / "off.tfm"))
    done = run_command(
        *("register", "--fixed", files / "ct.nrrd", "--moving", files / "mr.nii.gz", "--quiet"),
        *("--output-transform", tmp_path / "T.h5", "--preset", tmp_path / "strict.json"),
        *("--initial-transform", tmp_path / "off.tfm", "--start", "given"),
    )
    assert done.returncode == 3
    assert "most points of one fall outside the other" in done.stderr
    log = tmp_path / "T.h5.engine.log"
    assert str(log) in done.stderr
    assert "oo many samples map outside" in log.read_text()
    assert not (tmp_path / "T.h5").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_cancelled_ends_with_4_at_once(files, tmp_path, number):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "MultimodalRegistrationLib", "register"),
            *("--fixed", str(files / "ct.nrrd"), "--moving", str(files / "mr.nii.gz")),
            *("--output-transform", str(tmp_path / "T.h5"), "--engine", "ants"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "level 1" in line:
            break
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - asked < 1.5, "1 s, and the end of this process"
    assert process.returncode == 4
    assert "cancelled" in errors
    assert os.listdir(tmp_path) == []


def test_a_missing_engine_ends_with_5_and_the_command_that_installs_it(tmp_path, monkeypatch, capsys):
    from MultimodalRegistrationLib.engines import catalogue

    def not_there(name):
        return catalogue.EngineStatus(catalogue.ENGINES[name], None, None)

    monkeypatch.setattr(catalogue, "engine_status", not_there)
    options = ["--fixed", "f", "--moving", "m", "--output-transform", str(tmp_path / "T.h5"), "--engine", "elastix"]
    assert main(["register", *options]) == 5
    assert re.search('-m pip install --target .* "itk-elastix', capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
@pytest.mark.parametrize("delay", [0.0, 0.5, 1.5])
def test_cancelled_before_the_engine_runs_ends_with_4(files, tmp_path, delay):
    command = [sys.executable, "-m", "MultimodalRegistrationLib", "register", "--engine", "ants"]
    command += ["--fixed", str(files / "ct.nrrd"), "--moving", str(files / "mr.nii.gz")]
    command += ["--output-transform", str(tmp_path / "T.h5")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert "checking the inputs" in process.stderr.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 4, errors
    assert os.listdir(tmp_path) == []


def test_a_broken_preset_of_the_users_is_listed_with_its_reason(capsys):
    user_preset_folder().mkdir(parents=True, exist_ok=True)
    (user_preset_folder() / "old.json").write_text('{"schema": 0}')
    try:
        assert main(["presets", "list"]) == 0
    finally:
        (user_preset_folder() / "old.json").unlink()
    assert "cannot be used" in capsys.readouterr().out


def test_memory_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(memory_need, "available_memory_bytes", lambda: 1_000_000_000)
    grid = CT_GRID
    large = VolumeGrid((512, 512, 400), grid.spacing_mm, grid.origin_lps, grid.direction)
    assert "GB of memory and 1.0 GB are free" in memory_need.memory_warning("elastix", large, large)
    assert memory_need.memory_warning("elastix", grid, grid) is None


def test_a_command_imports_no_other():
    """What takes a second to import is felt before each line that a user types."""
    code = (
        "import sys; from MultimodalRegistrationLib.cli.main import main; main(['presets', 'list']); "
        "sys.exit(bool({'scipy', 'SimpleITK'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_presets_and_doctor(tmp_path, capsys):
    assert main(["presets", "list"]) == 0
    assert "pet-mr-rigid" in capsys.readouterr().out
    assert main(["presets", "show", "rigid"]) == 0
    shown = capsys.readouterr().out
    (tmp_path / "copy.json").write_text(shown)
    assert main(["presets", "validate", str(tmp_path / "copy.json")]) == 0
    (tmp_path / "copy.json").write_text(shown.replace("histogram_bins", "histogram_bin"))
    assert main(["presets", "validate", str(tmp_path / "copy.json")]) == 2
    assert "Did you mean histogram_bins" in capsys.readouterr().err
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    for engine in ("elastix", "ants", "simpleitk"):
        assert re.search(rf"{engine}\s+ready\s+\d+\.\d+", report)
