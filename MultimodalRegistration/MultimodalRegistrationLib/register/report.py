"""The content of RESULT.json."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Any

import numpy as np
import SimpleITK as sitk

import MultimodalRegistrationLib

from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..engines.catalogue import engine_status
from .landmark_start import LandmarkErrors
from .result import DeformableStage, LinearStage, RegistrationResult
from .verdict.rule import Verdict

__all__ = ["RESULT_SCHEMA_VERSION", "probes_content", "result_content"]

RESULT_SCHEMA_VERSION = 5
_PROBES_PER_AXIS = 5


def result_content(result: RegistrationResult, *, inputs: dict[str, str | None]) -> dict[str, Any]:
    """Everything about a run that a script may want, ready for JSON.

    Parameters
    ----------
    result : RegistrationResult
        The run.
    inputs : dict
        What was given: files or nodes by the fields of the request.

    Returns
    -------
    dict
        Keys and values are documented in ``Resources/Docs/command-line.md``.
    """
    transform = result.transform
    bent = transform.matrix is None
    return {
        "schema": RESULT_SCHEMA_VERSION,
        "inputs": inputs,
        "transform": {
            "type": "composite" if bent else "linear",
            "moving_to_fixed_ras": result.moving_to_fixed_ras.tolist(),
            **(probes_content(transform, result.fixed_grid) if bent else {}),
        },
        "later_stages": [_stage_content(stage) for stage in result.later],
        "preprocess": {**asdict(result.steps), "facts": list(result.preprocess_facts)},
        "engine": result.engine,
        "preset": result.preset.name,
        "settings": {
            "preset_file": str(result.preset.path),
            "winsorize_percentiles": list(result.preset.winsorize_percentiles),
            "equalised_share": result.preset.histogram_equalization_shares.get(result.engine, 0.0),
            "stages": result.preset.engines[result.engine],
        },
        "seed": result.seed,
        "start": {"method": result.start_method, "words": result.start, "candidates": result.candidates},
        "bounds": {
            "max_translation_mm": result.max_translation_mm,
            "max_rotation_deg": result.max_rotation_deg,
            "touched": list(result.bounds_touched),
        },
        "landmarks": None if result.landmarks is None else _landmarks_content(result.landmarks, result.verdict),
        "verdict": None if result.verdict is None else _verdict_content(result.verdict),
        "sampled_volume": result.sampled,
        "metric": {
            "name": "mutual information",
            "unit": "nat",
            "at_start": result.mutual_information_at_start,
            "at_end": result.mutual_information_at_end,
            "engine_levels": [asdict(level) for level in result.convergence.levels],
        },
        "convergence": {"settled": result.convergence.settled, "words": result.convergence.words},
        "overlap": {"at_start": result.overlap_at_start, "at_end": result.overlap_at_end},
        "moved_from_start": {"mean_mm": result.moved_mm, "rotation_deg": result.rotated_deg},
        "seconds": result.seconds,
        "warnings": list(result.warnings),
        "versions": {
            "multimodal-registration": MultimodalRegistrationLib.__version__,
            result.engine: engine_status(result.engine).version,
            "SimpleITK": sitk.Version.VersionString(),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }


def probes_content(transform: SpatialTransform, over: VolumeGrid) -> dict[str, Any]:
    """Where a transform that bends takes some points of a volume, by which it is known again."""
    points_lps = over.sample_points_lps(_PROBES_PER_AXIS)
    return {"probes": {"fixed_lps": points_lps.tolist(), "moving_lps": transform.to_moving(points_lps).tolist()}}


def _stage_content(stage: LinearStage | DeformableStage) -> dict[str, Any]:
    content: dict[str, Any] = {
        "preset": stage.preset.name,
        "engine": stage.engine,
        "engine_version": engine_status(stage.engine).version,
        "settings": stage.preset.engines[stage.engine],
        "winsorize_percentiles": list(stage.preset.winsorize_percentiles),
        "equalised_share": stage.preset.histogram_equalization_shares.get(stage.engine, 0.0),
        "convergence": {"settled": stage.convergence.settled, "words": stage.convergence.words},
    }
    if isinstance(stage, LinearStage):
        return {"type": "linear", **content, "moved_mm": stage.moved_mm}
    judged = None
    if stage.verdict is not None:
        judged = {
            "word": stage.verdict.word,
            "against": list(stage.verdict.against),
            "facts": list(stage.verdict.facts),
            "evidence": None if stage.verdict.evidence is None else asdict(stage.verdict.evidence),
        }
    return {"type": "bending", **content, "verdict": judged, "inverse_error": asdict(stage.inverse_error)}


def _landmarks_content(errors: LandmarkErrors, verdict: Verdict | None) -> dict[str, Any]:
    estimated_mm = None if verdict is None else verdict.estimated_error_mm
    at = {"as_placed": errors.as_placed, "at_start": errors.at_start, "at_end": errors.at_end}
    return {
        "rms_mm": {when: points.rms_mm for when, points in at.items()},
        "unseen_rms_mm": errors.unseen_rms_mm,
        "expected_rms_mm": errors.expected_mm(estimated_mm),
        "words": errors.words(estimated_mm),
        "pairs": [
            {"name": name, **{f"{when}_mm": points.per_point_mm[i] for when, points in at.items()}}
            for i, name in enumerate(errors.pairs.labels)
        ],
    }


def _verdict_content(verdict: Verdict) -> dict[str, Any]:
    evidence = verdict.evidence
    return {
        "word": verdict.word,
        "against": list(verdict.against),
        "facts": list(verdict.facts),
        "estimated_error_mm": verdict.estimated_error_mm,
        "evidence": {
            **asdict(evidence),
            "margin_over_rival": evidence.margin,
            "margin_over_mirrored": evidence.mirror_margin,
            "sharpness": evidence.sharpness,
        },
    }
