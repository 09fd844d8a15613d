"""Jobs as JSON: what is written is read again, and what cannot be used is named."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json

import MultimodalRegistrationLib
import pytest
from conftest import PROJECT
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.cli.jobs import _MODULES, Job, job_of, job_schema, requests_of
from MultimodalRegistrationLib.core.errors import FieldName, InputError
from MultimodalRegistrationLib.core.request import add_options, arguments_of, fields_of
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.register.request import RegisterOutputs, RegisterRequest, Stage

SCHEMA = PROJECT / "MultimodalRegistration" / MultimodalRegistrationLib.__name__ / "job.schema.json"
MINIMAL = {"fixed": "F.nrrd", "moving": "M.nrrd"}
OUTPUTS = RegisterOutputs(output_transform="T.h5")


def test_the_schema_in_the_package_is_that_of_the_requests():
    """Made anew by ``multimodal-registration run --schema``."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == job_schema()


def test_a_job_with_everything_in_it_comes_back_from_json():
    request = RegisterRequest(
        **MINIMAL,
        preset=dataclasses.replace(find_preset("rigid"), title="mine"),
        then=(
            Stage(preset="warp", engine="ants", fixed_mask="a, b.nrrd"),
            Stage(preset="affine", moving_roi="r.mrk.json"),
        ),
        start="given",
        max_rotation_deg=20,
        carry=("labels.nrrd",),
        seed=7,
        verdict=False,
    )
    job = Job("register", request, OUTPUTS)
    assert job_of(json.loads(json.dumps(job.content())), where="job.json") == job


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12)
REQUESTS = st.builds(
    RegisterRequest,
    fixed=texts,
    moving=texts,
    start=st.sampled_from(["auto", "given", "center", "moments"]),
    max_translation_mm=st.none() | st.floats(0, 1e6),
    max_rotation_deg=st.none() | st.floats(0, 180),
    carry=st.lists(texts.filter(lambda text: not text.startswith("-")), max_size=3).map(tuple),
    seed=st.integers(1, 2**31 - 1),
    verdict=st.booleans(),
    fixed_mask=st.none() | texts,
    keep_failed=st.booleans(),
)


@given(REQUESTS)
def test_any_request_is_the_same_as_json_and_as_options(request):
    assert RegisterRequest.from_content(json.loads(json.dumps(request.content())), where="x") == request
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser, RegisterRequest)
    assert RegisterRequest.from_options(parser.parse_args(arguments_of(request))) == request


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fixed": "F"}, "'moving' is missing"),
        ({**MINIMAL, "presett": "rigid"}, "Did you mean preset"),
        ({**MINIMAL, "seed": "7"}, "'seed' is '7'. Give a whole number"),
        ({**MINIMAL, "seed": True}, "'seed' is True"),
        ({**MINIMAL, "carry": "a.nrrd"}, "Give a list"),
        ({**MINIMAL, "max_rotation_deg": 200}, "max_rotation_deg: 200 was given. Give a number from 0 to 180."),
        ({**MINIMAL, "start": "here"}, "start: 'here' was given. Use one of auto, center, moments, given."),
        ({**MINIMAL, "then": [{"preset": "warp", "engines": "ants"}]}, "Did you mean engine"),
        ({**MINIMAL, "preset": 3}, "preset: 3 was given"),
        ([], "no JSON object"),
    ],
)
def test_what_cannot_be_used_is_named(content, message):
    with pytest.raises(InputError) as caught:
        RegisterRequest.from_content(content, where="job.json")
    assert message in str(caught.value)


def test_fields_that_do_not_go_together_are_named_as_the_front_end_calls_them():
    with pytest.raises(InputError, match="fixed_landmarks and moving_landmarks: only one of the two") as caught:
        RegisterRequest(**MINIMAL, fixed_landmarks="A.fcsv")
    subject = caught.value.subject
    assert isinstance(subject, FieldName)
    assert subject.told({"fixed_landmarks": "these", "moving_landmarks": "those"}.__getitem__) == "these and those"


@pytest.mark.parametrize("kind", _MODULES)
def test_every_field_says_what_it_is(kind):
    for request in requests_of(kind):
        for field in fields_of(request):
            assert field.option.help, field.name


def test_the_public_function_has_a_keyword_for_every_option():
    keywords = set(inspect.signature(register).parameters)
    missing = {field.name for field in fields_of(RegisterRequest)} - keywords
    # Files and outputs, which volumes in memory have not.
    assert missing == {
        *("fixed_landmarks", "moving_landmarks", "fixed_space", "moving_space", "pairing"),
        *("carry", "keep_failed", "require"),
    }
    assert "max_rotation_deg : likewise, 0 to 180" in inspect.getdoc(register)
    with pytest.raises(TypeError, match=r"no parameter 'presett'\. Did you mean preset"):
        register("F.nrrd", "M.nrrd", presett="rigid")
