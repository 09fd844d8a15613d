"""Presets from files of elastix, ANTs and their Slicer extensions, and back: nothing is lost in silence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.engines.presets.ants_files import stage_arguments
from MultimodalRegistrationLib.engines.presets.elastix_files import elastix_text, parse_elastix
from MultimodalRegistrationLib.engines.presets.exchange import export_preset, import_presets
from MultimodalRegistrationLib.engines.presets.preset import (
    find_preset,
    preset_content,
    preset_files,
    save_presets,
    user_preset_folder,
)

# What presets cannot hold yet; a test for each of them turns round once they can.
DEFORMABLE_ELASTIX = "SplineKernelTransform"
DEFORMABLE_ANTS = "BSplineSyN"

RIGID = """// A comment of (mine)
(FixedImageDimension 3)
(UseDirectionCosines "true")   // trailing (comment)

  (Transform "EulerTransform")
(NumberOfResolutions 2)
(MaximumNumberOfIterations 250 500)
(ImagePyramidSchedule 4 4 2  1 1 1)
\t(Metric "AdvancedMattesMutualInformation")
(MaximumStepLength 1.5e-1)
(NewSamplesEveryIteration "true")
(ResultImageFormat "nii.gz")
"""
SPLINE = RIGID.replace("EulerTransform", DEFORMABLE_ELASTIX)

SLICER_ANTS = {
    "stages": [
        {
            "transformParameters": {"transform": "Rigid", "settings": "0.2"},
            "metrics": [{"type": "MI", "fixed": None, "moving": None, "settings": "1,40,Random,0.3"}],
            "levels": {
                "steps": [
                    {"convergence": 900, "smoothingSigmas": 3, "shrinkFactors": 6},
                    {"convergence": 0, "smoothingSigmas": 0.5, "shrinkFactors": 1},
                ],
                "smoothingSigmasUnit": "vox",
                "convergenceThreshold": 7,
                "convergenceWindowSize": 12,
            },
            "masks": {"fixed": None, "moving": None},
        }
    ],
    "outputSettings": {"transform": None, "volume": None, "interpolation": "Linear"},
    "initialTransformSettings": {"initializationFeature": 1},
    "generalSettings": {
        "dimensionality": 3,
        "histogramMatching": 0,
        "winsorizeImageIntensities": [0.005, 0.995],
        "computationPrecision": "float",
    },
}
ANTS_STAGE = {
    "transform": "rigid",
    "gradient_step": 0.2,
    "histogram_bins": 40,
    "sampling": "Random",
    "sampling_rate": 0.3,
    "iterations": [900, 0],
    "convergence_threshold": 1e-7,
    "convergence_window": 12,
    "shrink_factors": [6, 1],
    "smoothing_sigmas_vox": [3, 0.5],
}
SCRIPT = """#!/bin/bash
# antsRegistration of two heads
ref=$1
/opt/ants/bin/antsRegistration -d 3 --float 1 -r [ $ref, $2, 1 ] -w [0.005,0.995] \\
  -m mattes[ $ref, $2 , 1 , 40, random, 0.3 ] \\
  -t rigid[ 0.2 ] -c [900x0,1e-7,12] -s 3x0.5 -f 6x1 -o [ out ]
