"""Study files: what is read, what is refused, and that no value can become another option or lead elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import PROJECT, centered_grid, rotation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.request import fields_of
from MultimodalRegistrationLib.engines import catalogue
from MultimodalRegistrationLib.engines.catalogue import ENGINES, EngineStatus
from MultimodalRegistrationLib.engines.presets.preset import find_preset, preset_content
from MultimodalRegistrationLib.register.request import DEFAULT_SEED, Stage
from MultimodalRegistrationLib.study.cases import Study, case_content, case_of
from MultimodalRegistrationLib.study.columns import NAME, REPORT, REQUESTS, all_columns
from MultimodalRegistrationLib.study.names import derived_name, name_problem, unique_name
from MultimodalRegistrationLib.study.read_study import read_study

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_volume(path: Path, seed: int = 1) -> Path:
    """An oblique, anisotropic, flipped volume of a few voxels."""
    grid = centered_grid([12, 10, 8], [9, 10, 14], rotation([1, 0.4, -0.2], 25) @ np.diag([1, -1, 1]), [5, -20, 33])
    voxels = np.random.default_rng(seed).integers(0, 900, (8, 10, 12)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_lps)
    image.SetDirection(grid.direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with volumes and other files, in which studies are written."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("ct.nrrd", "mr.nii.gz", "label map.nrrd", "P01/ct.nrrd", "P01/mr.nrrd", "-x.nrrd"):
        write_volume(folder / name)
    for name in ("a.fcsv", "b.fcsv", "T0.tfm", "roi.mrk.json", "empty.nrrd"):
        (folder / name).write_text("", encoding="utf-8")
    (folder / "mine.json").write_text(
        json.dumps({**preset_content(find_preset("rigid")), "name": "mine"}), encoding="utf-8"
    )
    return folder


def read(folder: Path, text: str | bytes, name: str = "study.csv", **options: object) -> Study:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return read_study(folder / name, **options)


def read_cases(folder: Path, *cases: object, **entries: object) -> Study:
    return read(folder, json.dumps({"schema": 1, "cases": cases, **entries}), "study.json")


def refusal(folder: Path, text: str | bytes, name: str = "study.csv") -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text, name)
    return caught.value.found


def request_of(study: Study, command: str, case: int = 0) -> Any:
    return next(step.request for step in study.cases[case].steps if step.command == command)


# What the commands have


@pytest.mark.parametrize("command", ["register", "preprocess", "qa"])
def test_every_option_of_a_request_is_a_column(command):
    columns = {column.field.flag for column in all_columns().values() if command in column.commands}
    options = {field.flag for field in fields_of(REQUESTS[command])}
    assert options - columns == {"preprocess": {"only-region"}, "qa": {"transform"}}.get(command, set())


def test_the_page_names_every_column():
    page = (PROJECT / "Resources/Docs/study-file.md").read_text(encoding="utf-8")
    missing = [name for name in (NAME, *all_columns(), REPORT) if f"`{name}`" not in page]
    assert missing == []


def test_the_examples_of_the_page_are_read(folder):
    page = (PROJECT / "Resources/Docs/study-file.md").read_text(encoding="utf-8")
    examples = re.findall(r"```(csv|json)\n(.*?)```", page, re.DOTALL)
    assert {kind for kind, _ in examples} == {"csv", "json"}
    place = folder / "page"
    for name in ("P01/ct.nrrd", "P01/mr.nrrd", "P01/labels.nrrd", "P01/pet.nii.gz", "P02/ct.nrrd", "P02/mr.nrrd"):
        write_volume(place / name)
    for name in ("P02/ct.fcsv", "P02/mr.fcsv", "P02/targets-ct.fcsv", "P02/targets-mr.fcsv"):
        (place / name).write_text("", encoding="utf-8")
    studies = [read(place, text, f"example.{kind}") for kind, text in examples]
    assert [[case.name for case in study.cases] for study in studies] == [["P01", "P02"]] * 2
    # Both say the same.
    assert [case.steps for case in studies[0].cases] == [case.steps for case in studies[1].cases]


# Reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_csv_in_all_its_forms(folder, encoding, delimiter, line_end):
    rows = [
        ["name", "fixed", "moving", "fixed-mask"],
        ["# a comment", '"', "", ""],
        ["", "", "", ""],
        ["one", '"ct.nrrd"', " mr.nii.gz ", '"label map.nrrd"'],
    ]
    text = line_end.join(delimiter.join(row) for row in rows) + line_end
    study = read(folder, text.encode(encoding))
    assert [case.name for case in study.cases] == ["one"]
    assert study.cases[0].where == "line 4"
    assert study.cases[0].fixed == folder / "ct.nrrd"
    assert request_of(study, "register").fixed_mask == str(folder / "label map.nrrd")


def test_paths_of_a_stage_may_hold_commas(folder):
    (folder / "Doe, Jane").mkdir()
    (folder / "Doe, Jane" / "mask.nrrd").write_bytes((folder / "label map.nrrd").read_bytes())
    case = {"fixed": "ct.nrrd", "moving": "P01/../mr.nii.gz"}
    study = read_cases(folder, {**case, "then": ["rigid,moving-mask=Doe, Jane/mask.nrrd"]})
    mask = str(folder / "Doe, Jane" / "mask.nrrd")
    assert request_of(study, "register").then == (Stage(preset="rigid", moving_mask=mask),)


def test_the_commands_understand_what_a_case_asks_for(folder):
    study = read_cases(
        folder,
        {
            "fixed": "ct.nrrd",
            "moving": "P01/../mr.nii.gz",
            "carry": ["label map.nrrd", "a.fcsv"],
            "preset": "mine.json",
            "then": ["rigid", "rigid,engine=simpleitk,fixed-mask=label map.nrrd"],
            "fixed-landmarks": "a.fcsv",
            "moving-landmarks": "b.fcsv",
            "fixed-space": "RAS",
            "max-rotation": 12.5,
            "seed": 7,
            "no-verdict": True,
            "targets-fixed": "a.fcsv",
            "targets-moving": "b.fcsv",
            "tolerance": "2",
            "preprocess.mask": "label map.nrrd",
            "preprocess.fixed-mask-labels": [3, "4"],
            "preprocess.bias-correct": "moving",
            "preprocess.mask-outside": "no",
        },
    )
    case = study.cases[0]
    assert [step.command for step in case.steps] == ["preprocess", "register", "qa"]
    assert case.moving == folder / "mr.nii.gz"
    options = request_of(study, "register")
    assert (options.fixed, options.moving) == (str(folder / "ct.nrrd"), str(folder / "mr.nii.gz"))
    assert options.carry == (str(folder / "label map.nrrd"), str(folder / "a.fcsv"))
    assert options.preset == str(folder / "mine.json")
    masked = Stage(preset="rigid", engine="simpleitk", fixed_mask=str(folder / "label map.nrrd"))
    assert options.then == (Stage(preset="rigid"), masked)
    assert (options.fixed_space, options.moving_space) == ("RAS", None)
    assert (options.max_rotation_deg, options.seed, options.verdict) == (12.5, 7, False)
    options = request_of(study, "qa")
    assert (options.targets_fixed, options.tolerance_mm, options.fixed_space) == (str(folder / "a.fcsv"), 2.0, "RAS")
    options = request_of(study, "preprocess")
    assert (options.mask, options.fixed_mask_labels) == (str(folder / "label map.nrrd"), (3, 4))
    assert (options.bias_correct, options.mask_outside, options.fixed_landmarks) == ("moving", False, None)


@pytest.mark.parametrize(
    ("report", "targets", "expected"),
    [("", "", "optional"), ("yes", "", "asked"), ("", "2", "asked"), ("NO", "2", None), ("no", "", None)],
)
def test_a_report_is_made_but_where_it_is_not_wanted(folder, report, targets, expected):
    study = read(folder, f"fixed;moving;report;tolerance\nct.nrrd;mr.nii.gz;{report};{targets}\n")
    made = {step.command: step for step in study.cases[0].steps}
    assert set(made) == ({"register"} if expected is None else {"register", "qa"})
    assert not made["register"].optional
    if expected is not None:
        assert made["qa"].optional == (expected == "optional")
        options = made["qa"].request
        assert (options.fixed, options.moving) == (str(folder / "ct.nrrd"), str(folder / "mr.nii.gz"))


def test_a_report_that_nobody_asked_for_is_no_other_case(folder):
    with_report, without, asked = (
        read(folder, f"fixed;moving;report\nct.nrrd;mr.nii.gz;{report}\n").cases[0] for report in ("", "no", "yes")
    )
    assert with_report.digest == without.digest != asked.digest
    assert case_of(json.loads(json.dumps(case_content(with_report)))) == with_report


def test_defaults_hold_for_all_cases_and_null_takes_one_away(folder):
    pair = {"fixed": "ct.nrrd", "moving": "mr.nii.gz"}
    study = read_cases(
        folder, {}, {"seed": None}, {"seed": 9, "fixed": "P01/ct.nrrd"}, defaults={**pair, "seed": 4, "report": False}
    )
    assert [request_of(study, "register", case).seed for case in range(3)] == [4, DEFAULT_SEED, 9]
    assert study.cases[2].fixed == folder / "P01/ct.nrrd"


def test_a_preset_for_the_cases_that_name_none(folder, monkeypatch):
    text = "fixed,moving,preset\nct.nrrd,mr.nii.gz,\nct.nrrd,mr.nii.gz,pet-mr-rigid\n"
    monkeypatch.chdir(folder)
    study = read(folder, text, preset="mine.json")
    presets = [request_of(study, "register", number).preset for number in (0, 1)]
    assert presets == [str(folder / "mine.json"), "pet-mr-rigid"]
    with pytest.raises(InputError, match="no preset of this name"):
        read(folder, text, preset="rigit")


def test_a_link_keeps_its_name(folder):
    (folder / "link.nrrd").unlink(missing_ok=True)
    (folder / "link.nrrd").symlink_to(folder / "ct.nrrd")
    study = read(folder, "fixed,moving,carry\nct.nrrd,P01/../mr.nii.gz,link.nrrd\n")
    assert request_of(study, "register").carry == (str(folder / "link.nrrd"),)


def test_the_digest_follows_what_is_asked_for(folder):
    text = "fixed,moving,seed\nct.nrrd,mr.nii.gz,{}\n"
    digests = [read(folder, text.format(seed)).cases[0].digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


# Names


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        ".hidden",
        "-x",
        "a/b",
        "/etc",
        "a\\b",
        "C:",
        "con",
        "NUL.txt",
        "lpt1",
        "a" * 81,
        "ä",
        "a b",
        "a.",
        "~",
    ],
)
def test_names_that_no_case_may_have(folder, name):
    assert name_problem(name) is not None
    assert "name" in refusal(
        folder,
        json.dumps({"schema": 1, "cases": [{"name": name, "fixed": "ct.nrrd", "moving": "mr.nii.gz"}]}),
        "s.json",
    )


def test_names_differ_also_without_capitals(folder):
    found = refusal(folder, "name,fixed,moving\nOne,ct.nrrd,mr.nii.gz\none,ct.nrrd,mr.nii.gz\n")
    assert "line 3: the name 'one' is that of line 2 already" in found


@pytest.mark.parametrize(
    ("fixed", "moving", "name"),
    [
        ("sub-01/anat/sub-01_ses-02_T1w.nii.gz", "sub-01/pet/sub-01_ses-02_pet.nii.gz", "sub-01_ses-02"),
        ("P01/ct.nrrd", "P01/mr.nrrd", "P01"),
        ("ct.nrrd", "mr.nrrd", "ct_mr"),
        ("CT/p7.nrrd", "MR/p7.mha", "p7"),
        ("p7.nrrd", "p7_mr.nrrd", "p7"),
        ("Köpf/ct.nrrd", "Köpf/mr.nrrd", "K-pf"),
        ("頭/頭.nrrd", "頭/頭.nrrd", None),
        ("con/ct.nrrd", "con/mr.nrrd", None),
    ],
)
def test_names_from_those_of_the_files(fixed, moving, name):
    base = Path("/data")
    assert derived_name(base / fixed, base / moving, folder=base) == name


def test_names_that_the_file_gives_come_first(folder):
    write_volume(folder / "頭.nrrd")
    study = read(folder, "name,fixed,moving\n,P01/ct.nrrd,P01/mr.nrrd\np01,ct.nrrd,mr.nii.gz\n,頭.nrrd,頭.nrrd\n")
    assert [case.name for case in study.cases] == ["P01-2", "p01", "case-003"]


@MANY
@given(st.text(max_size=90), st.text(max_size=90))
def test_no_name_leads_out_of_the_folder(one, other):
    base = Path("/out")
    names = [one] if name_problem(one) is None else []
    derived = derived_name(base / "x" / one.replace("\0", ""), base / other.replace("\0", ""), folder=base)
    names += [] if derived is None else [derived, unique_name(derived, {derived.lower()})]
    for name in names:
        assert name_problem(name) is None
        assert (base / name).resolve().parent == base.resolve()
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", name)


# What is wrong


def test_all_problems_are_told_at_once_with_their_lines(folder, capfd):
    found = refusal(
        folder,
        "name,fixed,moving,preset,engine,start,seed,fixed-landmarks,targets-moving,presett\n"
        "# comment\n"
        "a,ct.nrrd,missing.nrrd,rigit,,,,,,\n"
        "b,empty.nrrd,mr.nii.gz,,,here,0,a.fcsv,,\n"
        'c,ct.nrrd,"mr.nii.gz,,,,,,,\n'
        "d,,mr.nii.gz,,elastics,,x,,b.fcsv,\n"
        "e,ct.nrrd,mr.nii.gz,ct-mr-bone-rigid,nix,,,,,\n"
        "f,ct.nrrd,mr.nii.gz,,,,,,,,more\n",
    )
    for words in (
        "line 1: unknown column 'presett'. Did you mean preset",
        "line 3 (a): moving: .*missing.nrrd: no such file or folder",
        "line 3 (a): preset: rigit: no preset of this name",
        "line 4 (b): fixed: .*empty.nrrd: ",
        "line 4 (b): start: invalid choice: 'here'",
        "line 4 (b): seed: 0 was given",
        "line 4 (b): fixed-landmarks and moving-landmarks: only one of the two was given",
        "line 5: the row cannot be read",
        "line 6 (d): fixed: no volume was given",
        "line 6 (d): engine: invalid choice: 'elastics'",
        "line 6 (d): seed: invalid int value: 'x'",
        "line 6 (d): targets-fixed and targets-moving: only one of the two was given",
        "line 8: 11 fields, but the header has 10",
    ):
        assert re.search("^" + re.escape(words).replace(r"\.\*", ".*"), found, re.MULTILINE), words
    numbers = [int(number) for number in re.findall(r"^line (\d+)", found, re.MULTILINE)]
    assert numbers == sorted(numbers)
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_everywhere_is_told_once(folder):
    rows = "".join(f"case{number},ct.nrrd,gone.nrrd,{number}x\n" for number in range(60))
    lines = refusal(folder, f"name,fixed,moving,seed\n{rows}").splitlines()
    assert lines[0] == "61 problems"
    assert lines[1].startswith("line 2 (case0), line 3 (case1), line 4 (case2), line 5 (case3) and 56 more: moving: ")
    assert (len(lines), lines[-1]) == (52, "and 11 more")


PAIR = {"fixed": "ct.nrrd", "moving": "mr.nii.gz"}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"fixed": 3.5}, "3.5: no such file"),
        ({"fixed": ["ct.nrrd"]}, "fixed: a list was given"),
        ({"seed": True}, "seed: true or false was given"),
        ({"seed": {}}, "seed: an object was given"),
        ({"no-verdict": "perhaps"}, "neither yes nor no"),
        ({"max-translation": "nan"}, "max-translation: nan was given"),
        ({"tolerance": 0}, "tolerance: 0 was given"),
        ({"tolerance": 1e999}, "tolerance: inf was given"),
        ({"preprocess.margin": -1}, "preprocess.margin: -1 was given"),
        ({"preprocess.isotropic": 0}, "preprocess.isotropic: 0 was given"),
        (
            {"preprocess.roi": "roi.mrk.json", "preprocess.segment": "ct.nrrd"},
            "preprocess.roi and preprocess.segment: given together",
        ),
        (
            {"preprocess.segment-label": 2},
            "preprocess.segment-label and preprocess.segment: the first was given without the second",
        ),
        ({"preprocess.fixed-mask-labels": ["--json=/x"], "preprocess.mask": "ct.nrrd"}, "begin with a dash"),
        ({"preprocess.fixed-mask-labels": ["x"], "preprocess.mask": "ct.nrrd"}, "invalid int value"),
        ({"preprocess": "gone.json"}, "no such file or folder"),
        ({"preprocess": "."}, "this is a folder"),
        ({"then": "warp,engines=ants"}, "no setting of a stage"),
        ({"then": "warp,fixed-mask=gone.nrrd"}, "gone.nrrd: no such file"),
        ({"then": "warp,engine=simpleitk"}, "no settings for the engine"),
        ({"preset": "a/gone.json"}, "no such preset file"),
        ({"carry": ["ct.nrrd", "P01/ct.nrrd"]}, "several files would become ct.nrrd"),
        ({"carry": "T0.tfm"}, "not that of a volume"),
        ({"moving": "\ud800.nrrd"}, "this is not a path"),
        ({"moving": "a\0.nrrd"}, "this is not a path"),
        ({"moving": "x" * 5000 + ".nrrd"}, "moving: "),
        ({"output-volume": "/etc/x.nrrd"}, "unknown key 'output-volume'"),
        ({"run": "x"}, "unknown key 'run'"),
    ],
)
def test_cases_that_cannot_run(folder, case, words):
    text = json.dumps({"schema": 1, "cases": [{**PAIR, **case}]}).replace("Infinity", "1e999")
    found = refusal(folder, text, "study.json")
    assert words in found
    assert all(line.startswith("case 1: ") for line in found.splitlines()[1:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[]", "no study of schema 1"),
        ('{"schema": 2, "cases": []}', "no study of schema 1"),
        ('{"schema": true, "cases": []}', "no study of schema 1"),
        ('{"schema": 1, "cases": []}', "no case"),
        ('{"schema": 1, "cases": {}}', "'cases' is no list"),
        ('{"schema": 1, "cases": [], "defaults": []}', "'defaults' is no object"),
        ('{"schema": 1, "cases": [], "case": []}', "unknown entries: 'case'"),
        ('{"schema": 1, "cases": [{"seed": 1, "seed": 2}]}', "the key 'seed' is there twice"),
        ('{"schema": 1, "cases": [{"seed": NaN}]}', "the number NaN"),
        ('{"schema": 1, "cases": ' + "[" * 100_000, "nested too deeply"),
        ('{"schema": 1, "cases": [3, {"name": 4, "fixed": "gone"}]}', "case 1: this is no object"),
        ('{"schema": 1, "defaults": {"name": "a"}, "cases": [{}]}', "a name cannot be that of all cases"),
    ],
)
def test_json_that_is_no_study(folder, text, words):
    assert words in refusal(folder, text, "study.json")


def test_an_engine_that_is_not_installed_is_told_before_the_study_starts(folder, monkeypatch):
    monkeypatch.setattr(catalogue, "engine_status", lambda name: EngineStatus(ENGINES[name], None, None))
    found = refusal(folder, "fixed,moving,engine,then\nct.nrrd,mr.nii.gz,ants,\nct.nrrd,mr.nii.gz,,affine\n")
    assert "line 2: Engine ants: not installed" in found
    assert "line 3: then: Engine elastix: not installed" in found


def test_files_that_are_no_study(folder):
    assert "no study file" in refusal(folder, "fixed,moving\n", "study.yaml")
    assert "no case" in refusal(folder, "fixed,moving\n")
    assert "no case" in refusal(folder, "")
    assert "is there 2 times" in refusal(folder, "fixed,fixed\nct.nrrd,ct.nrrd\n")
    with pytest.raises(InputError, match="no such file"):
        read_study(folder / "gone.csv")


# Anything at all

WORDS = ["name", "fixed", "moving", "carry", "then", "seed", "preprocess.fixed-mask-labels", "ct.nrrd", "--json=/x"]
WORDS += [
    "mr.nii.gz",
    "..",
    "-x.nrrd",
    "|",
    ",",
    ";",
    "\n",
    '"',
    "#",
    "yes",
    "\ud800".encode("utf-8", "replace").decode(),
]


@MANY
@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(WORDS) | st.text(max_size=5)).map("".join)))
def test_any_text_is_a_study_or_an_input_error(folder, content):
    for name in ("any.csv", "any.json", "any.tsv"):
        data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        try:
            study = read(folder, data, name)
        except InputError as error:
            assert error.found.isprintable() or "\n" in error.found
        else:
            assert study.cases


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
KEYS = st.sampled_from([NAME, REPORT, *all_columns()])


@MANY
@given(st.lists(st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3), max_size=5), min_size=1, max_size=3))
def test_any_value_stays_the_value_of_its_own_option(folder, cases):
    text = json.dumps({"schema": 1, "defaults": PAIR, "cases": cases})
    try:
        study = read(folder, text.replace("NaN", "1").replace("Infinity", "1"), "any.json")
    except InputError:
        return
    for case, given_values in zip(study.cases, cases, strict=True):
        allowed = {column.field.name for column in all_columns().values() if column.name in {*given_values, *PAIR}}
        for step in case.steps:
            fields = fields_of(type(step.request))
            changed = {one.name for one in fields if getattr(step.request, one.name) != one.default}
            assert changed <= allowed
        assert name_problem(case.name) is None


def test_ten_thousand_cases_of_one_atlas_take_seconds(folder):
    rows = "".join(f"case{number},ct.nrrd,mr.nii.gz,rigid,{number + 1}\n" for number in range(10_000))
    study = read(folder, f"name,fixed,moving,then,seed\n{rows}")
    assert len(study.cases) == 10_000
