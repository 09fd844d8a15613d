"""The content of the JSON file and of the report."""

from __future__ import annotations

import datetime
import platform
from typing import Any

import numpy as np
import scipy
import SimpleITK as sitk

import MultimodalRegistrationLib
from MultimodalRegistrationLib.geometry.frames import flip_points_lps_ras
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.quality.assess import Assessment
from MultimodalRegistrationLib.quality.bootstrap import LEVEL
from MultimodalRegistrationLib.quality.comparison import Comparison
from MultimodalRegistrationLib.quality.health.content import health_content
from MultimodalRegistrationLib.quality.images.content import evidence_content
from MultimodalRegistrationLib.quality.method import MethodQuality
from MultimodalRegistrationLib.quality.paired import EFFECT, TEST
from MultimodalRegistrationLib.quality.structures.content import structures_content
from MultimodalRegistrationLib.quality.targets import TargetErrors
from MultimodalRegistrationLib.quality.verdict import QualityVerdict

__all__ = ["QUALITY_SCHEMA_VERSION", "quality_content"]

QUALITY_SCHEMA_VERSION = 1


def quality_content(
    result: Assessment, fixed: Volume, moving: Volume, *, inputs: dict[str, Any], command: str, region: str
) -> dict[str, Any]:
    """Everything that was measured, ready for JSON.

    Parameters
    ----------
    result : Assessment
        From :func:`~MultimodalRegistrationLib.quality.assess.assess`.
    fixed, moving : Volume
        The volumes.
    inputs : dict
        What was given, by option.
    command : str
        What repeats the run.
    region : str
        What the region of displacements is, in words.

    Returns
    -------
    dict
        Keys and values are documented in ``Resources/Docs/quality.md``.
    """
    verdicts = iter(result.verdicts)
    return {
        "schema": QUALITY_SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "software": {
            "multimodal-registration": MultimodalRegistrationLib.__version__,
            "SimpleITK": sitk.Version.VersionString(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "command": command,
        "inputs": inputs,
        "settings": {
            "tolerance_mm": result.tolerance.mm,
            "tolerance_name": result.tolerance.name,
            "confidence_level": LEVEL,
            "seed": result.seed,
            "region": region,
        },
        "volumes": {role: _volume(volume) for role, volume in (("fixed", fixed), ("moving", moving))},
        "verdict": _verdict(result.verdict),
        "warnings": list(result.warnings),
        "before": _method(result.before, None, result),
        "methods": [
            _method(one, None if one.reference is not None else next(verdicts), result) for one in result.methods
        ],
        "comparisons": [_comparison(one, region) for one in result.comparisons],
        "mark": None,
    }


def _volume(volume: Volume) -> dict[str, Any]:
    return {"name": volume.name, "size": list(volume.grid.size), "spacing_mm": list(volume.grid.spacing_mm)}


def _verdict(verdict: QualityVerdict) -> dict[str, Any]:
    return {
        "word": verdict.word,
        "method": verdict.method,
        "sentence": verdict.sentence,
        "reasons": list(verdict.reasons),
        "facts": list(verdict.facts),
    }


def _method(method: MethodQuality, verdict: QualityVerdict | None, result: Assessment) -> dict[str, Any]:
    gap = method.from_reference_mm
    return {
        "name": method.transform.name,
        "linear": method.transform.matrix is not None,
        "rank": method.rank,
        "verdict": None if verdict is None else _verdict(verdict),
        "reference": method.reference,
        "from_reference_mm": None
        if gap is None
        else {"mean": gap.mean, "rms": gap.rms, "p95": gap.p95, "max": gap.max},
        "targets": None if method.targets is None else _targets(method.targets, result),
        "structures": structures_content(method.structures) if method.structures else None,
        "images": evidence_content(method.images),
        "health": None if method.health is None else health_content(method.health),
        "record": None if method.record is None else method.record.path.name,
        "notes": list(method.notes),
    }


def _targets(errors: TargetErrors, result: Assessment) -> dict[str, Any]:
    positions, vectors = flip_points_lps_ras(errors.fixed_lps), flip_points_lps_ras(errors.vectors_lps_mm)
    return {
        "n": len(errors),
        "left_out": list(errors.left_out),
        "mean_mm": errors.mean_mm,
        "rms_mm": errors.rms_mm,
        "median_mm": errors.median_mm,
        "p95_mm": errors.p95_mm,
        "max_mm": errors.max_mm,
        "intervals_mm": {
            name: None if one is None else [one.low, one.high] for name, one in errors.intervals_mm.items()
        },
        "level": LEVEL,
        "axes": [
            {"axis": one.axis, "bias_mm": one.bias_mm, "sd_mm": one.sd_mm, "rms_mm": one.rms_mm} for one in errors.axes
        ],
        "tolerance_mm": result.tolerance.mm,
        "tolerance_name": result.tolerance.name,
        "share_within": errors.share_within(result.tolerance.mm),
        "voxel_mm": result.voxel_mm,
        "points": [
            {"label": label, "fixed_ras": positions[i].tolist(), "error_mm": mm, "error_ras_mm": vectors[i].tolist()}
            for i, (label, mm) in enumerate(zip(errors.labels, errors.errors_mm.tolist(), strict=True))
        ],
    }


def _comparison(one: Comparison, region: str) -> dict[str, Any]:
    gap, paired = one.displacement_mm, one.targets
    content: dict[str, Any] = {
        "a": one.first,
        "b": one.second,
        "displacement_mm": {"mean": gap.mean, "rms": gap.rms, "p95": gap.p95, "max": gap.max},
        "region": region,
        "targets": None,
    }
    if paired is not None:
        interval, plot = paired.interval_mm, paired.bland_altman
        content["targets"] = {
            "n": paired.n,
            "first_closer": paired.closer,
            "tied": paired.tied,
            "mean_difference_mm": paired.mean_difference_mm,
            "interval_mm": None if interval is None else [interval.low, interval.high],
            "test": TEST,
            "p": paired.p,
            "p_corrected": one.p_corrected,
            "effect_size": paired.effect_size,
            "effect": EFFECT,
            "sentence": one.sentence,
            "bland_altman": {
                "means_mm": plot.means_mm.tolist(),
                "differences_mm": plot.differences_mm.tolist(),
                "bias_mm": plot.bias_mm,
                "limits_mm": None if plot.limits_mm is None else list(plot.limits_mm),
            },
        }
    return content