"""


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_HOME", str(tmp_path / "home"))


def write(path, text):
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def same(imported, preset, engine):
    """Whether two presets hold the same but for the engines that were not exported."""
    wanted = {**preset_content(preset), "engines": {engine: preset.engines[engine]}}
    return preset_content(imported) == wanted


BUILT_IN = [(name, engine) for name in sorted(preset_files()) for engine in ("elastix", "ants")]


@pytest.mark.parametrize(("name", "engine"), BUILT_IN)
def test_every_preset_comes_back_as_it_was_exported(tmp_path, name, engine):
    preset = find_preset(name)
    files, notes = export_preset(preset, engine, tmp_path)
    assert notes == []
    groups = [files] if engine == "elastix" else [[file] for file in files]
    for group in groups:
        imported = import_presets(group)
        assert same(imported.presets[0], preset, engine)
        assert imported.unknown == imported.refused == ()


@pytest.mark.parametrize("name", sorted(preset_files()))
def test_elastix_reads_what_is_exported(tmp_path, name):
    elx = pytest.importorskip("itk.elxParameterObjectPython")
    preset = find_preset(name)
    for file, stage in zip(export_preset(preset, "elastix", tmp_path)[0], preset.engines["elastix"], strict=True):
        reader = elx.elastixParameterObject_New()
        reader.AddParameterFile(str(file))
        read = dict(reader.GetParameterMap(0))
        for key, value in stage.items():
            values = value if isinstance(value, list) else [value]
            assert list(read[key]) == [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
        assert list(read["FixedImageDimension"]) == ["3"]


NAMES = st.from_regex(r"[A-Za-z]\w{0,12}", fullmatch=True).filter(str.isascii)
TEXTS = st.text(st.characters(codec="ascii", min_codepoint=32, exclude_characters='"/'), min_size=1, max_size=9)
VALUES = st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


def is_word(value):
    """Whether elastix and this library tell a text from a number or a truth value: quotes make no difference."""
    parsed = parse_elastix(f'(A "{value}")', Path("f"))["A"].value
    return isinstance(parsed, str)


@given(
    stage=st.dictionaries(
        NAMES,
        VALUES | st.lists(VALUES, min_size=2, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_any_parameters_are_read_as_they_were_written(stage):
    def comparable(value):
        values = value if isinstance(value, list) else [value]
        return all(not isinstance(v, str) or is_word(v) for v in values)

    stage = {key: value for key, value in stage.items() if comparable(value) and key != "TransformParameters"}
    parsed = parse_elastix(elastix_text(stage), Path("f"))
    assert {key: parsed[key].value for key in stage} == stage


@pytest.mark.parametrize("value", ['say "yes"', "http://example.org", "two\nlines", ""])
def test_texts_that_elastix_cannot_read_are_not_written(value):
    with pytest.raises(InputError, match="elastix cannot read"):
        elastix_text({"Transform": value})


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
def test_a_parameter_file_of_elastix_becomes_a_preset(tmp_path, ends, mark):
    path = tmp_path / "My rigid.txt"
    path.write_bytes((mark + RIGID.replace("\n", ends)).encode())
    imported = import_presets([path])
    (preset,) = imported.presets
    assert preset.name == "My-rigid"
    assert preset.winsorize_percentiles == (0.0, 100.0)
    assert preset.engines == {
        "elastix": [
            {
                "Transform": "EulerTransform",
                "NumberOfResolutions": 2,
                "MaximumNumberOfIterations": [250, 500],
                "ImagePyramidSchedule": [4, 4, 2, 1, 1, 1],
                "Metric": "AdvancedMattesMutualInformation",
                "MaximumStepLength": 0.15,
                "NewSamplesEveryIteration": True,
                "ResultImageFormat": "nii.gz",
            }
        ]
    }
    assert imported.notes == (
        f"{path}: left out, since every run sets them by itself: FixedImageDimension, UseDirectionCosines.",
    )


def test_misspelled_parameters_are_told_with_their_line_and_left_out(tmp_path, capsys):
    path = write(tmp_path / "a.txt", RIGID + "(NumberOfHistogramBin 32)\n(Metric0Weight 1.0)\n(ErodeMask0 0)\n")
    imported = import_presets([path])
    (words,) = imported.unknown
    assert "line 13: unknown elastix parameter 'NumberOfHistogramBin'. Did you mean NumberOfHistogramBins" in words
    assert "NumberOfHistogramBin" not in imported.presets[0].engines["elastix"][0]
    assert "Metric0Weight" in imported.presets[0].engines["elastix"][0]
    assert main(["presets", "check", str(path)]) == 2
    assert "NumberOfHistogramBins" in capsys.readouterr().err


def test_defaults_of_elastix_are_filled_in_and_told(tmp_path):
    text = RIGID.replace("(NumberOfResolutions 2)\n", "").replace("(MaximumNumberOfIterations 250 500)\n", "")
    imported = import_presets([write(tmp_path / "a.txt", text)])
    stage = imported.presets[0].engines["elastix"][0]
    assert (stage["NumberOfResolutions"], stage["MaximumNumberOfIterations"]) == (3, 500)
    assert "NumberOfResolutions 3, MaximumNumberOfIterations 500" in imported.notes[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(Transform EulerTransform\n", "line 1: '(Transform EulerTransform' is not between parentheses"),
        ('(Transform "EulerTransform)\n', "line 1: .* odd number of quotes"),
        ("\n(Transform)\n", "line 2: .* is not a name and a value"),
        ('(Transform "")\n', "line 1: 'Transform' has no value"),
        ("(A 1)\n(A 2)\n", "line 2: 'A' stands in line 1 already"),
        ("(Trans-form 1)\n", "is not a name and a value"),
        ("(TransformParameters 0 0 0)\n", "this is a transform that elastix wrote"),
        ("// nothing\n", "these are no registration settings"),
        (RIGID.replace("Dimension 3", "Dimension 2"), "line 2: FixedImageDimension is 2"),
        (RIGID.replace('"EulerTransform"', "5"), r"stage 1 \(5\): 'Transform' must be one of"),
    ],
)
def test_files_that_elastix_would_refuse_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message.replace("(T", r"\(T")):
        import_presets([write(tmp_path / "a.txt", text)])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", SPLINE),
        (
            "p.json",
            {
                **SLICER_ANTS,
                "stages": [
                    {
                        **SLICER_ANTS["stages"][0],
                        "transformParameters": {"transform": DEFORMABLE_ANTS, "settings": "0.1,3,0"},
                    }
                ],
            },
        ),
        ("p.sh", SCRIPT.replace("rigid[ 0.2 ]", f"{DEFORMABLE_ANTS}[ 0.1,3,0 ]")),
    ],
)
def test_a_deformable_stage_is_refused_by_its_name(tmp_path, name, content):
    with pytest.raises(InputError, match=rf"stage 1 \(({DEFORMABLE_ELASTIX}|{DEFORMABLE_ANTS})\)"):
        import_presets([write(tmp_path / name, content)])


def test_stages_that_bend_are_imported(tmp_path):
    spline = RIGID.replace("EulerTransform", "BSplineTransform")
    files = [write(tmp_path / "rigid.txt", RIGID), write(tmp_path / "spline.txt", spline)]
    (both,) = import_presets(files, name="both").presets
    assert [stage["Transform"] for stage in both.engines["elastix"]] == ["EulerTransform", "BSplineTransform"]
    (bent,) = import_presets([write(tmp_path / "p.sh", SCRIPT.replace("rigid[ 0.2 ]", "SyN[ 0.1,3,0 ]"))]).presets
    stage = bent.engines["ants"][0]
    assert (stage["transform"], stage["gradient_step"]) == ("syn", 0.1)
    assert (stage["update_smoothing_voxels"], stage["total_smoothing_voxels"]) == (3, 0)
    assert "SyN[0.1,3,0]" in stage_arguments(stage, "F", "M")


def test_the_stage_that_cannot_be_is_named_among_several(tmp_path):
    files = [write(tmp_path / "rigid.txt", RIGID), write(tmp_path / "spline.txt", SPLINE)]
    with pytest.raises(InputError, match=rf"spline.txt: stage 2 \({DEFORMABLE_ELASTIX}\)"):
        import_presets(files, name="both")


def test_a_preset_of_slicer_ants_is_imported(tmp_path):
    imported = import_presets([write(tmp_path / "basic.json", SLICER_ANTS)])
    (preset,) = imported.presets
    assert preset.engines == {"ants": [ANTS_STAGE]}
    assert (preset.name, preset.winsorize_percentiles) == ("basic", (0.5, 99.5))
    assert imported.notes == ()


def test_a_script_that_calls_ants_is_imported(tmp_path):
    imported = import_presets([write(tmp_path / "heads.sh", SCRIPT)], name="heads")
    (preset,) = imported.presets
    assert preset.engines == {"ants": [ANTS_STAGE]}
    assert (preset.name, preset.winsorize_percentiles) == ("heads", (0.5, 99.5))
    assert "--initial-moving-transform left out" in imported.notes[0]


def test_stages_of_a_script_begin_with_the_transform_or_with_the_metric(tmp_path):
    affine = "-t affine[0.1] -m mi[a,b,1,32] -c 10 -f 1 -s 0mm"
    call = f"antsRegistration -d 3 -t rigid[0.1] -m mi[a,b,1,32] -c 10 -f 2 -s 1mm {affine}\n"
    (preset,) = import_presets([write(tmp_path / "a.txt", call)]).presets
    rigid, second = preset.engines["ants"]
    assert (rigid["transform"], rigid["smoothing_sigmas_mm"], rigid["shrink_factors"]) == ("rigid", [1], [2])
    assert (second["transform"], second["smoothing_sigmas_mm"], second["sampling"]) == ("affine", [0], "None")


ANTS_MISTAKES = {
    "two metrics": (
        SCRIPT.replace("-t rigid", "-m cc[a,b,1,4] -t rigid"),
        "stage 1 .rigid.: its metric is mattes and cc",
    ),
    "metric": (SCRIPT.replace("mattes", "cc"), "its metric is cc"),
    "2D": (SCRIPT.replace("-d 3", "-d 2"), "not for 3D"),
    "no levels": (SCRIPT.replace("-s 3x0.5", ""), "convergence, shrink factors or smoothing sigmas"),
    "levels": (SCRIPT.replace("-f 6x1", "-f 6"), "one value per level"),
    "bins": (SCRIPT.replace("40,", "forty,"), "'forty' is not a number"),
    "no transform": (SCRIPT.replace("-t rigid[ 0.2 ]", ""), "has no --transform"),
    "twice": (SCRIPT + SCRIPT, "calls antsRegistration 2 times"),
    "quote": (SCRIPT.replace("$2 ,", "'$2 ,"), "cannot be read"),
    "winsorize": (SCRIPT.replace("0.005,", "low,"), "is not a pair of numbers"),
}


@pytest.mark.parametrize("mistake", ANTS_MISTAKES)
def test_calls_of_ants_that_presets_cannot_hold_are_refused(tmp_path, mistake):
    text, message = ANTS_MISTAKES[mistake]
    with pytest.raises(InputError, match=message):
        import_presets([write(tmp_path / "a.sh", text)])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    ("generalSettings",),
    ("generalSettings", "winsorizeImageIntensities"),
    ("generalSettings", "dimensionality"),
    ("multimodalRegistrationPreset",),
    ("stages",),
    ("stages", 0),
    ("stages", 0, "metrics"),
    ("stages", 0, "metrics", 0, "settings"),
    ("stages", 0, "metrics", 0, "type"),
    ("stages", 0, "levels", "steps"),
    ("stages", 0, "levels", "steps", 0, "convergence"),
    ("stages", 0, "levels", "smoothingSigmasUnit"),
    ("stages", 0, "levels", "convergenceThreshold"),
    ("stages", 0, "transformParameters", "transform"),
]


@given(place=st.sampled_from(PLACES), value=JSON_VALUES)
def test_any_value_in_a_preset_of_slicer_ants_is_imported_or_refused(tmp_path_factory, place, value):
    content = json.loads(json.dumps(SLICER_ANTS))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path = write(tmp_path_factory.mktemp("ants") / "a.json", content)
    try:
        assert import_presets([path]).presets
    except InputError as error:
        assert str(path) in str(error)


def test_smoothing_in_voxels_reaches_ants(tmp_path):
    assert stage_arguments(ANTS_STAGE, "F", "M") == [
        *("--transform", "Rigid[0.2]", "--metric", "MI[F,M,1,40,Random,0.3]"),
        *("--convergence", "[900x0,1e-07,12]", "--shrink-factors", "6x1", "--smoothing-sigmas", "3x0.5vox"),
    ]
    (preset,) = import_presets([write(tmp_path / "basic.json", SLICER_ANTS)]).presets
    both = dataclasses.replace(preset, engines={"ants": [{**ANTS_STAGE, "smoothing_sigmas_mm": [1, 1]}]})
    with pytest.raises(InputError, match="exclude each other"):
        import_presets([write(tmp_path / "both.json", preset_content(both))])


def test_a_threshold_that_slicer_ants_cannot_hold_is_told(tmp_path):
    (preset,) = import_presets([write(tmp_path / "basic.json", SLICER_ANTS)]).presets
    odd = dataclasses.replace(preset, engines={"ants": [{**ANTS_STAGE, "convergence_threshold": 2.5e-6}]})
    (tmp_path / "out").mkdir()
    (file,), notes = export_preset(odd, "ants", tmp_path / "out")
    assert "2.5e-06 is not a power of ten" in notes[0]
    assert same(import_presets([file]).presets[0], odd, "ants")


DATABASE = """<ElastixParameterSetDatabase>
  <ParameterSet id="one-#ab_=" modality="CT &amp; MR" content="head" description="Rigid." publications="Someone 2020">
    <ParameterFiles><File Name="rigid.txt" /></ParameterFiles>
  </ParameterSet>
  <ParameterSet id="two" modality="CT" content="" description="" publications="">
    <ParameterFiles><File Name="rigid.txt" /><File Name="spline.txt" /></ParameterFiles>
  </ParameterSet>
  <ParameterSet id="three"><ParameterFiles><File Name="../rigid.txt" /></ParameterFiles></ParameterSet>
  <ParameterSet id="four"><ParameterFiles><File Name="gone.txt" /></ParameterFiles></ParameterSet>
  <ParameterSet id="five"/>
