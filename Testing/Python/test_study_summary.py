"""The summary of a study: order, exit code, files, and records and marks that cannot be read."""

from __future__ import annotations

import csv
import datetime
import json
import time

import MultimodalRegistrationLib
import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, centered_grid, rotation
from MultimodalRegistrationLib.assess.report.marks import mark_file, read_mark, write_mark
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.study.batch import summary as summary_file
from MultimodalRegistrationLib.study.batch.outcome import CASE_FILE, read_outcome
from MultimodalRegistrationLib.study.batch.summary import SUMMARY_WORDS, read_summary, write_summary
from MultimodalRegistrationLib.study.batch.thumbnail import HEIGHT, WIDTH, write_thumbnail
from study_folders import ERROR, add_case, make_outcome

MARK = {"mark": "approved", "name": "A. Reader", "comment": "fits", "when": "2026-11-22T10:00:00+00:00"}
COLUMNS = [
    "name",
    "verdict",
    "against",
    "error_subject",
    "error_found",
    "error_remedy",
    "estimated_error_mm",
    "moved_mm",
    "rotated_deg",
    "target_error_mm",
    "seconds",
    "attempts",
    "fixed",
    "moving",
    "transform",
    "report",
    "mark",
    "marked_by",
    "marked_when",
    "comment",
    "mark_problem",
]


def table_of(folder):
    with (folder / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def json_of(folder):
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_what_needs_a_look_comes_first(tmp_path):
    errors = {
        ("b", "verified"): 0.5, ("a", "verified"): 0.5, ("c", "verified"): 1.5, ("d", "verified"): None,
        ("e", "not judged"): None, ("g", "uncertain"): 2.0, ("f", "uncertain"): 3.0, ("h", "failed"): 0.1,
        ("k", "no result"): None, ("j", "no result"): None,
    }  # fmt: skip
    for (name, word), error in errors.items():
        add_case(tmp_path, make_outcome(name, word, estimated_error_mm=error))
    summary = read_summary(tmp_path, ["i", *(name for name, _ in errors)])
    assert [case.name for case in summary.cases] == ["j", "k", "i", "h", "f", "g", "e", "d", "c", "a", "b"]
    assert [case.name for case in summary.cases if case.word == "not run"] == ["i"]
    assert summary.counts == {
        "no result": 2, "not run": 1, "failed": 1, "uncertain": 2, "not judged": 1, "verified": 4,
    }  # fmt: skip
    assert list(summary.counts) == list(SUMMARY_WORDS)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["verified"], 0),
        (["verified", "uncertain"], 7),
        (["failed"], 6),
        (["uncertain", "failed", "verified"], 6),
        (["verified", "not judged"], 7),
        (["failed", "no result"], 8),
        (["verified", "not run"], 8),
    ],
)
def test_exit_code(tmp_path, words, code):
    for number, word in enumerate(words):
        if word != "not run":
            add_case(tmp_path, make_outcome(f"case{number}", word))
    assert read_summary(tmp_path, [f"case{number}" for number in range(len(words))]).exit_code == code


def test_table_and_json_say_the_same(tmp_path):
    add_case(tmp_path, make_outcome("one", "uncertain", target_error_mm=1.25, against=("First.", "Second.")))
    add_case(tmp_path, make_outcome("two", "no result", attempts=3))
    write_mark(tmp_path / "cases/one/qa/report.html", MARK)
    write_summary(tmp_path, read_summary(tmp_path, ["one", "two", "three"]))
    rows = table_of(tmp_path)
    assert list(rows) == ["two", "three", "one"]
    assert list(rows["one"]) == COLUMNS
    assert rows["one"] == {
        "name": "one",
        "verdict": "uncertain",
        "against": "First. Second.",
        "error_subject": "",
        "error_found": "",
        "error_remedy": "",
        "estimated_error_mm": "0.75",
        "moved_mm": "41.25",
        "rotated_deg": "12.5",
        "target_error_mm": "1.25",
        "seconds": "83.5",
        "attempts": "1",
        "fixed": "/data/one/ct.nrrd",
        "moving": "/data/one/t1.nii.gz",
        "transform": "cases/one/transform.h5",
        "report": "cases/one/qa/report.html",
        "mark": "approved",
        "marked_by": "A. Reader",
        "marked_when": MARK["when"],
        "comment": "fits",
        "mark_problem": "",
    }
    assert [rows["two"][f"error_{key}"] for key in ("subject", "found", "remedy")] == [
        ERROR.subject, ERROR.found, ERROR.remedy,
    ]  # fmt: skip
    assert rows["two"]["attempts"] == "3"
    assert rows["three"] == {**dict.fromkeys(COLUMNS, ""), "name": "three", "verdict": "not run"}
    content = json_of(tmp_path)
    assert content["schema"] == 1
    assert content["software"] == {"multimodal-registration": MultimodalRegistrationLib.__version__}
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(content["created"])
    assert age.total_seconds() < 60
    assert (content["exit_code"], content["study"]) == (8, tmp_path.name)
    one = {case["name"]: case for case in content["cases"]}["one"]
    assert one["target_error_mm"] == 1.25
    assert one["against"] == ["First.", "Second."]
    assert one["mark"] == MARK
    assert one["log"] == "cases/one/log.txt"
    assert one["thumbnail"] is None


