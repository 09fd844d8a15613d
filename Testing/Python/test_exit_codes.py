"""Exit codes, the same of every command and in every text, and what a result leaves that is not to be used."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import PROJECT, run_command
from MultimodalRegistrationLib import run_batch
from MultimodalRegistrationLib.cli import main as entry
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core import errors
from MultimodalRegistrationLib.core.errors import ExitCode, exit_code_of_verdicts
from MultimodalRegistrationLib.io.outputs import with_word
from MultimodalRegistrationLib.io.run_records import find_record
from MultimodalRegistrationLib.io.transforms import read_transform
from MultimodalRegistrationLib.register import job as register_job
from MultimodalRegistrationLib.study.batch.outcome import read_outcome
from study_cases import QUICK, batch, tiny_study

PAGE = (PROJECT / "Resources" / "Docs" / "command-line.md").read_text(encoding="utf-8")
EVERYTHING = {"T.h5", "R.nrrd", "carried", "r.json"}


# The table


def test_the_page_has_the_table():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.split("## Exit codes")[1].split("\n## ")[0], re.MULTILINE)
    assert [(int(code), words) for code, words in rows] == [(one.value, one.words) for one in ExitCode]


def test_the_page_of_batch_agrees():
    text = (PROJECT / "Resources" / "Docs" / "batch.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| (\d) \|", text.split("| exit code | means |")[1], re.MULTILINE)
    assert {int(code) for code in codes} <= set(ExitCode)


def test_every_help_has_the_table(capsys):
    for command in ([], ["register"], ["structures"], ["batch"], ["qa"], ["check"], ["doctor"], ["batch", "init"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        text = re.sub(r"\s+", " ", capsys.readouterr().out)
        assert "Exit codes: " in text
        for one in ExitCode:
            assert f"{one.value} {one.words}" in text


def test_errors_and_scripts_have_codes_of_the_table():
    codes = {kind.__name__: kind.exit_code for kind in (errors.RegistrationError, errors.InputError)}
    assert codes == {"RegistrationError": ExitCode.UNEXPECTED, "InputError": ExitCode.INPUT}
    assert errors.EngineError.exit_code == ExitCode.ENGINE_FAILED == 3
    assert errors.Cancelled.exit_code == ExitCode.CANCELLED == 4
    assert errors.EngineNotInstalledError.exit_code == ExitCode.ENGINE_NOT_INSTALLED == 5
    assert run_batch._UNEXPECTED == ExitCode.UNEXPECTED == 1
    # Other processes read it as a number.
    assert type(errors.Cancelled().content()["exit_code"]) is int


@pytest.mark.parametrize(
    ("words", "required", "code"),
    [
        (["verified"], None, 0),
        (["uncertain"], None, 0),
        ([None], None, 0),
        ([], "verified", 0),
        (["failed", "verified"], None, 6),
        (["uncertain", "failed"], "verified", 6),
        (["verified", "uncertain"], "verified", 7),
        (["verified", None], "verified", 7),
        (["verified", "verified"], "verified", 0),
    ],
)
def test_the_worst_verdict_decides(words, required, code):
    assert exit_code_of_verdicts(words, required) == code


def test_no_command_has_a_code_of_its_own():
    """A number other than 0 for a code stands in the table only."""
    for path in sorted((PROJECT / "MultimodalRegistration" / "MultimodalRegistrationLib" / "cli").rglob("*.py")):
        found = re.findall(r"^ *(?:return|sys\.exit\(|os\._exit\() ?[1-9]\b.*$", path.read_text(encoding="utf-8"), re.M)
        assert found == [], path
    assert set(entry._MODULES) >= {"register", "structures", "batch", "doctor", "mark"}


def test_every_command_that_judges_has_the_options():
    for name in ("register", "structures"):
        parser = argparse.ArgumentParser()
        importlib.import_module(f"MultimodalRegistrationLib.cli.{name}").add_parser(parser.add_subparsers())
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([name, "--require", "uncertain"])
        assert ended.value.code == ExitCode.INPUT


@pytest.mark.parametrize(
    ("name", "expected"),
    [("T.h5", "T.failed.h5"), ("a.b.TFM", "a.b.failed.TFM"), (".h5", ".failed.h5"), ("x.txt", "x.failed.txt")],
)
def test_the_suffix_still_tells_the_file_type(tmp_path, name, expected):
    assert with_word(tmp_path / name, "failed") == tmp_path / expected


# register


@pytest.fixture(scope="module")
def volumes(tmp_path_factory, head_ct, head_mr):
    """A CT, an MRI and noise, all of few voxels, and a quick preset."""
    study = tiny_study(tmp_path_factory.mktemp("exit") / "s", head_ct, head_mr, 1)
    image = sitk.ReadImage(str(study.parent / "moving-0.nrrd"))
    noise = np.random.default_rng(3).normal(size=sitk.GetArrayViewFromImage(image).shape).astype(np.float32)
    made = sitk.GetImageFromArray(noise)
    made.CopyInformation(image)
    sitk.WriteImage(made, str(study.parent / "noise.nrrd"))
    return study.parent


def arguments(volumes, moving="noise.nrrd"):
    quick = ("--preset", volumes / "quick.json", "--start", "given", "--max-translation", 10, "--max-rotation", 10)
    return ["register", "--fixed", volumes / "fixed.nrrd", "--moving", volumes / moving, *quick]


def outputs(volumes, folder):
    return [
        *("--output-transform", folder / "T.h5", "--output-volume", folder / "R.nrrd", "--json", folder / "r.json"),
        *("--carry", volumes / "moving-0.nrrd", "--carry-dir", folder / "carried"),
    ]


@pytest.fixture(scope="module")
def failed(volumes, tmp_path_factory):
    """A run whose verdict is failed, in a process of its own; the folder had files of an earlier run."""
    folder = tmp_path_factory.mktemp("failed")
    for name in ("T.h5", "R.nrrd", "r.json", "T.failed.h5"):
        (folder / name).write_text("old")
    return folder, run_command(*arguments(volumes), *outputs(volumes, folder))


def test_a_failed_result_is_not_written_under_its_name(failed):
    folder, done = failed
    assert done.returncode == ExitCode.FAILED, done.stderr
    assert {path.name for path in folder.iterdir()} == {*EVERYTHING, "T.failed.h5"}
    assert {(folder / name).read_text() for name in ("T.h5", "R.nrrd")} == {"old"}
    assert list((folder / "carried").iterdir()) == []
    result = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert (result["verdict"]["word"], result["exit_code"]) == ("failed", 6)
    assert result["outputs"] == {"transform": str(folder / "T.failed.h5"), "volume": None}
    assert result["carried"] == []
    record = find_record(folder / "T.failed.h5", read_transform(folder / "T.failed.h5"))
    assert (record.source, record.verdict["word"]) == ("r.json", "failed")


def test_the_message_says_what_was_not_written_why_and_what_to_do(failed):
    folder, done = failed
    told = done.stderr.splitlines()[-1]
    names = ", ".join(f'"{folder / name}"' for name in ("T.h5", "R.nrrd", "carried/moving-0.nrrd"))
    assert told.startswith(f"Warning: Not written, because the verdict is failed: {names}.")
    assert f'The transform is in "{folder / "T.failed.h5"}", for a look only.' in told
    old = ", ".join(f'"{folder / name}"' for name in ("T.h5", "R.nrrd"))
    assert f"These were there before and are not results of this run: {old}." in told
    assert "Next, look at it" in told
    assert "--keep-failed" in told
    assert done.stdout.splitlines()[-1] == f"Transform: {folder / 'T.failed.h5'}"


def test_other_commands_take_the_transform_of_a_failed_run(failed, volumes, tmp_path, capsys):
    file = failed[0] / "T.failed.h5"
    pair = ("--fixed", volumes / "fixed.nrrd", "--moving", volumes / "noise.nrrd")
    for call in (
        ["qa", *pair, "--transform", file, "--output-dir", tmp_path / "qa"],
        ["picture", *pair, "--transform", file, "--output", tmp_path / "P.png"],
        ["transform", "invert", file, "--output-transform", tmp_path / "I.h5"],
        ["transform", "convert", file, "--to", "elastix", tmp_path / "t.txt", *pair],
        [
            *("transform", "apply", file, "--moving-to-fixed", volumes / "noise.nrrd"),
            *("--reference", volumes / "fixed.nrrd", "--output-dir", tmp_path / "applied"),
        ],
    ):
        assert main([str(part) for part in call]) == 0, capsys.readouterr().err
    quality = json.loads((tmp_path / "qa" / "quality.json").read_text(encoding="utf-8"))
    assert quality["verdict"]["word"] == "bad"
    assert [one["name"] for one in quality["methods"]] == ["T.failed.h5"]


@pytest.fixture(scope="module")
def result(volumes):
    """What the command gets from the engine, kept for runs that differ in what is done with it."""
    kept = []
    real = register_job.register

    def remember(*given, **options):
        kept.append(real(*given, **options))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(register_job, "register", remember)
        calls = [*arguments(volumes), "--output-transform", volumes / "unused.h5"]
        assert main([str(part) for part in calls]) == ExitCode.FAILED
    return kept[0]


@pytest.fixture
def judged(result, monkeypatch):
    """Have the next runs end with a verdict."""

    def set_word(word):
        verdict = None if word is None else dataclasses.replace(result.verdict, word=word)
        made = dataclasses.replace(result, verdict=verdict, seconds=dict(result.seconds))
        monkeypatch.setattr(register_job, "register", lambda *given, **options: made)

    return set_word


@pytest.mark.parametrize(
    ("word", "options", "code", "files"),
    [
        ("failed", [], 6, {"T.failed.h5", "r.json", "carried"}),
        ("failed", ["--require", "verified"], 6, {"T.failed.h5", "r.json", "carried"}),
        ("failed", ["--keep-failed"], 6, EVERYTHING),
        ("uncertain", [], 0, EVERYTHING),
        ("uncertain", ["--keep-failed"], 0, EVERYTHING),
        ("uncertain", ["--require", "verified"], 7, {"T.uncertain.h5", "r.json", "carried"}),
        ("uncertain", ["--require", "verified", "--keep-failed"], 7, EVERYTHING),
        ("verified", ["--require", "verified"], 0, EVERYTHING),
        (None, ["--no-verdict"], 0, EVERYTHING),
    ],
)
def test_codes_and_files(volumes, judged, tmp_path, capsys, word, options, code, files):
    judged(word)
    assert main([str(part) for part in (*arguments(volumes), *outputs(volumes, tmp_path), *options)]) == code
    assert {path.name for path in tmp_path.iterdir()} == files
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (transform,) = (name for name in files if name.endswith(".h5"))
    volume = str(tmp_path / "R.nrrd") if "R.nrrd" in files else None
    assert content["outputs"] == {"transform": str(tmp_path / transform), "volume": volume}
    assert (content["exit_code"], len(content["carried"])) == (code, int(volume is not None))
    assert read_transform(tmp_path / transform).matrix is not None
    told = capsys.readouterr().err
    assert ("Not written" in told) == (volume is None)
    assert ("--require verified was given" in told) == (code == 7 and volume is None)


@pytest.mark.parametrize("suffix", [".h5", ".tfm", ".txt", ".mat"])
def test_every_file_type_stays_readable(volumes, judged, tmp_path, suffix):
    judged("failed")
    call = [*arguments(volumes), "--output-transform", tmp_path / f"T{suffix}", "--quiet"]
    assert main([str(part) for part in call]) == ExitCode.FAILED
    assert [path.name for path in tmp_path.iterdir()] == [f"T.failed{suffix}"]
    assert read_transform(tmp_path / f"T.failed{suffix}").matrix is not None


def test_the_quiet_are_told_too(volumes, judged, tmp_path, capsys):
    judged("failed")
    call = [str(part) for part in (*arguments(volumes), "--output-transform", tmp_path / "T.h5", "--quiet")]
    assert main(call) == ExitCode.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Not written" in captured.err


def test_verdicts_that_are_required_but_not_made_are_a_mistake_of_usage(volumes, tmp_path, capsys):
    call = [*arguments(volumes), "--output-transform", tmp_path / "T.h5", "--require", "verified", "--no-verdict"]
    assert main([str(part) for part in call]) == ExitCode.INPUT
    assert "--require and --no-verdict: given together" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_input_is_not_overwritten_by_a_failed_result(volumes, judged, tmp_path, capsys):
    """As where the transform of a failed run is looked at, mended and given as the start of the next one."""
    judged("failed")
    start = tmp_path / "T.failed.h5"
    sitk.WriteTransform(sitk.AffineTransform(3), str(start))
    before = start.read_bytes()
    call = [*arguments(volumes), "--initial-transform", start, "--output-transform", tmp_path / "T.h5"]
    assert main([str(part) for part in call]) == ExitCode.INPUT
    told = capsys.readouterr().err
    assert f"{start}: this is also an input, and a transform whose verdict is failed would get this name" in told
    assert main([*(str(part) for part in call), "--keep-failed"]) == ExitCode.FAILED
    assert (start.read_bytes(), (tmp_path / "T.h5").exists()) == (before, True)


# batch


@pytest.fixture(scope="module")
def study(volumes, tmp_path_factory):
    """A case that fails, the same with all its files kept, the same with nothing said, and one that is not judged."""
    common = {"fixed": "fixed.nrrd", "preset": "quick.json", "start": "given", "max-translation": 10}
    cases = [
        {"name": "bad", "moving": "noise.nrrd", "report": True, "carry": ["noise.nrrd"]},
        {"name": "kept", "moving": "noise.nrrd", "keep-failed": True},
        {"name": "plain", "moving": "noise.nrrd"},
        {"name": "unjudged", "moving": "moving-0.nrrd", "no-verdict": True},
    ]
    path = volumes / "judged.json"
    path.write_text(json.dumps({"schema": 1, "cases": [{**common, **case} for case in cases]}), encoding="utf-8")
    folder = tmp_path_factory.mktemp("batch") / "D"
    return path, folder, batch(path, "--output-dir", folder, "--workers", "1")


def test_a_failed_case_has_no_transform_of_the_usual_name(study):
    _, folder, (code, printed) = study
    assert code == ExitCode.FAILED, printed
    assert "3 failed, 1 not judged. Summary: " in printed
    assert {path.parent.name for path in folder.glob("cases/*/transform.h5")} == {"kept", "unjudged"}
    bad, kept = (folder / "cases" / name for name in ("bad", "kept"))
    assert {path.name for path in bad.iterdir() if path.is_file()} == {
        *("transform.failed.h5", "RESULT.json", "case.json", "log.txt", "thumbnail.png"),
    }
    assert list((bad / "carried").iterdir()) == []
    assert (kept / "registered.nrrd").exists()
    result = json.loads((bad / "RESULT.json").read_text(encoding="utf-8"))
    assert result["outputs"] == {"transform": "transform.failed.h5", "volume": None}
    # A person sees it as if it had been written.
    assert (bad / "thumbnail.png").read_bytes() == (kept / "thumbnail.png").read_bytes()
    quality = json.loads((bad / "qa" / "quality.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in quality["methods"]] == ["transform.failed.h5"]
    assert (folder / "cases" / "plain" / "qa" / "report.html").exists(), "what failed is what one wants to look at"
    assert "Not written, because the verdict is failed" in (bad / "log.txt").read_text(encoding="utf-8")


def test_the_summary_tells_where_the_transform_is(study):
    _, folder, _ = study
    content = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert content["exit_code"] == ExitCode.FAILED
    assert {one["name"]: (one["verdict"], one["transform"]) for one in content["cases"]} == {
        "bad": ("failed", "cases/bad/transform.failed.h5"),
        "kept": ("failed", "cases/kept/transform.h5"),
        "plain": ("failed", "cases/plain/transform.failed.h5"),
        "unjudged": ("not judged", "cases/unjudged/transform.h5"),
    }


def test_a_failed_case_has_ended(study):
    path, folder, _ = study
    before = {name: (folder / "cases" / name / "case.json").read_bytes() for name in ("bad", "kept", "unjudged")}
    for options in (["--resume"], ["--only", "failed"]):
        code, printed = batch(path, "--output-dir", folder, *options)
        assert code == ExitCode.FAILED, printed
        assert {name: (folder / "cases" / name / "case.json").read_bytes() for name in before} == before
    assert read_outcome(folder / "cases" / "bad").word == "failed"


def test_a_study_that_requires_what_it_does_not_judge_is_refused(volumes, tmp_path):
    columns = {**QUICK, "require": "verified"}
    path = volumes / "contradiction.csv"
    path.write_text(
        f"name,fixed,moving,{','.join(columns)}\na,fixed.nrrd,moving-0.nrrd,{','.join(columns.values())}\n",
        encoding="utf-8",
    )
    code, printed = batch(path, "--output-dir", tmp_path / "D")
    assert code == ExitCode.INPUT
    assert "require and no-verdict: given together. Leave one of them out" in printed
    path.write_text(path.read_text().replace(",yes,", ",no,"), encoding="utf-8")
    assert batch(path, "--output-dir", tmp_path / "D", "--dry-run")[0] == ExitCode.DONE
