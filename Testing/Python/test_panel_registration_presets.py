"""The registration panel: presets of the user's own."""

from __future__ import annotations

import json

import pytest
from MultimodalRegistrationLib.engines.presets.preset import preset_files
from registration_panel import start

pytest.importorskip("PySide6.QtWidgets")
pytest_plugins = ["registration_panel"]


@pytest.fixture
def own_presets(monkeypatch, tmp_path):
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_HOME", str(tmp_path))
    return tmp_path / "presets"


def change_iterations(ui, value):
    table = ui.parametersTable
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
    table.item(rows["MaximumNumberOfIterations"], 1).setText(value)


@pytest.mark.story("U19")
def test_a_changed_preset_is_saved_under_a_name_and_chosen(slicer_app, own_presets, ready):
    ui, parameters = ready.ui, ready.widget._parameterNode
    change_iterations(ui, "70")
    slicer_app.dialog_answers.append("")
    ui.savePresetButton.click()
    assert not own_presets.exists(), "no name was given"
    slicer_app.dialog_answers.append("rigid")
    ui.savePresetButton.click()
    assert "a built-in preset has this name" in ui.messageLabel.text
    slicer_app.dialog_answers.append("my head")
    ui.savePresetButton.click()
    assert "Saved as my head" in ui.messageLabel.text
    assert parameters.preset == "my head"
    assert ui.presetBox.currentText == "my head (yours)"
    assert json.loads(parameters.changedParameters) == {}, "the preset it came from is as it was"
    process = start(slicer_app, ready)
    preset = process.asked("preset")
    assert (preset["name"], preset["engines"]["elastix"][0]["MaximumNumberOfIterations"]) == ("my head", 70)
    ready.ui.registerButton.click()


@pytest.mark.story("U12", "U19")
def test_files_of_others_are_imported(slicer_app, own_presets, ready, tmp_path):
    ui = ready.ui
    rigid = tmp_path / "b.txt"
    rigid.write_text(
        '(Transform "EulerTransform")\n(NumberOfResolutions 2)\n(MaximumNumberOfIterations 9)\n(Metrik 1)\n'
    )
    affine = tmp_path / "a.txt"
    affine.write_text(rigid.read_text().replace("Euler", "Affine").replace("(Metrik 1)\n", ""))
    slicer_app.dialog_answers += [[str(affine), str(rigid)], "two stages"]
    ui.importPresetsButton.click()
    assert "Imported: two stages." in ui.messageLabel.text
    assert "b.txt: line 4: unknown elastix parameter 'Metrik'. Did you mean Metric" in ui.messageLabel.text
    stages = json.loads((own_presets / "two stages.json").read_text())["engines"]["elastix"]
    assert [stage["Transform"] for stage in stages] == ["EulerTransform", "AffineTransform"]
    assert ready.widget._parameterNode.preset == "two stages"
    assert [ui.engineBox.itemText(i) for i in range(ui.engineBox.count)][1].startswith("elastix")
    slicer_app.dialog_answers.append([])
    ui.importPresetsButton.click()
    rigid.write_text("(Transform")
    slicer_app.dialog_answers.append([str(rigid)])
    ui.importPresetsButton.click()
    assert "is not between parentheses" in ui.messageLabel.text
    assert ui.presetBox.count == len(preset_files())


def test_sets_of_slicer_elastix_are_imported_at_once(slicer_app, own_presets, ready, tmp_path):
    (tmp_path / "rigid.txt").write_text('(Transform "EulerTransform")\n')
    xml = tmp_path / "ElastixParameterSetDatabase.xml"
    files = '<ParameterFiles><File Name="{1}"/></ParameterFiles>'
    one = f'<ParameterSet id="{{0}}" modality="CT" content="{{0}}">{files}</ParameterSet>'
    sets = one.format("hip", "rigid.txt") + one.format("knee", "rigid.txt") + one.format("gone", "gone.txt")
    xml.write_text(f"<ElastixParameterSetDatabase>{sets}</ElastixParameterSetDatabase>")
    slicer_app.dialog_answers.append([str(xml)])
    ready.ui.importPresetsButton.click()
    words = ready.ui.messageLabel.text
    assert "Imported: hip, knee." in words
    assert "set gone" in words
    assert ready.ui.presetBox.currentText == "CT (hip) (yours: hip)"
