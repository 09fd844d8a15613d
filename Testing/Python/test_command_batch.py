"""The command for a whole study: what it prints, its exit codes, and its entries in Slicer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import PROJECT, run_command
from MultimodalRegistrationLib.assess.request import AssessRequest
from MultimodalRegistrationLib.cli.case_worker import _add_report
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.study.batch.outcome import read_outcome
from MultimodalRegistrationLib.study.batch.run_case import _outcome
from MultimodalRegistrationLib.study.cases import Case, Step
from study_cases import QUICK, batch, results_of, tiny_study

LIBRARY = PROJECT / "MultimodalRegistration" / "MultimodalRegistrationLib"


@pytest.fixture(scope="module")
def study(tmp_path_factory, head_ct, head_mr):
    return tiny_study(tmp_path_factory.mktemp("study") / "s", head_ct, head_mr, 3)


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "D"
    code, printed = batch(study, "--output-dir", folder, "--workers", "2")
    return folder, code, printed


@pytest.mark.story("U34")
def test_what_is_printed_and_written(done):
    folder, code, printed = done
    assert code == 7
    lines = printed.splitlines()
    assert [line.split("]")[0] for line in lines[:3]] == ["[1 of 3", "[2 of 3", "[3 of 3"]
    assert all(": not judged, " in line for line in lines[:3])
    assert lines[3].startswith("3 not judged. Summary: ")
    assert {path.name for path in (folder / "cases" / "case-0").iterdir()} == {
        *("transform.h5", "registered.nrrd", "RESULT.json", "case.json", "log.txt", "thumbnail.png")
    }
    assert "elastix" in (folder / "cases" / "case-0" / "log.txt").read_text()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["counts"]["not judged"] == 3
    assert not (folder / ".running").exists()


def test_nothing_in_the_results_names_where_they_were_made(done):
    """They get their place by renaming their folder."""
    folder, _, _ = done
    for path in folder.rglob("*.json"):
        assert ".running" not in path.read_text()
    result = json.loads((folder / "cases" / "case-0" / "RESULT.json").read_text())
    assert result["inputs"]["fixed"].endswith("fixed.nrrd")


def test_the_result_is_that_of_register(done, study, tmp_path):
    folder, _, _ = done
    made = tmp_path / "registered.nrrd"
    run = run_command(
        *("register", "--fixed", study.parent / "fixed.nrrd", "--moving", study.parent / "moving-1.nrrd"),
        *("--preset", study.parent / "quick.json", "--start", "given", "--no-verdict", "--threads", "1", "--quiet"),
        *("--output-transform", tmp_path / "transform.h5", "--output-volume", made),
    )
    assert run.returncode == 0, run.stderr
    case = folder / "cases" / "case-1"
    assert made.read_bytes() == (case / "registered.nrrd").read_bytes()
    assert (tmp_path / "transform.h5").read_bytes() == (case / "transform.h5").read_bytes()


def test_the_summary_alone(done):
    folder, _, _ = done
    before = (folder / "summary.html").read_bytes()
    (folder / "summary.html").unlink()
    code, printed = batch("--summary", folder)
    assert code == 7
    assert "3 not judged" in printed
    assert len((folder / "summary.html").read_bytes()) == len(before)
    code, printed = batch("--summary", folder.parent)
    assert code == 2
    assert "no study was run in this folder" in printed


def test_a_dry_run_starts_nothing(study, tmp_path):
    code, printed = batch(study, "--output-dir", tmp_path / "D", "--dry-run")
    assert code == 0
    assert "case-2 (line 4): " in printed
    assert not (tmp_path / "D").exists()


def test_all_that_is_wrong_is_told_at_once(study, tmp_path):
    wrong = study.with_name("wrong.csv")
    wrong.write_text("name,fixed,moving,presett\na,fixed.nrrd,none.nrrd,x\n../b,fixed.nrrd,moving-0.nrrd,\n")
    code, printed = batch(wrong, "--output-dir", tmp_path / "D")
    assert code == 2
    assert "presett" in printed
    wrong.write_text("name,fixed,moving\na,fixed.nrrd,none.nrrd\n../b,fixed.nrrd,moving-0.nrrd\n")
    code, printed = batch(wrong, "--output-dir", tmp_path / "D")
    assert code == 2
    assert "line 2" in printed
    assert "line 3" in printed
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "Give a whole number from 1"),
        (["--timeout", "0"], "Give a number above zero"),
        (["--retry", "-1"], "Give a whole number from 0"),
        ([], "--output-dir: was not given"),
    ],
)
def test_options_that_make_no_sense(study, tmp_path, options, message):
    place = ["--output-dir", tmp_path / "D"] if options else []
    code, printed = batch(study, *place, *options)
    assert code == 2
    assert message in printed


@pytest.mark.story("U20")
def test_several_volumes_to_one(study, tmp_path):
    folder = study.parent
    code, printed = batch(
        *("--fixed", folder / "fixed.nrrd", "--moving", folder / "moving-0.nrrd", folder / "moving-1.nrrd"),
        *("--preset", folder / "quick.json", "--output-dir", tmp_path / "D"),
    )
    assert code in (0, 6, 7), printed
    assert {path.name for path in (tmp_path / "D" / "cases").iterdir()} == {"moving-0", "moving-1"}
    code, printed = batch("--fixed", folder / "fixed.nrrd", "--output-dir", tmp_path / "E")
    assert code == 2
    assert "--moving: was not given" in printed


def test_every_step_of_a_case(study, tmp_path):
    """Preprocessing, a volume that rides along, and a report."""
    text = study.read_text().splitlines()
    assert (text[0].split(",")[-1], text[1].split(",")[-1]) == ("report", "no")
    rows = [f"{text[0]},carry,preprocess.margin", f"{text[1].removesuffix('no')}yes,moving-0.nrrd|moving-1.nrrd,4"]
    changed = study.with_name("steps.csv")
    changed.write_text("\n".join(rows) + "\n")
    code, printed = batch(changed, "--output-dir", tmp_path / "D")
    assert code in (0, 6, 7), printed
    case = tmp_path / "D" / "cases" / "case-0"
    assert {path.name for path in (case / "carried").iterdir()} == {"moving-0.nrrd", "moving-1.nrrd"}
    assert (case / "qa" / "report.html").exists()
    assert (case / "preprocess" / "fixed.nrrd").exists()
    outcome = read_outcome(case)
    assert outcome.report == "qa/report.html"
    assert ".running" not in (case / "qa" / "report.html").read_text(encoding="utf-8")


def test_a_case_gets_a_report_to_look_at_and_to_mark(study, done, tmp_path):
    """Without targets, and without a word about a report; it takes nothing back and is marked like any other."""
    header, first, second = study.read_text().splitlines()[:3]
    changed = study.with_name("default.csv")
    changed.write_text("\n".join([header, first.replace(",no", ","), second]) + "\n")
    code, printed = batch(changed, "--output-dir", tmp_path / "D")
    assert code == done[1], printed
    case, without = (tmp_path / "D" / "cases" / name for name in ("case-0", "case-1"))
    assert {path.name for path in (case / "qa").iterdir()} == {"report.html", "quality.json", "methods.csv"}
    assert not (without / "qa").exists()
    assert (read_outcome(case).report, read_outcome(without).report) == ("qa/report.html", None)
    assert results_of(tmp_path / "D").items() <= results_of(done[0]).items()
    marked = run_command("mark", case / "qa" / "report.html", "--as", "doubtful", "--name", "me")
    assert marked.returncode == 0, marked.stderr
    batch("--summary", tmp_path / "D")
    found = {one["name"]: one for one in json.loads((tmp_path / "D" / "summary.json").read_text())["cases"]}
    assert found["case-0"]["mark"]["mark"] == "doubtful"
    assert found["case-0"]["verdict"] == "not judged"
    assert 'href="cases/case-0/qa/report.html"' in (tmp_path / "D" / "summary.html").read_text(encoding="utf-8")
    # The reports are no reason to run anything again.
    code, printed = batch(study, "--output-dir", tmp_path / "E")
    assert "[3 of 3]" in printed
    full = changed.with_name("again.csv")
    full.write_text(study.read_text().replace(",no\n", ",\n"))
    code, printed = batch(full, "--output-dir", tmp_path / "E", "--resume")
    assert code == done[1], printed
    assert "of 3]" not in printed


def test_a_report_that_cannot_be_made_takes_no_result_away(study, tmp_path, monkeypatch, capsys):
    """As where the whole volumes do not fit into memory: told in the log, and nothing half is left."""
    monkeypatch.chdir(tmp_path)
    case = Case(
        "one",
        "line 2",
        study,
        study,
        (Step("qa", AssessRequest(fixed="none.nrrd", moving="none.nrrd"), optional=True),),
    )
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / "methods.csv").touch()
    (tmp_path / "RESULT.json").write_text('{"outputs": {"transform": "none.h5"}}')
    with EngineSessions() as engines:
        _add_report(case, engines, 1.0)
    assert "there is no report of this case" in capsys.readouterr().out
    assert not (tmp_path / "qa").exists()


@pytest.mark.parametrize(("optional", "word"), [(True, "uncertain"), (False, "failed")])
def test_the_verdict_is_that_of_the_registration_but_where_quality_was_asked_for(tmp_path, optional, word):
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / "report.html").touch()
    judged = {"word": "uncertain", "against": ["A reason."], "estimated_error_mm": 1.0}
    (tmp_path / "RESULT.json").write_text(json.dumps({"verdict": judged}))
    quality = {"verdict": {"word": "bad", "sentence": "Do not rely on it.", "reasons": ["Bad."]}}
    (tmp_path / "qa" / "quality.json").write_text(json.dumps(quality))
    case = Case(
        "one", "line 2", tmp_path, tmp_path, (Step("qa", AssessRequest(fixed="f", moving="m"), optional=optional),)
    )
    outcome = _outcome(case, tmp_path, None, 1, 1.0)
    assert (outcome.word, outcome.report) == (word, "qa/report.html")
    assert outcome.against == (("A reason.",) if optional else ("A reason.", "Do not rely on it.", "Bad."))


def test_a_study_of_folders(study, tmp_path):
    made = tmp_path / "made.csv"
    run = run_command(
        *("batch", "init", made, "--fixed", study.parent.parent / "{case}" / "fixed.nrrd"),
        *("--moving", study.parent.parent / "{case}" / "moving-2.nrrd"),
    )
    assert run.returncode == 0, run.stderr
    assert "1 cases" in run.stdout
    code, printed = batch(made, "--output-dir", tmp_path / "D", "--dry-run")
    assert code == 0, printed


def test_the_script_for_slicer(done, study, tmp_path):
    """The same entry, under plain Python."""
    content = {"schema": 1, "cases": [{"fixed": "fixed.nrrd", "moving": f"moving-{n}.nrrd", **QUICK} for n in range(3)]}
    for case in content["cases"]:
        case["no-verdict"] = True
    path = study.with_name("study.json")
    path.write_text(json.dumps(content))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, str(LIBRARY / "run_batch.py"), *map(str, arguments)], capture_output=True, text=True
        )

    assert (LIBRARY / "run_batch.py").read_bytes().isascii()
    ran = run(path, "--output-dir", tmp_path / "D")
    assert ran.returncode == 7, ran.stderr
    folder, _, _ = done
    assert list(results_of(tmp_path / "D").values()) == list(results_of(folder).values())
    assert run("--wrong").returncode == 2
    assert run(tmp_path / "none.csv", "--output-dir", tmp_path / "E").returncode == 2


def test_the_logic_in_slicer(slicer_app, done, study, tmp_path):
    import slicer

    slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    logic = slicer.util.getModuleLogic("MultimodalRegistration")
    assert logic.runBatch(str(study), str(tmp_path / "D"), "--quiet") == 7
    folder, _, _ = done
    assert results_of(tmp_path / "D") == results_of(folder)
    assert logic.runBatch(str(study), str(tmp_path / "D"), "--quiet") == 2
    assert logic.runBatch(str(study), str(tmp_path / "D"), "--unknown") == 2
