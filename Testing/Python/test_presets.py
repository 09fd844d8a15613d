"""Presets: the built-in ones are valid, and every kind of mistake in one is named."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.engines.presets.preset import (
    find_preset,
    load_preset_file,
    preset_files,
    user_preset_folder,
)

BEYOND_RIGID = {"affine", "similarity", "deformable", "warp"}
REQUIRED = {"rigid", "affine", "ct-mr-head-rigid", "ct-mr-bone-rigid", "pet-mr-rigid"}


@pytest.fixture
def content():
    return json.loads(find_preset("rigid").path.read_text(encoding="utf-8"))


@pytest.fixture
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_HOME", str(tmp_path / "home"))


def save(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mine.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_built_in_presets_are_valid_and_support_every_engine():
    assert set(preset_files()) >= REQUIRED
    for name in preset_files():
        preset = find_preset(name)
        assert preset.name == name
        assert list(preset.engines)[:2] == ["elastix", "ants"]
        # SimpleITK's optimisers do not find scale and shear reliably, so it has rigid settings only.
        assert ("simpleitk" in preset.engines) == (name not in BEYOND_RIGID)


@pytest.mark.usefixtures("_home")
def test_users_presets_are_found_and_hide_built_in_ones(content):
    content.update(name="rigid", title="Mine")
    path = save(user_preset_folder(), content)
    path.rename(path.with_name("rigid.json"))
    assert find_preset("rigid").title == "Mine"


def test_a_preset_file_can_be_given_by_path(tmp_path, content):
    assert find_preset(save(tmp_path, content)).name == "rigid"


def test_unknown_names_get_a_suggestion():
    with pytest.raises(InputError, match=r"Did you mean rigid"):
        find_preset("rigd")


MISTAKES = {
    "schema 9": (lambda c: c.update(schema=9), "this version reads schema 1"),
    "unknown key": (lambda c: c.update(tittle="x"), "unknown key 'tittle'. Did you mean title"),
    "missing key": (lambda c: c.pop("description"), "'description' is missing"),
    "wrong type": (lambda c: c.update(name=3), "'name' must be a str"),
    "percentiles": (lambda c: c.update(winsorize_percentiles=[99, 1]), "two rising numbers"),
    "no engines": (lambda c: c.update(engines={}), "'engines' is empty"),
    "engine": (lambda c: c["engines"].update(elastics=[{}]), "unknown engine 'elastics'. Did you mean elastix"),
    "stages": (lambda c: c["engines"].update(ants=[]), "'ants' must hold a list of stages"),
    "elastix name": (
        lambda c: c["engines"]["elastix"][0].update(NumberOfHistogramBin=32),
        "elastix stage 1: unknown elastix parameter 'NumberOfHistogramBin'. Did you mean NumberOfHistogramBins",
    ),
    "elastix reserved": (lambda c: c["engines"]["elastix"][0].update(RandomSeed=3), "set by the seed"),
    "elastix transform": (
        lambda c: c["engines"]["elastix"][0].update(Transform="SplineKernelTransform"),
        "'Transform' must be one of",
    ),
    "elastix levels": (
        lambda c: c["engines"]["elastix"][0].update(MaximumNumberOfIterations=[9, 9]),
        "one for each resolution",
    ),
    "elastix list": (lambda c: c["engines"]["elastix"][0].update(NumberOfResolutions=[3]), "positive whole number"),
    "elastix count": (lambda c: c["engines"]["elastix"][0].update(NumberOfResolutions="three"), "positive whole"),
    "ants name": (lambda c: c["engines"]["ants"][0].update(bins=32), "ants stage 1: unknown setting 'bins'"),
    "ants missing": (lambda c: c["engines"]["ants"][0].pop("sampling"), "'sampling' is missing"),
    "ants value": (lambda c: c["engines"]["ants"][0].update(sampling_rate=1.5), "at most 1"),
    "ants levels": (lambda c: c["engines"]["ants"][0].update(shrink_factors=[2]), "one value per level"),
    "simpleitk value": (lambda c: c["engines"]["simpleitk"][0].update(transform="spline"), "rigid, similarity, affine"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path, content, mistake):
    change, message = MISTAKES[mistake]
    change(content)
    path = save(tmp_path, content)
    with pytest.raises(InputError) as caught:
        load_preset_file(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path, content):
    content["engines"]["ants"][0]["bins"] = 32
    content["engines"]["elastix"][0]["Metrik"] = "x"
    with pytest.raises(InputError, match=r"(?s)Metrik.*bins|bins.*Metrik"):
        load_preset_file(save(tmp_path, content))


def test_broken_json_is_located(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{\n "schema": 1,,\n}', encoding="utf-8")
    with pytest.raises(InputError, match="line 2, column 14"):
        load_preset_file(path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(["schema", "name", "winsorize_percentiles", "engines"]), value=JSON_VALUES)
def test_any_value_is_either_valid_or_refused_in_words(tmp_path_factory, key, value):
    content = copy.deepcopy(json.loads(find_preset("rigid").path.read_text(encoding="utf-8")))
    content[key] = value
    path = save(tmp_path_factory.mktemp("preset"), content)
    try:
        load_preset_file(path)
    except InputError as error:
        assert "not a valid preset" in str(error)


@given(engine=st.sampled_from(["elastix", "ants", "simpleitk"]), data=st.data(), value=JSON_VALUES)
def test_any_stage_value_is_either_valid_or_refused_in_words(tmp_path_factory, engine, data, value):
    content = json.loads(find_preset("rigid").path.read_text(encoding="utf-8"))
    stage = content["engines"][engine][0]
    stage[data.draw(st.sampled_from(sorted(stage)))] = value
    path = save(tmp_path_factory.mktemp("preset"), content)
    try:
        load_preset_file(path)
    except InputError as error:
        assert f"{engine} stage 1" in str(error)
