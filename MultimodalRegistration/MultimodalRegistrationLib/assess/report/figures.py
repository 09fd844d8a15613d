"""The tables of numbers: methods before and after, health of the transforms, methods compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Html, element, join, name
from .quantities import brief, label_of, range_text, value_text
from .tables import Row, methods_table, rows_of

__all__ = ["comparisons_section", "health_section", "methods_section"]

Method = Mapping[str, Any]

_ERRORS = ("mean_mm", "rms_mm", "median_mm", "p95_mm", "max_mm")
_ALONG_AXES = (("bias_mm", "bias (mm)"), ("sd_mm", "standard deviation (mm)"))
_KNOWN_OF_METHOD = (
    "name",
    "linear",
    "rank",
    "reference",
    "targets",
    "structures",
    "images",
    "health",
    "notes",
    "reasons",
)
# Of volume: the transform is rigid.
_NO_CHANGE = 1e-3
_KINDS = {True: "linear", False: "non-linear", None: None}


def methods_section(before: Method, methods: Sequence[Method]) -> Html:
    """The table of all methods, the state before them first, and their notes."""
    every = [before, *methods]
    about: list[Row] = [
        ("Rank", [value_text("rank", method.get("rank")) for method in every]),
        ("Transform", [_KINDS[method.get("linear")] for method in every]),
        *rows_of(every, leave_out=_KNOWN_OF_METHOD),
    ]
    groups = [
        ("Registration", "not ranked", about),
        ("Target registration error", "no targets to measure it at", _targets(every)),
        (
            "Distance from the reference (mm)",
            "no reference was given",
            rows_of([method.get("from_reference_mm") for method in every]),
        ),
        ("Images", "could not be measured", rows_of([method.get("images") for method in every])),
        ("Structures, mean over all", "no segmentations of both volumes", _structure_means(every)),
    ]
    table = methods_table([_heading(method) for method in every], groups, "By method, the state before first")
    notes = [
        element("li", name(method["name"]), ": ", note)
        for method in every
        for key in ("reasons", "notes")
        for note in method.get(key) or []
    ]
    return join(table, element("ul", *notes, class_="notes") if notes else None, _left_out(every))


def _heading(method: Method) -> Html:
    reference = method.get("reference")
    return join(
        name(method["name"]),
        None if reference is None else element("span", "Reference: ", name(reference), class_="reference"),
    )


def _targets(every: Sequence[Method]) -> list[Row]:
    targets = [method.get("targets") for method in every]
    if not any(targets):
        return []
    level = next((t["level"] for t in targets if t and t.get("level")), None)
    rows = rows_of(targets, only=("n",))
    for key in _ERRORS:
        rows += rows_of(targets, only=(key,))
        intervals = [range_text(((t or {}).get("intervals_mm") or {}).get(key.removesuffix("_mm"))) for t in targets]
        if level is not None and any(intervals):
            rows.append((f"\u2003{brief(100 * level)} % interval (mm)", intervals))
    rows += _within_tolerance(targets)
    for axis in dict.fromkeys(a["axis"] for t in targets if t for a in t.get("axes") or []):
        along: list[Mapping[str, Any]] = [
            next((a for a in (t or {}).get("axes") or [] if a["axis"] == axis), {}) for t in targets
        ]
        rows += [(f"{axis} {label}", [value_text(key, a.get(key)) for a in along]) for key, label in _ALONG_AXES]
    known = ("n", *_ERRORS, "level", "share_within", "tolerance_mm", "tolerance_name")
    return rows + rows_of(targets, leave_out=known)


def _within_tolerance(targets: Sequence[Mapping[str, Any] | None]) -> list[Row]:
    tolerances = [None if t is None or t.get("tolerance_mm") is None else _tolerance(t) for t in targets]
    shares = [None if t is None else value_text("share_within", t.get("share_within")) for t in targets]
    different = {tolerance for tolerance in tolerances if tolerance is not None}
    if len(different) == 1:
        return [(f"Within {different.pop()} (%)", shares)]
    return [("Tolerance", tolerances), (label_of("share_within"), shares)]


def _tolerance(targets: Mapping[str, Any]) -> str:
    what = targets.get("tolerance_name")
    return f"{brief(targets['tolerance_mm'])} mm" + (f", {what}" if what else "")


def _structure_means(every: Sequence[Method]) -> list[Row]:
    means: list[dict[str, float | None]] = []
    for method in every:
        found: dict[str, float | None] = {}
        for key in ("dice", "surface_dice", "mean_surface_distance_mm", "hausdorff95_mm"):
            values = [s[key] for s in method.get("structures") or [] if s.get(key) is not None]
            found[key] = sum(values) / len(values) if values else None
        means.append(found)
    return rows_of(means)


def _left_out(every: Sequence[Method]) -> Html | None:
    labels = list(dict.fromkeys(label for m in every for label in (m.get("targets") or {}).get("left_out") or []))
    if not labels:
        return None
    names = [join(", " if i else None, name(label)) for i, label in enumerate(labels)]
    return element("p", "Not counted, because a transform was made from them: ", *names, ".", class_="note")


def health_section(methods: Sequence[Method]) -> Html | None:
    """Whether the transforms are smooth, invertible and free of folds; None where all are rigid or not measured."""
    health = [method.get("health") for method in methods]
    if all(_is_rigid(method) for method in methods if method.get("health")):
        return None
    groups: list[tuple[str, str, Sequence[Row]]] = [
        (title, "not measured", rows_of([(h or {}).get(key) for h in health]))
        for key, title in (
            ("jacobian", "Jacobian determinant: local change of volume, 1 is none"),
            ("displacement_mm", "Displacement (mm)"),
            ("inverse_error_mm", "There and back by the inverse: distance from the start (mm)"),
        )
    ]
    groups.append(("Smoothness", "not measured", rows_of(health)))
    groups.append(("Bending of structures, RMS (mm)", "no structures, or linear transforms only", _bending(health)))
    return methods_table([_heading(method) for method in methods], groups, "By method")


def _is_rigid(method: Method) -> bool:
    jacobian = method["health"].get("jacobian") or {}
    return method.get("linear") is True and all(abs(jacobian.get(k, 0.0) - 1.0) < _NO_CHANGE for k in ("min", "max"))


def _bending(health: Sequence[Mapping[str, Any] | None]) -> list[Row]:
    by_method = [
        {one["name"]: one["bending_rms_mm"] for one in (h or {}).get("bending_structures") or []} for h in health
    ]
    structures = dict.fromkeys(structure for bent in by_method for structure in bent)
    return [
        (structure, [value_text("bending_rms_mm", bent.get(structure)) for bent in by_method])
        for structure in structures
    ]


def comparisons_section(comparisons: Sequence[Mapping[str, Any]]) -> Html | None:
    """How far methods differ from one another; None when there is nothing to compare."""
    if not comparisons:
        return None
    titles = [join(name(c["a"]), " minus ", name(c["b"])) for c in comparisons]
    targets = [c.get("targets") for c in comparisons]
    errors = rows_of(targets, only=("mean_difference_mm",))
    errors.append(("\u2003interval (mm)", [range_text((t or {}).get("interval_mm")) for t in targets]))
    errors += rows_of(targets, leave_out=("mean_difference_mm", "sentence"))
    apart = rows_of([c.get("displacement_mm") for c in comparisons]) + rows_of(comparisons, leave_out=("a", "b"))
    groups = [
        ("Distance between the transforms (mm)", "not measured", apart),
        ("Errors at the same targets", "no targets to compare at", errors),
    ]
    table = methods_table(titles, groups, "By pair of methods")
    sentences = [
        element("li", name(c["a"]), " and ", name(c["b"]), ": ", t["sentence"])
        for c, t in zip(comparisons, targets, strict=True)
        if t is not None and t.get("sentence")
    ]
    return join(table, element("ul", *sentences, class_="notes") if sentences else None)