</ElastixParameterSetDatabase>
"""


def database(folder):
    folder.mkdir(parents=True)
    write(folder / "rigid.txt", RIGID)
    write(folder / "spline.txt", SPLINE)
    return write(folder / "ElastixParameterSetDatabase.xml", DATABASE)


def test_all_sets_of_slicer_elastix_are_imported_and_the_others_are_named(tmp_path):
    imported = import_presets([database(tmp_path / "Elastix")])
    (preset,) = imported.presets
    assert (preset.name, preset.title) == ("one-ab_", "CT & MR (head)")
    assert preset.description == "Rigid. Someone 2020."
    assert [error.subject.split("set ")[1].split(":")[0] for error in imported.refused] == [
        "two",
        "three",
        "four",
        "five",
    ]
    assert f"stage 2 ({DEFORMABLE_ELASTIX})" in str(imported.refused[0])


def test_the_folder_of_a_user_of_slicer_elastix_is_imported(tmp_path, capsys):
    for name in ("a", "b"):
        path = database(tmp_path / "Elastix" / name)
        path.write_text(path.read_text().replace("one-#ab_=", f"mine {name}"))
        path.rename(path.with_name("preset.xml"))
    assert main(["presets", "import", str(tmp_path / "Elastix")]) == 0
    assert {path.stem for path in user_preset_folder().glob("*.json")} == {"mine-a", "mine-b"}
    assert capsys.readouterr().err.count(f"stage 2 ({DEFORMABLE_ELASTIX})") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<x>", "this is not XML"),
        ("<x/>", "holds no parameter sets"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "defines its own XML entities"),
    ],
)
def test_other_xml_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        import_presets([write(tmp_path / "a.xml", text)])


def test_a_preset_is_copied_edited_shared_and_imported(tmp_path, capsys):
    assert main(["presets", "copy", "rigid", "mine"]) == 0
    path = user_preset_folder() / "mine.json"
    assert str(path) in capsys.readouterr().out
    content = json.loads(path.read_text())
    content["engines"]["elastix"][0]["MaximumNumberOfIterations"] = 77
    path.write_text(json.dumps(content))
    assert find_preset("mine").engines["elastix"][0]["MaximumNumberOfIterations"] == 77
    assert main(["presets", "copy", "mine", "shared", "--to", str(tmp_path / "shared.json")]) == 0
    assert main(["presets", "import", str(tmp_path / "shared.json")]) == 0
    assert find_preset("shared").engines == find_preset("mine").engines
    main(["presets", "list"])
    assert "shared            Rigid, any two modalities (yours)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rigid", "built-in"),
        ("MINE", "a preset of yours"),
        ("a/b", "cannot be the name"),
        ("con", "Windows"),
        ("COM1.x", "Windows"),
        ("..", "cannot"),
        ("", "cannot"),
    ],
)
def test_names_that_are_taken_or_no_file_names_are_refused(name, message):
    save_presets([dataclasses.replace(find_preset("rigid"), name="mine")])
    with pytest.raises(InputError, match=message):
        save_presets([dataclasses.replace(find_preset("rigid"), name=name)])


def test_either_all_presets_are_saved_or_none(tmp_path):
    rigid = find_preset("rigid")
    with pytest.raises(InputError, match="given for two outputs"):
        save_presets([dataclasses.replace(rigid, name=name) for name in ("a", "b", "a")])
    assert list(user_preset_folder().iterdir()) == []
    with pytest.raises(InputError, match="input"):
        save_presets([dataclasses.replace(rigid, name="x")], file=rigid.path)


@pytest.mark.story("U12")
def test_export_and_import_on_the_command_line(tmp_path, capsys):
    assert main(["presets", "export", "affine", "--engine", "elastix", "--output-dir", str(tmp_path)]) == 0
    files = capsys.readouterr().out.split()
    assert [Path(file).name for file in files] == ["affine.1.EulerTransform.txt", "affine.2.AffineTransform.txt"]
    assert main(["presets", "import", *files, "--name", "again"]) == 0
    assert find_preset("again").engines["elastix"] == find_preset("affine").engines["elastix"]
    assert main(["presets", "export", "again", "--engine", "ants", "--output-dir", str(tmp_path)]) == 2
    assert "It has settings for: elastix" in capsys.readouterr().err
    assert main(["presets", "import", files[0], str(tmp_path / "none.txt")]) == 2
    assert main(["presets", "import", str(database(tmp_path / "db")), "--name", "x"]) == 2
    assert main(["presets", "check", str(database(tmp_path / "db2"))]) == 2