DAMAGES = {
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "another schema": lambda text: text.replace('"schema": 1', '"schema": 2'),
    "another word": lambda text: text.replace('"verified"', '"fine"'),
    "a text for a number": lambda text: text.replace("83.5", '"<b>"'),
    "no number": lambda text: text.replace("0.75", "NaN"),
    "an error with a result": lambda text: text.replace(
        '"error": null', '"error": {"subject": "", "found": "", "remedy": ""}'
    ),
    "a number for a text": lambda text: text.replace('"/data/bad/ct.nrrd"', "7"),
    "sentences of numbers": lambda text: text.replace('"against": []', '"against": [1]'),
    "a report elsewhere": lambda text: text.replace("qa/report.html", "../../../secret.html"),
    "the record of another case": lambda text: text.replace('"name": "bad"', '"name": "other"'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_told_and_stops_nothing(tmp_path, damage):
    add_case(tmp_path, make_outcome("good"))
    record = add_case(tmp_path, make_outcome("bad")) / CASE_FILE
    text = record.read_text(encoding="utf-8")
    assert damage(text) != text
    record.write_text(damage(text), encoding="utf-8")
    summary = read_summary(tmp_path, ["good", "bad"])
    assert [(case.name, case.word) for case in summary.cases] == [("bad", "no result"), ("good", "verified")]
    error = summary.cases[0].error
    assert error.subject == str(record)
    assert "--resume" in error.remedy
    assert summary.exit_code == 8
    write_summary(tmp_path, summary)
    assert table_of(tmp_path)["bad"]["error_found"] == error.found


def test_a_whole_record_is_read_as_it_was_written(tmp_path):
    for number, word in enumerate(("verified", "no result")):
        outcome = make_outcome(f"case{number}", word)
        assert read_outcome(add_case(tmp_path, outcome)) == outcome


def break_json(report):
    mark_file(report).write_text("{", encoding="utf-8")


def mark_earlier_report(report):
    mark_file(report).write_text(json.dumps({**MARK, "report_created": "2020"}), encoding="utf-8")


def other_page(report):
    report.write_text("<p>Something else</p>", encoding="utf-8")


def damaged_page(report):
    report.write_text(report.read_text(encoding="utf-8").replace('{"mark"', '{"mork"'), encoding="utf-8")


def folder_for_mark(report):
    mark_file(report).mkdir()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (break_json, "not JSON"),
        (mark_earlier_report, "given to the report of 2020"),
        (other_page, "not a report"),
        (damaged_page, "not a report"),
        (folder_for_mark, "cannot be read"),
        (lambda report: report.unlink(), "no such report"),
    ],
)
def test_a_mark_that_cannot_be_read_is_told(tmp_path, change, words):
    report = add_case(tmp_path, make_outcome("one")) / "qa" / "report.html"
    change(report)
    summary = read_summary(tmp_path, ["one"])
    assert summary.cases[0].mark is None
    assert words in summary.cases[0].mark_problem
    write_summary(tmp_path, summary)
    assert words in table_of(tmp_path)["one"]["mark_problem"]
    assert "Mark not read" in (tmp_path / "summary.html").read_text(encoding="utf-8")


def test_a_mark_of_a_report_is_gathered(tmp_path):
    report = add_case(tmp_path, make_outcome("one")) / "qa" / "report.html"
    write_mark(report, MARK)
    assert read_summary(tmp_path, ["one"]).cases[0].mark == read_mark(report) == MARK


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@a", "\tx"])
def test_no_cell_is_a_formula(tmp_path, text):
    case = add_case(tmp_path, make_outcome("one", "failed", against=(text,), fixed=text))
    write_mark(case / "qa" / "report.html", {**MARK, "name": text, "comment": text})
    write_summary(tmp_path, read_summary(tmp_path, ["one"]))
    row = table_of(tmp_path)["one"]
    assert [row[key] for key in ("against", "fixed", "marked_by", "comment")] == [f"'{text}"] * 4


def test_texts_that_no_encoding_knows(tmp_path):
    add_case(tmp_path, make_outcome("one", "failed", against=("a\udce9b\u202e",), fixed="\ud800"), report=False)
    write_summary(tmp_path, read_summary(tmp_path, ["one"]))
    assert "\\udce9" in table_of(tmp_path)["one"]["against"]
    assert "a[U+DCE9]b[U+202E]" in (tmp_path / "summary.html").read_text(encoding="utf-8")


