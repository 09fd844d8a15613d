"""The content of the JSON file and of the report."""

from __future__ import annotations

import datetime
import platform
from typing import Any

import numpy as np
import scipy
import SimpleITK as sitk

import MultimodalRegistrationLib

from ..core.frames import flip_points_lps_ras
from ..core.volume import Volume
from ..transforms.distance_statistics import DistanceStatistics
from ..transforms.health.health import TransformHealth
from .assess import Assessment
from .bootstrap import LEVEL
from .comparison import Comparison
from .images.evidence import ImageEvidence
from .method import MethodQuality
from .paired import EFFECT, TEST
from .structures.compare import StructureAgreement
from .targets import TargetErrors
from .verdict import QualityVerdict

__all__ = ["QUALITY_SCHEMA_VERSION", "quality_content"]

QUALITY_SCHEMA_VERSION = 1


def quality_content(
    result: Assessment, fixed: Volume, moving: Volume, *, inputs: dict[str, Any], command: str, region: str
) -> dict[str, Any]:
    """Everything that was measured, ready for JSON.

    Parameters
    ----------
    result : Assessment
        From :func:`~MultimodalRegistrationLib.assess.assess.assess`.
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
    return {
        "name": method.transform.name,
        "linear": None if method.health is None else method.health.linear,
        "verdict": None if verdict is None else verdict.word,
        "rank": method.rank,
        "reasons": [] if verdict is None else list(verdict.reasons),
        "reference": method.reference,
        "from_reference_mm": _distances(method.from_reference),
        "targets": None if method.targets is None else _targets(method.targets, result),
        "structures": [_structure(one) for one in method.structures] or None,
        "images": _images(method.images),
        "health": None if method.health is None else _health(method.health, result),
        "record": None if method.record is None else method.record.source,
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


def _distances(statistics: DistanceStatistics | None) -> dict[str, float] | None:
    if statistics is None:
        return None
    return {
        "mean": statistics.mean_mm,
        "rms": statistics.rms_mm,
        "median": statistics.median_mm,
        "p95": statistics.p95_mm,
        "max": statistics.max_mm,
    }


def _structure(one: StructureAgreement) -> dict[str, Any]:
    measured = one.measures
    return {
        "name": one.name,
        "status": one.status,
        "dice": None if measured is None else measured.dice,
        "surface_dice": None if measured is None else measured.surface_dice,
        "tolerance_mm": None if measured is None else measured.tolerance_mm,
        "mean_surface_distance_mm": None if measured is None else measured.mean_surface_distance_mm,
        "hausdorff_mm": None if measured is None else measured.hausdorff_mm,
        "hausdorff95_mm": None if measured is None else measured.hausdorff_95_mm,
        "centroid_distance_mm": one.centroid_distance_mm,
        "centroid_offset_ras_mm": None
        if one.centroid_offset_lps is None
        else flip_points_lps_ras(one.centroid_offset_lps).tolist(),
        "fixed_volume_mm3": one.fixed_volume_mm3,
        "moving_volume_mm3": one.moving_volume_mm3,
        "moved_volume_mm3": one.moved_volume_mm3,
        "note": " ".join(one.notes) or None,
    }


def _images(evidence: ImageEvidence) -> dict[str, Any]:
    # The volume with more kinds of edges has many that the other cannot have: the nearer direction tells more.
    edges = [one.median_mm for one in (evidence.edges_of_fixed, evidence.edges_of_moving) if one is not None]
    return {
        "mutual_information_nats": evidence.mutual_information,
        "normalized_mutual_information": evidence.normalized_mutual_information,
        "gradient_agreement": evidence.gradient_agreement,
        "edge_distance_mm": min(edges) if edges else None,
        "edges_of_fixed_mm": _distances(evidence.edges_of_fixed),
        "edges_of_moving_mm": _distances(evidence.edges_of_moving),
        "overlap": evidence.overlap,
        "covered": evidence.covered,
        "measured_at_spacing_mm": list(evidence.spacing_mm),
    }


def _health(health: TransformHealth, result: Assessment) -> dict[str, Any]:
    jacobian = health.jacobian
    return {
        "jacobian": {
            "min": jacobian.minimum,
            "max": jacobian.maximum,
            "mean": jacobian.mean,
            "share_not_positive": jacobian.folded_share,
            "sd_log": jacobian.log_sd,
        },
        "displacement_mm": _distances(health.displacement),
        "inverse_error_mm": _distances(health.return_error),
        "harmonic_energy": health.harmonic_energy,
        "bending_energy_per_mm2": health.bending_energy_per_mm2,
        "bending_structures": [
            {
                "name": result.rigid_parts[one.label - 1],
                "bending_rms_mm": one.bending_rms_mm,
                "bending_max_mm": one.bending_max_mm,
                "rotation_deg": one.rotation_deg,
                "shift_mm": one.shift_mm,
                "volume_change": one.volume_change,
            }
            for one in health.structures
        ]
        or None,
        "measured_at_spacing_mm": list(health.spacing_mm),
    }


def _comparison(one: Comparison, region: str) -> dict[str, Any]:
    paired = one.targets
    content: dict[str, Any] = {
        "a": one.first,
        "b": one.second,
        "displacement_mm": _distances(one.displacement),
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
