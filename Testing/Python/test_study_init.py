"""A study made of a folder: BIDS datasets and patterns of paths."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.study.found_cases import FoundCase, FoundCases, write_study
from MultimodalRegistrationLib.study.make_study import study_from_bids, study_from_pattern
from MultimodalRegistrationLib.study.names import name_problem
from MultimodalRegistrationLib.study.read_study import read_study
from test_study_file import write_volume


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def pairs(found: FoundCases, folder: Path) -> dict[str, tuple[str, str]]:
    return {
        case.name: tuple(path.relative_to(folder).as_posix() for path in (case.fixed, case.moving))
        for case in found.cases
    }


def test_bids_with_and_without_sessions(tmp_path):
    touch(
        tmp_path,
        "derivatives/sub-01/anat/sub-01_desc-x_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/ct/sub-01_CT.nii",
        "sub-02/ses-01/anat/sub-02_ses-01_T1w.nii.gz",
        "sub-02/ses-01/pet/sub-02_ses-01_trc-FDG_pet.nii.gz",
        "sub-02/ses-02/anat/sub-02_ses-02_T1w.nii.gz",
        "sub-02/ses-02/ct/sub-02_ses-02_acq-bone_CT.nii.gz",
        "sub-03/anat/sub-03_acq-a_T1w.nii.gz",
        "sub-03/anat/sub-03_acq-b_T1w.nii.gz",
        "sub-03/ct/sub-03_CT.nii.gz",
        "sub-04/func/sub-04_task-rest_bold.nii.gz",
        "sub-x y/anat/sub-x y_T1w.nii.gz",
        "sub-x y/ct/sub-x y_CT.nii.gz",
        "participants.tsv",
    )
    found = study_from_bids(tmp_path, fixed="CT", moving="T1w")
    assert pairs(found, tmp_path) == {
        "sub-01": ("sub-01/ct/sub-01_CT.nii", "sub-01/anat/sub-01_T1w.nii.gz"),
        "sub-02_ses-02": (
            "sub-02/ses-02/ct/sub-02_ses-02_acq-bone_CT.nii.gz",
            "sub-02/ses-02/anat/sub-02_ses-02_T1w.nii.gz",
        ),
    }
    reasons = "\n".join(found.warnings)
    assert len(found.warnings) == 4
    assert "sub-02_ses-01 was left out: there is no fixed volume." in reasons
    assert (
        "sub-03 was left out: there are 2 moving volumes (sub-03_acq-a_T1w.nii.gz, sub-03_acq-b_T1w.nii.gz)" in reasons
    )
    assert "sub-04 was left out: there is no fixed volume." in reasons
    assert "sub-x y was left out: the name 'sub-x y' is not possible" in reasons
    assert "sub-03" in pairs(study_from_bids(tmp_path, fixed="CT", moving="acq-b_T1w"), tmp_path)


def test_what_is_no_bids_dataset(tmp_path):
    with pytest.raises(InputError, match="no BIDS dataset"):
        study_from_bids(tmp_path, fixed="T1w", moving="CT")
    (tmp_path / "sub-1").mkdir()
    for fixed, moving in (("T1w", "T1w"), ("", "CT"), ("T1w", "../x"), ("*", "CT")):
        with pytest.raises(InputError, match=r"was given|already"):
            study_from_bids(tmp_path, fixed=fixed, moving=moving)


def test_links_without_content_are_told(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    (tmp_path / "sub-01/anat/sub-01_T2w.nii.gz").symlink_to(tmp_path / "annex/gone")
    found = study_from_bids(tmp_path, fixed="T1w", moving="T2w")
    assert "is a link to a file that is not there" in found.warnings[0]


def test_patterns_of_folders_and_names(tmp_path, monkeypatch):
    touch(
        tmp_path,
        "data [1]/P01/ct.nrrd",
        "data [1]/P01/mr_t1.nrrd",
        "data [1]/P01/mr_t1.json",
        "data [1]/P02/ct.nrrd",
        "data [1]/P02/mr_t1.nrrd",
        "data [1]/P02/mr_t2.nrrd",
        "data [1]/P03/mr_t1.nrrd",
        "data [1]/-P4/ct.nrrd",
        "data [1]/-P4/mr.nrrd",
        "data [1]/notes.txt",
    )
    monkeypatch.chdir(tmp_path)
    found = study_from_pattern(fixed="data [1]/{case}/ct.nrrd", moving="data [1]/{case}/mr*")
    assert pairs(found, Path()) == {"P01": ("data [1]/P01/ct.nrrd", "data [1]/P01/mr_t1.nrrd")}
    reasons = "\n".join(found.warnings)
    assert "P02 was left out: there are 2 moving volumes (mr_t1.nrrd, mr_t2.nrrd)" in reasons
    assert "P03 was left out: there is no fixed volume" in reasons
    assert "-P4 was left out: the name '-P4' is not possible" in reasons


def test_the_name_may_be_there_twice_and_the_fixed_volume_is_not_moved(tmp_path):
    touch(tmp_path, "a/a_ct.nrrd", "a/b_ct.nrrd", "a/a_mr.nrrd", "b/b_ct.nrrd", "b/b_mr.nrrd")
    pattern = f"{tmp_path.as_posix()}/{{case}}/{{case}}_"
    found = study_from_pattern(fixed=f"{pattern}ct.nrrd", moving=f"{pattern}*.nrrd")
    assert pairs(found, tmp_path) == {"a": ("a/a_ct.nrrd", "a/a_mr.nrrd"), "b": ("b/b_ct.nrrd", "b/b_mr.nrrd")}


def test_folders_of_dicom_series_are_volumes(tmp_path):
    for name in ("A/CT", "A/MR", "B/CT"):
        (tmp_path / name).mkdir(parents=True)
    found = study_from_pattern(fixed=str(tmp_path / "{case}/CT"), moving=str(tmp_path / "{case}/MR"))
    assert pairs(found, tmp_path) == {"A": ("A/CT", "A/MR")}


@pytest.mark.parametrize(
    "pattern", ["data/*.nrrd", "{case}*.nrrd", "*{case}.nrrd", "{case}{case}", "**/{case}.nrrd", ""]
)
def test_patterns_that_could_be_read_in_several_ways(pattern):
    with pytest.raises(InputError, match=r"has no \{case\}|where the name of the case ends"):
        study_from_pattern(fixed=pattern, moving="{case}/mr.nrrd")


def test_what_is_written_is_read_back(tmp_path):
    names = ["=1+1/ct, [x].nrrd", "=1+1/mr; 'y'.nrrd", "P2/ct.nrrd", 'P2/"mr".nrrd']
    volumes = [write_volume(tmp_path / "data" / name) for name in names]
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "study.csv"
    write_study(path, FoundCases((FoundCase("one", *volumes[:2]), FoundCase("two", *volumes[2:])), ()))
    text = path.read_text(encoding="utf-8-sig")
    assert "../data/P2/ct.nrrd" in text
    assert str(tmp_path) not in text
    study = read_study(path)
    assert [(case.name, case.fixed, case.moving) for case in study.cases] == [
        ("one", *volumes[:2]),
        ("two", *volumes[2:]),
    ]
    write_study(tmp_path / "data" / "study.csv", FoundCases((FoundCase("one", *volumes[:2]),), ()))
    rows = list(csv.reader((tmp_path / "data" / "study.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert rows[1][1] == "./=1+1/ct, [x].nrrd"


def test_no_file_without_a_case(tmp_path):
    with pytest.raises(InputError, match="no case was found"):
        write_study(tmp_path / "study.csv", FoundCases((), ("sub-01 was left out: there is no fixed volume.",)))
    assert list(tmp_path.iterdir()) == []


FILE_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FILE_NAMES, max_size=4))
def test_whatever_files_are_called_a_study_comes_of_it(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("any")
    for name in {name for name in names if name not in (".", "..")}:
        touch(folder, f"{name}/ct.nrrd", f"{name}/mr.nrrd")
    found = study_from_pattern(
        fixed=f"{folder.as_posix()}/{{case}}/ct.nrrd", moving=f"{folder.as_posix()}/{{case}}/mr.nrrd"
    )
    assert all(name_problem(case.name) is None for case in found.cases)
    assert all(warning.isprintable() for warning in found.warnings)
