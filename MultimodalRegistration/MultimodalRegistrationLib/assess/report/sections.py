"""The sections of the report: inputs, verdict, warnings, the tables of measurements, and what a repetition needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Html, element, isolated, join, name
from .tables import (
    Row,
    brief,
    bullets,
    definitions,
    group,
    heading,
    is_scalar,
    label_of,
    methods_table,
    number,
    range_text,
    row,
    rows_of,
    table,
    value_text,
)

_SIGNS = {"good": "✓", "doubtful": "!", "bad": "✕", "unknown": "?"}
_ELSEWHERE = (
    *("schema", "created", "command", "inputs", "settings", "software", "volumes", "verdict", "warnings", "before"),
    *("methods", "comparisons", "mark"),
)
Method = Mapping[str, Any]

_ERRORS = ("mean_mm", "rms_mm", "median_mm", "p95_mm", "max_mm")
_ALONG_AXES = (("bias_mm", "bias (mm)"), ("sd_mm", "standard deviation (mm)"))
# Shown in rows of their own, or elsewhere.
_KNOWN_OF_METHOD = (
    *("name", "linear", "rank", "reference", "reasons", "notes"),
    *("targets", "structures", "images", "health"),
)
# Of volume: the transform is rigid.
_NO_CHANGE = 1e-3
_KINDS = {True: "linear", False: "non-linear", None: None}
_KNOWN_OF_VERDICT = ("word", "method", "sentence", "reasons", "facts")
_IN_HEADING = ("name", "note", "tolerance_mm")


def about_inputs(content: Mapping[str, Any], fixed_name: str, moving_name: str) -> Html:
    """Which volumes, of what size, and when."""
    lines: list[tuple[object, object]] = []
    for role, title in (("fixed", fixed_name), ("moving", moving_name)):
        volume = content["volumes"].get(role) or {}
        size = " × ".join(map(str, volume["size"])) if volume.get("size") else None
        spacing = " × ".join(brief(s) for s in volume["spacing_mm"]) if volume.get("spacing_mm") else None
        details = ", ".join(filter(None, [size and f"{size} voxels", spacing and f"{spacing} mm"]))
        lines.append((f"{role.capitalize()} volume", f"{title}{f' ({details})' if details else ''}"))
    return definitions([*lines, ("Report made", content["created"])])


def verdict_section(verdict: Mapping[str, Any]) -> Html:
    """The verdict: a word, a sentence, and what it rests on."""
    word = verdict["word"] if verdict["word"] in _SIGNS else "unknown"
    method = verdict.get("method")
    head = element(
        "p",
        element("span", _SIGNS[word], class_="sign", aria_hidden="true"),
        element("strong", str(verdict["word"]).capitalize()),
        None if method is None else element("span", name(method), class_="of"),
        class_="word",
    )
    others = [(key, value) for key, value in verdict.items() if key not in _KNOWN_OF_VERDICT and is_scalar(value)]
    measured = join(_titled("Measured", verdict.get("facts"), "evidence"), definitions(others) if others else None)
    return element(
        "div",
        head,
        element("p", verdict["sentence"], class_="sentence"),
        _titled("Why", verdict.get("reasons"), "evidence"),
        element("details", element("summary", "What it rests on"), measured) if measured else None,
        class_=f"verdict {word}",
    )


def warnings_section(warnings: Sequence[str]) -> Html | None:
    """Warnings, one by one; None when there are none."""
    return _titled("Warnings", warnings, "warnings")


def _titled(title: str, sentences: Sequence[str] | None, class_: str) -> Html | None:
    return element("div", element("h3", title), bullets(sentences), class_=class_) if sentences else None


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
    numbers = methods_table([_heading(method) for method in every], groups, "By method, the state before first")
    notes = [
        join(name(method["name"]), ": ", note)
        for method in every
        for key in ("reasons", "notes")
        for note in method.get(key) or []
    ]
    return join(numbers, bullets(notes, "notes"), _left_out(every))


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
    def mean(method: Method, key: str) -> float | None:
        values = [one[key] for one in method.get("structures") or [] if one.get(key) is not None]
        return sum(values) / len(values) if values else None

    keys = ("dice", "surface_dice", "mean_surface_distance_mm", "hausdorff95_mm")
    return rows_of([{key: mean(method, key) for key in keys} for method in every])


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
            ("inverse_error_mm", "Inverse consistency error (mm)"),
        )
    ]
    groups.append(("Smoothness", "not measured", rows_of(health)))
    groups.append(("Deformation of structures, RMS (mm)", "no structures, or linear transforms only", _bending(health)))
    return methods_table([_heading(method) for method in methods], groups, "By method")


def _is_rigid(method: Method) -> bool:
    jacobian = method["health"].get("jacobian") or {}
    return method.get("linear") is True and all(abs(jacobian.get(k, 0.0) - 1.0) < _NO_CHANGE for k in ("min", "max"))


def _bending(health: Sequence[Mapping[str, Any] | None]) -> list[Row]:
    by_method = [
        {one["name"]: one["bending_rms_mm"] for one in (h or {}).get("bending_structures") or []} for h in health
    ]
    structures = dict.fromkeys(structure for found in by_method for structure in found)
    return [(one, [value_text("bending_rms_mm", found.get(one)) for found in by_method]) for one in structures]


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
    sentences = [
        join(name(c["a"]), " and ", name(c["b"]), ": ", t["sentence"])
        for c, t in zip(comparisons, targets, strict=True)
        if t is not None and t.get("sentence")
    ]
    return join(methods_table(titles, groups, "By pair of methods"), bullets(sentences, "notes"))


def targets_section(before: Method, methods: Sequence[Method]) -> Html | None:
    """The error at every target by method, with buttons that show the target; None without targets."""
    every = [method for method in (before, *methods) if (method.get("targets") or {}).get("points")]
    if not every:
        return None
    found: dict[str, dict[int, Any]] = {}
    for column, method in enumerate(every):
        for point in method["targets"]["points"]:
            found.setdefault(str(point["label"]), {})[column] = point
    lines = []
    for label, points in found.items():
        place = next(iter(points.values()))["fixed_ras"]
        errors = (number(points[c]["error_mm"]) if c in points else None for c in range(len(every)))
        button = element(
            "button",
            "Show",
            type="button",
            class_="show",
            data_ras=" ".join(map(str, place)),
            aria_label=join("Show ", isolated(label), " in the pictures"),
        )
        position = ", ".join(f"{value:.1f}" for value in place)
        lines.append(row(name(label), [position, *errors], "not measured", element("td", button)))
    headings = [
        heading("Target", number=False),
        heading("Position in fixed, RAS (mm)"),
        *(heading(name(method["name"]), " (mm)") for method in every),
        heading(element("span", "In the pictures", class_="hidden"), number=False),
    ]
    title = element("summary", f"Error at each of {len(found)} targets")
    return element("details", title, table("Error at each target", headings, [element("tbody", *lines)]))


def structures_section(before: Method, methods: Sequence[Method]) -> Html | None:
    """One group of rows for each structure, one row for each method; None without structures."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for method in (before, *methods):
        for structure in method.get("structures") or []:
            found.setdefault(str(structure["name"]), []).append((method["name"], structure))
    if not found:
        return None
    values = [item for rows in found.values() for _, structure in rows for item in structure.items()]
    keys = dict.fromkeys(k for k, v in values if k not in _IN_HEADING and v is not None and is_scalar(v))
    bodies = []
    for title, rows in found.items():
        lines = [
            row(
                name(method_name),
                [value_text(key, structure.get(key)) for key in keys],
                f"not measured: {structure.get('note') or 'no reason given'}",
            )
            for method_name, structure in rows
        ]
        bodies.append(group(join(name(title), _details(rows)), len(keys) + 1, lines))
    headings = [heading("Structure, method", number=False), *(heading(label_of(key)) for key in keys)]
    return table("By structure and method", headings, bodies)


