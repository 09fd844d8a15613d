"""Users' stories of many cases: a study with cases that need a look, and methods compared at the same targets."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import run_command
from MultimodalRegistrationLib.core.linear import apply_matrix
from story_cases import Case, command, register, write_points

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(real_data, tmp_path_factory):
    """T2 and PET of one head, and noise that belongs to nobody."""
    folder = tmp_path_factory.mktemp("study")
    image = sitk.ReadImage(str(real_data / "template" / "t2.nrrd"))
    noise = sitk.GetImageFromArray(np.random.default_rng(3).normal(500, 90, image.GetSize()[::-1]).astype(np.float32))
    noise.CopyInformation(image)
    sitk.WriteImage(noise, str(folder / "noise.nrrd"))
    t1 = real_data / "template" / "t1.nrrd"
    rows = [("head-t2", t1, real_data / "template" / "t2.nrrd"), ("nobody", t1, folder / "noise.nrrd")]
    with (folder / "study.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("name", "fixed", "moving", "report"), *((*row, "no") for row in rows)])
    done = run_command("batch", folder / "study.csv", "--output-dir", folder / "out", "--workers", 1, timeout=600)
    return folder, done


@pytest.mark.story("U34")
def test_a_study_says_which_cases_need_a_look(study):
    folder, done = study
    assert done.returncode == 6, done.stdout + done.stderr
    with (folder / "out" / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["verdict"]) for row in rows] == [("nobody", "failed"), ("head-t2", "verified")]
    assert (folder / "out" / "cases" / "head-t2" / "transform.h5").exists()
    assert not (folder / "out" / "cases" / "nobody" / "transform.h5").exists()
    assert (folder / "out" / "summary.html").exists()
    before = (folder / "out" / "cases" / "head-t2" / "RESULT.json").stat().st_mtime_ns
    again = run_command("batch", folder / "study.csv", "--output-dir", folder / "out", "--resume")
    assert again.returncode == 6, again.stderr
    assert (folder / "out" / "cases" / "head-t2" / "RESULT.json").stat().st_mtime_ns == before


@pytest.mark.story("U35")
def test_four_methods_at_the_same_targets(real_data, tmp_path):
    """Fiducials only, rigid by mutual information, by its normalised form in a ROI, and rigid with a deformation."""
    case = Case.real("template-t2", real_data)
    random = np.random.default_rng(8)

    def pairs(name, points_lps, sd_mm):
        moving = apply_matrix(case.truth_lps, points_lps) + random.normal(0, sd_mm, points_lps.shape)
        return (
            write_points(tmp_path / f"{name}-f.mrk.json", points_lps),
            write_points(tmp_path / f"{name}-m.mrk.json", moving),
        )

    landmarks = pairs("landmarks", case.points_lps[5:500:80], 2.0)
    targets = pairs("targets", case.points_lps[::25], 0.2)
    fiducial = tmp_path / "fiducials.h5"
    given = ["--fixed-landmarks", landmarks[0], "--moving-landmarks", landmarks[1]]
    assert command("prealign", *given, "--output-transform", fiducial).code == 0
    near = [*given, "--start", "given", "--no-verdict"]
    rigid = register(case.fixed, case.moving, tmp_path / "rigid", *near)
    # NMI: a preset of the user's own, and a ROI of the middle of the head.
    assert command("presets", "copy", "rigid", "nmi", "--to", tmp_path / "nmi.json").code == 0
    preset = json.loads((tmp_path / "nmi.json").read_text(encoding="utf-8"))
    preset["engines"] = {"elastix": preset["engines"]["elastix"]}
    preset["engines"]["elastix"][0]["Metric"] = "NormalizedMutualInformation"
    (tmp_path / "nmi.json").write_text(json.dumps(preset), encoding="utf-8")
    assert command("presets", "check", tmp_path / "nmi.json").code == 0
    image = sitk.ReadImage(str(case.fixed))
    roi = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    roi.CopyInformation(image)
    n = [size // 6 for size in image.GetSize()]
    roi[n[0] : -n[0], n[1] : -n[1], n[2] : -n[2]] = 1
    sitk.WriteImage(roi, str(tmp_path / "roi.nrrd"))
    options = ["--preset", tmp_path / "nmi.json", "--fixed-mask", tmp_path / "roi.nrrd"]
    nmi = register(case.fixed, case.moving, tmp_path / "nmi", *near, *options)
    bent = register(case.fixed, case.moving, tmp_path / "bent", *near, "--then", "warp")
    assert rigid.code == nmi.code == bent.code == 0, rigid.said + nmi.said + bent.said
    files = {"fiducials": fiducial, "rigid": rigid.transform, "nmi": nmi.transform, "deformable": bent.transform}
    for name, path in files.items():
        files[name] = path.replace(tmp_path / f"{name}.h5")
    done = command(
        *("qa", "--fixed", case.fixed, "--moving", case.moving, "--no-maps", "--output-dir", tmp_path / "out"),
        *("--targets-fixed", targets[0], "--targets-moving", targets[1], "--tolerance", 2),
        *(part for path in files.values() for part in ("--transform", path)),
    )
    assert done.code == 0, done.said
    with (tmp_path / "out" / "methods.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["before", *(path.name for path in files.values())]
    mean_mm = {name: float(rows[f"{name}.h5"]["targets_mean_mm"]) for name in files}
    assert mean_mm["rigid"] < case.limit_mm
    assert mean_mm["nmi"] < case.limit_mm
    assert mean_mm["fiducials"] < 2
    # The head is one rigid body: what bends it is worst, and said to be.
    ranked = sorted(files, key=lambda name: int(rows[f"{name}.h5"]["rank"]))
    assert ranked == sorted(files, key=mean_mm.__getitem__)
    assert ranked[-1] == "deformable"
    assert [rows[f"{name}.h5"]["verdict"] for name in ("rigid", "nmi", "deformable")] == ["good", "good", "doubtful"]
    assert "'rigid.h5' is closer than 'deformable.h5' at" in done.said
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