def test_files_are_replaced_together_or_not_at_all(tmp_path, monkeypatch):
    names = ("summary.csv", "summary.json", "summary.html")
    add_case(tmp_path, make_outcome("one"))
    write_summary(tmp_path, read_summary(tmp_path, ["one", "two"]))
    before = {name: (tmp_path / name).read_bytes() for name in names}
    assert table_of(tmp_path)["two"]["verdict"] == "not run"

    def broken(content):
        raise InputError("page", "broken", "None.")

    add_case(tmp_path, make_outcome("two"))
    summary = read_summary(tmp_path, ["one", "two"])
    with monkeypatch.context() as patched:
        patched.setattr(summary_file, "study_page", broken)
        with pytest.raises(InputError):
            write_summary(tmp_path, summary)
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    write_summary(tmp_path, summary)
    assert table_of(tmp_path)["two"]["verdict"] == "verified"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["cases", *names])


def test_no_files_are_told_that_are_not_there(tmp_path):
    case = add_case(tmp_path, make_outcome("one"))
    (case / "transform.h5").unlink()
    found = read_summary(tmp_path, ["one"]).cases[0]
    assert (found.transform, found.thumbnail, found.report) == (None, None, "cases/one/qa/report.html")


def pixels_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)


def orange(pixels):
    return (pixels[..., 0] > 150) & (pixels[..., 2] < 0.55 * pixels[..., 0])


GRID = centered_grid([128, 128, 60], [1.7, 1.7, 3.5], rotation([1, 0.3, -0.2], 12), [12, -31, 40])


@pytest.fixture(scope="module")
def head():
    return make_head("CT", GRID, np.eye(4) + np.pad([[12], [-31], [40]], ((0, 1), (3, 0))), seed=1)


def test_thumbnail_shows_three_planes_and_a_shift(tmp_path, head):
    for name, shift_mm in (("good", 0.0), ("bad", 25.0)):
        away = np.eye(4)
        away[0, 3] = shift_mm
        moved = sitk.Resample(head.image, head.image, sitk_from_matrix(away), sitk.sitkLinear, -1000.0)
        write_thumbnail(tmp_path / f"{name}.png", head, Volume(moved, "registered"))
    write_thumbnail(tmp_path / "alone.png", head, None)
    good, bad, alone = (pixels_of(tmp_path / f"{name}.png") for name in ("good", "bad", "alone"))
    assert good.shape == (HEIGHT, WIDTH, 3) == (240, 480, 3)
    assert not orange(alone).any()
    bright = alone.max(axis=(0, 2)) > 40
    begins, ends = (np.flatnonzero(np.diff(bright.astype(int)) == step) for step in (1, -1))
    # Beside the heads, the tip of an ear shows.
    assert np.count_nonzero(ends - begins > WIDTH // 5) == 3
    assert np.count_nonzero(ends - begins > 5) == 3
    # The outermost edge lies on the skin of the fixed volume, or a tenth of the head beside it.
    columns = [np.flatnonzero(orange(each).any(axis=0)).min() for each in (good, bad)]
    assert abs(columns[0] - np.flatnonzero(bright).min()) <= 2
    assert abs(columns[1] - columns[0]) >= 5


def test_thumbnail_of_a_part_shows_that_part(tmp_path, head):
    """What only the fixed volume shows is cut away, and planes go through what both show."""
    voxels = np.full(head.voxels.shape, -1000, dtype=head.voxels.dtype)
    voxels[30:, :, :64] = head.voxels[30:, :, :64]
    part = sitk.GetImageFromArray(voxels)
    part.CopyInformation(head.image)
    write_thumbnail(tmp_path / "part.png", head, Volume(part, "part"))
    write_thumbnail(tmp_path / "alone.png", head, None)
    shown, alone = pixels_of(tmp_path / "part.png"), pixels_of(tmp_path / "alone.png")
    assert orange(shown).sum() > 150
    assert not np.array_equal(shown[~orange(shown)], alone[~orange(shown)])


def test_thumbnail_of_a_constant_volume_is_refused(tmp_path):
    image = sitk.Image(CT_GRID.size, sitk.sitkInt16)
    CT_GRID.place(image)
    with pytest.raises(InputError, match="all voxels"):
        write_thumbnail(tmp_path / "none.png", Volume(image, "empty"), None)


def test_thumbnail_is_quick(tmp_path, head):
    moved = Volume(sitk.Image(head.image), "registered")
    write_thumbnail(tmp_path / "first.png", head, moved)
    start = time.process_time()
    for _ in range(3):
        write_thumbnail(tmp_path / "next.png", head, moved)
    seconds = (time.process_time() - start) / 3
    print(f"thumbnail of {head.grid.size}: {seconds:.3f} s of CPU")
    assert seconds < 0.2