def _details(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Html | None:
    tolerances = dict.fromkeys(s["tolerance_mm"] for _, s in rows if s.get("tolerance_mm") is not None)
    texts = [f"tolerance {brief(tolerance)} mm" for tolerance in tolerances]
    texts += dict.fromkeys(str(s["note"]) for _, s in rows if s.get("note"))
    return element("span", join(" (", "; ".join(texts), ")"), class_="note") if texts else None


def repeat_section(content: Mapping[str, Any]) -> Html:
    """Command, inputs, settings and versions."""
    others = [(key, value) for key, value in content.items() if key not in _ELSEWHERE]
    return join(
        element("h3", "Command"),
        element("pre", element("code", content["command"]), tabindex=0),
        element("h3", "Inputs"),
        definitions(list(content["inputs"].items())),
        element("h3", "Settings"),
        definitions(_flat(content["settings"])) if content["settings"] else element("p", "None.", class_="none"),
        element("h3", "Versions"),
        definitions(list(content["software"].items())),
        join(element("h3", "More"), definitions(_flat(dict(others)))) if others else None,
    )


def _flat(settings: Mapping[str, Any], above: str = "") -> list[tuple[object, object]]:
    lines: list[tuple[object, object]] = []
    for key, value in settings.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            lines += _flat(value, f"{path} › ")
        else:
            lines.append((path, value_text("", value)))
    return lines
