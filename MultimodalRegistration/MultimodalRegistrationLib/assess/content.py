"""What was measured, as JSON and the report have it, as tables, and as maps."""

from __future__ import annotations

import csv
import datetime
import io
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy
import SimpleITK as sitk

import MultimodalRegistrationLib

from ..core.frames import flip_points_lps_ras
from ..core.volume import Volume
from ..transforms.health import TransformHealth
from ..transforms.working_grid import DistanceStatistics
from .assess import Assessment
from .comparison import EFFECT, TEST, Comparison
from .images.evidence import ImageEvidence
from .structures.compare import StructureAgreement
from .targets import LEVEL, Interval, TargetErrors
from .verdict import MethodQuality, QualityVerdict

Row = dict[str, Any]

_SCALARS = (str, int, float, bool, type(None))
# Long lists have tables of their own.
_OWN_TABLES = ("points", "structures", "bland_altman")
QUALITY_SCHEMA_VERSION = 1
# Of a structure.
_MEASURES = ("dice", "surface_dice", "tolerance_mm", "mean_surface_distance_mm", "hausdorff_mm", "hausdorff95_mm")
_MOTION = ("bending_rms_mm", "bending_max_mm", "rotation_deg", "shift_mm", "volume_change")


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
        A description of the region in which displacements are compared.

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
        "volumes": {
            role: {"name": one.name, "size": list(one.grid.size), "spacing_mm": list(one.grid.spacing_mm)}
            for role, one in (("fixed", fixed), ("moving", moving))
        },
        "verdict": _plain(result.verdict),
        "warnings": list(result.warnings),
        "before": _method(result.before, None, result),
        "methods": [
            _method(one, None if one.reference is not None else next(verdicts), result) for one in result.methods
        ],
        "comparisons": [_comparison(one, region) for one in result.comparisons],
        "mark": None,
    }


def _plain(record: Any) -> dict[str, Any]:
    """The fields of a dataclass, tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(record).items()}


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
        **{f"{name}_mm": value for name, value in (_distances(errors) or {}).items()},
        "intervals_mm": {name: _limits(one) for name, one in errors.intervals_mm.items()},
        "level": LEVEL,
        "axes": [_plain(one) for one in errors.axes],
        "tolerance_mm": result.tolerance.mm,
        "tolerance_name": result.tolerance.name,
        "share_within": errors.share_within(result.tolerance.mm),
        "voxel_mm": result.voxel_mm,
        "points": [
            {"label": label, "fixed_ras": positions[i].tolist(), "error_mm": mm, "error_ras_mm": vectors[i].tolist()}
            for i, (label, mm) in enumerate(zip(errors.labels, errors.errors_mm.tolist(), strict=True))
        ],
    }


def _distances(found: DistanceStatistics | TargetErrors | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {name: getattr(found, f"{name}_mm") for name in ("mean", "rms", "median", "p95", "max")}


def _structure(one: StructureAgreement) -> dict[str, Any]:
    offset = one.centroid_offset_lps
    return {
        "name": one.name,
        "status": one.status,
        **{key: getattr(one.measures, key, None) for key in _MEASURES},
        "centroid_distance_mm": one.centroid_distance_mm,
        "centroid_offset_ras_mm": None if offset is None else flip_points_lps_ras(offset).tolist(),
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
            {"name": result.rigid_parts[one.label - 1], **{key: getattr(one, key) for key in _MOTION}}
            for one in health.structures
        ]
        or None,
        "measured_at_spacing_mm": list(health.spacing_mm),
    }


def _comparison(one: Comparison, region: str) -> dict[str, Any]:
    paired = one.targets
    targets = None
    if paired is not None:
        targets = {
            "n": paired.n,
            "first_closer": paired.closer,
            "tied": paired.tied,
            "mean_difference_mm": paired.mean_difference_mm,
            "interval_mm": _limits(paired.interval_mm),
            "test": TEST,
            "p": paired.p,
            "p_corrected": one.p_corrected,
            "effect_size": paired.effect_size,
            "effect": EFFECT,
            "sentence": one.sentence,
            "bland_altman": {
                key: value.tolist() if isinstance(value, np.ndarray) else value
                for key, value in _plain(paired.bland_altman).items()
            },
        }
    return {
        "a": one.first,
        "b": one.second,
        "displacement_mm": _distances(one.displacement),
        "region": region,
        "targets": targets,
    }


def _limits(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def quality_maps(result: Assessment) -> dict[str, Volume]:
    """The maps of the transform that the verdict is about.

    Parameters
    ----------
    result : Assessment
        What was measured.

    Returns
    -------
    dict of str to Volume
        Local mutual information and gradient agreement, before and after; for a transform that is not linear, its
        Jacobian determinants and its inverse consistency error. In the fixed volume's space.
    """
    best = next(one for one in result.methods if one.transform.name == result.verdict.method)
    maps = {}
    for when, images in (("before", result.before.images), ("after", best.images)):
        maps[f"local-information-{when}"] = images.local_information
        maps[f"gradient-agreement-{when}"] = images.local_agreement
    if best.health is not None and not best.health.linear:
        maps["jacobian"] = best.health.jacobian_map
        maps["return-error"] = best.health.return_error_map
    return maps


def quality_tables(content: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Make the tables.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.assess.content.quality_content`.

    Returns
    -------
    dict of str to list of dict
        Rows of each table by name: ``methods`` always; ``targets``, ``structures`` and ``comparisons`` where there are
        any. One row per transform, point, structure or pair: texts, numbers, truth values or None by column, with units
        in the names of the columns. A column may be missing in some rows.
    """
    methods = [content["before"], *content["methods"]]
    rows = {
        "methods": [_flat(one) for one in methods],
        "targets": [
            {"transform": one["name"], **_flat(point)}
            for one in methods
            if one["targets"] is not None
            for point in one["targets"]["points"]
        ],
        "structures": [
            {"transform": one["name"], **_flat(structure)} for one in methods for structure in one["structures"] or ()
        ],
        "comparisons": [_flat(one) for one in content["comparisons"]],
    }
    return {name: some for name, some in rows.items() if some}


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Names of the columns of a table, in the order in which they first occur."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _flat(content: Mapping[str, Any], skip: tuple[str, ...] = (), prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by underscores; short lists as numbered columns, or joined where they are texts."""
    row: dict[str, Any] = {}
    for key, value in content.items():
        if key in skip or key in _OWN_TABLES:
            continue
        name = f"{prefix}{key}"
        if isinstance(value, _SCALARS):
            row[name] = value
        elif isinstance(value, Mapping):
            row.update(_flat(value, prefix=f"{name}_"))
        elif all(isinstance(item, str) for item in value):
            row[name] = "; ".join(value)
        elif all(isinstance(item, Mapping) and "axis" in item for item in value):
            for item in value:
                row.update(_flat(item, skip=("axis",), prefix=f"{name}_{item['axis']}_"))
        else:
            row.update(_flat({str(i + 1): item for i, item in enumerate(value)}, prefix=f"{name}_"))
    return row


def csv_tables(content: Mapping[str, Any]) -> dict[str, str]:
    """Write the tables as text.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.assess.content.quality_content`.

    Returns
    -------
    dict of str to str
        Text of each of :func:`~MultimodalRegistrationLib.assess.content.quality_tables` by name, with a header.
    """
    return {name: csv_table(rows) for name, rows in quality_tables(content).items()}


def csv_table(rows: list[Row]) -> str:
    """Write one table as text, with a header; no cell of it is taken for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _safe(value: Any) -> Any:
    # A spreadsheet would run a text that begins like a formula.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
