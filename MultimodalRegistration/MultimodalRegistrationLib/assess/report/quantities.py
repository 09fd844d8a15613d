"""What the numbers of a report are called, their units, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["brief", "label_of", "number", "range_text", "value_text"]

_UNITS = (
    ("_per_mm2", "1/mm²"),
    ("_mm3", "mm³"),
    ("_mm2", "mm²"),
    ("_mm", "mm"),
    ("_nats", "nats"),
    ("_deg", "°"),
    ("_gib", "GiB"),
    ("_s", "s"),
)
_LABELS = {
    "n": "Targets",
    "mean": "Mean",
    "rms": "Root mean square",
    "p95": "95th percentile",
    "rms_mm": "Root mean square (mm)",
    "p95_mm": "95th percentile (mm)",
    "max_mm": "Largest (mm)",
    "sd_mm": "Standard deviation (mm)",
    "min": "Smallest",
    "max": "Largest",
    "sd_log": "Standard deviation of its logarithm",
    "share_not_positive": "Not positive: folded (%)",
    "share_within": "Within tolerance (%)",
    "voxel_mm": "Voxel size (mm)",
    "overlap": "Overlap of the fields of view (%)",
    "covered": "Region that the moving volume shows (%)",
    "normalized_mutual_information": "Mutual information, normalised",
    "mutual_information_nats": "Mutual information (nats)",
    "dice": "Dice",
    "hausdorff_mm": "Hausdorff distance (mm)",
    "hausdorff95_mm": "Hausdorff, 95\u00a0% (mm)",
    "mean_surface_distance_mm": "Mean surface distance (mm)",
    "surface_dice": "Surface Dice",
    "centroid_distance_mm": "Distance of centroids (mm)",
    "fixed_volume_mm3": "Volume, fixed (mm³)",
    "moving_volume_mm3": "Volume, moving (mm³)",
    "p": "p",
}
_PERCENT = ("share", "overlap", "covered")
_THIN_SPACE = "\u2009"
_MINUS = "\u2212"
_RULES = ((1000.0, 0), (100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3))


def label_of(key: str) -> str:
    """Name of a quantity with its unit, from its key: ``edge_distance_mm`` is "Edge distance (mm)"."""
    if key in _LABELS:
        return _LABELS[key]
    for ending, unit in _UNITS:
        if key.endswith(ending) and len(key) > len(ending):
            return f"{_sentence(key[: -len(ending)])} ({unit})"
    return _sentence(key) + (" (%)" if key.startswith(_PERCENT) else "")


def _sentence(key: str) -> str:
    words = re.sub(r"[_\s]+", " ", key).strip()
    return words[:1].upper() + words[1:]


def number(value: float) -> str:
    """A number to two or three significant decimals, with a true minus sign."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 0.0005:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}{_THIN_SPACE}×{_THIN_SPACE}10{_superscript(int(exponent))}"
    elif isinstance(value, int) or value == 0:
        text = f"{int(value):,}".replace(",", _THIN_SPACE)
    else:
        decimals = next((d for least, d in _RULES if round(size, 3) >= least), None)
        text = f"{value:.3g}" if decimals is None else f"{value:,.{decimals}f}".replace(",", _THIN_SPACE)
    return text.replace("-", _MINUS)


def brief(value: float) -> str:
    """A number as people say it: without zeros at the end."""
    return number(int(value)) if float(value).is_integer() else f"{value:.3g}".replace("-", _MINUS)


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def value_text(key: str, value: object) -> str | None:
    """Any scalar as text; None when there is none to show.

    Shares are written in percent, as :func:`label_of` says.
    """
    if value is None or value == []:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if key == "p" and value < 0.001:
            return f"<{_THIN_SPACE}0.001"
        return number(value * 100 if key.startswith(_PERCENT) else value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_sentence(str(k))}: {value_text(str(k), v) or '–'}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(value_text("", item) or "–" for item in value)
    return str(value)


def range_text(interval: Sequence[float] | None) -> str | None:
    """An interval as text, ``1.02 to 1.44``."""
    return None if interval is None else f"{number(interval[0])} to {number(interval[1])}"
