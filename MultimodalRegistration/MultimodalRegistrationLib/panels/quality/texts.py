"""Every message of the quality panel, so that it can be read, corrected and translated in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ..common.styles import BAD, DOUBTFUL, GOOD, NEUTRAL, label_style
from ..common.texts import escaped, volumes_missing

MEASURE = _("Measure")
RUN = _("The measurement")
NO_TRANSFORMS = _("There is no transform in the scene. Register the volumes first, or load a transform.")
REMOVED = _("The results were removed; everything else in the scene is as it was.")
NO_MAP = _("none")
PLOT_HINT = _("Show the plot in a view beside the slices")
PLOT_NOWHERE = _("There is no window; the plot is in the scene.")
OPEN_REPORT = _("Open the report in the browser")
NO_REPORT = _("The report of this result is not there any more. Measure again to write it.")
SAVE_HINT = _("Copy the report, its tables and maps to a new folder in the chosen one")
NO_FOLDER = _("Choose a folder for the report first.")
NOT_MARKED = _("Nobody has marked this registration yet.")
NO_REVIEWER = _("Enter the name of the reviewer first.")
MARKS = {"approved": _("Approved"), "doubtful": _("Doubtful"), "rejected": _("Rejected")}
MARK_HINT = _("Keep this decision with the result in the scene, and beside the report")
REPORT_NAME = _("Quality of {moving} to {fixed}")
NO_TARGETS = _("No targets were given: choose two lists of independent points above.")

# What the library calls by its option, since most of its users give options.
_COLORS = {"good": GOOD, "doubtful": DOUBTFUL, "bad": BAD}
_MARK_COLORS = {"approved": GOOD, "doubtful": DOUBTFUL, "rejected": BAD}


def missing_words(
    *,
    fixed: Any = None,
    moving: Any = None,
    transforms: Sequence[Any] = (),
    targets: tuple[Any, Any] = (None, None),
    segmentations: tuple[Any, Any] = (None, None),
    scene: Any = None,
) -> str | None:
    """What has to be chosen before a run can start; None when nothing is missing."""
    missing = volumes_missing(fixed, moving, scene)
    if missing is not None:
        return missing
    if not transforms:
        return _("Tick at least one transform that puts {moving} onto {fixed}.").format(
            moving=moving.GetName(), fixed=fixed.GetName()
        )
    for what, (one, other) in ((_("list of targets"), targets), (_("segmentation"), segmentations)):
        if (one is None) != (other is None):
            return _("{name} has no partner. Choose a {what} for each volume, or none.").format(
                name=(one or other).GetName(), what=what
            )
        if one is not None and one is other:
            return _("{name} is chosen for both volumes. Choose another {what} for one of them.").format(
                name=one.GetName(), what=what
            )
    return None


def ready_words(fixed: Any, moving: Any, count: int) -> str:
    """What the button will do."""
    if count == 1:
        return _("Measure how well {moving} lies on {fixed}").format(moving=moving.GetName(), fixed=fixed.GetName())
    return _("Measure and compare {count} transforms of {moving} onto {fixed}").format(
        count=count, moving=moving.GetName(), fixed=fixed.GetName()
    )


PICTURE_RUN = _("The picture")
PICTURE_HINT = _("Draw three planes before and after the transform, and save them as a PNG file")
SAVE_PICTURE = _("Save a picture")


def mode_words(mode: str) -> tuple[str, str]:
    """A kind of picture, and what it shows."""
    return {
        "overlay": (_("Overlay"), _("Both volumes in two colours; grey where they agree")),
        "checkerboard": (_("Checkerboard"), _("Fields of both volumes in turn")),
        "edges": (_("Edges"), _("The edges of the moving volume over the fixed one")),
        "side-by-side": (_("Side by side"), _("The fixed volume, and the moving one in rows of its own")),
    }[mode]


def place_words() -> dict[str, tuple[str, str]]:
    """Where the planes of a picture may cross, by value."""
    return {
        "views": (_("Where the slice views cross"), _("The centre of the fixed volume where there are no views")),
        "center": (_("Centre of the fixed volume"), _("The middle of its voxels")),
    }


def picture_filter() -> str:
    """Of the dialog that saves a picture."""
    return _("Pictures") + " (*.png)"


def replace_question(name: str) -> str:
    """Before a picture is written over another file."""
    return _("{name} exists already. Replace it?").format(name=name)


def removed_meanwhile() -> tuple[str, str]:
    """Finding and remedy where a node went while the user chose a file."""
    return _("it was removed from the scene meanwhile"), _("Load it and try again.")


def picture_saved(path: str) -> str:
    """After a picture was saved."""
    return _("Saved: {path}.").format(path=path)


def file_problem(error: OSError) -> tuple[str, str, str]:
    """Subject, finding and remedy when a file cannot be written or read."""
    return (
        error.filename or _("The folder"),
        _("cannot be written or read ({reason})").format(reason=error.strerror or error),
        _("Free some disk space, or choose another folder."),
    )


def verdict_words(word: str) -> str:
    """The verdict in one line."""
    return {
        "good": _("GOOD: measured, and within the tolerance"),
        "doubtful": _("DOUBTFUL: look closely before you rely on it"),
        "bad": _("BAD: do not rely on it"),
        "unknown": _("UNKNOWN: nothing independent to measure it by"),
    }.get(word, word)


def verdict_style(word: str) -> str:
    """Style sheet of the verdict."""
    return label_style(_COLORS.get(word, NEUTRAL), bold=True)


def mark_style(mark: str | None) -> str:
    """Style sheet of the mark."""
    return "" if mark is None else label_style(_MARK_COLORS[mark], bold=True)


def reasons_html(content: Mapping[str, Any]) -> str:
    """The verdict's sentence, what speaks against the result, what was found, and warnings."""
    verdict = content["verdict"]
    lines = [f"<b>{escaped(words)}</b>" for words in (*verdict["reasons"], *content["warnings"])]
    lines += [escaped(words) for words in verdict["facts"]]
    lines += [escaped(one["targets"]["sentence"]) for one in content["comparisons"] if _sentence(one)]
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f"<p>{escaped(verdict['sentence'])}</p><ul style='margin-left: -24px'>{items}</ul>"


def _sentence(comparison: Mapping[str, Any]) -> str | None:
    return None if comparison["targets"] is None else comparison["targets"]["sentence"]


def verdict_word(word: str | None) -> str:
    """The verdict in a table."""
    words = {"good": _("good"), "doubtful": _("doubtful"), "bad": _("bad"), "unknown": _("unknown")}
    return "" if word is None else words.get(word, word)


def before_name() -> str:
    """What the row without any transform is called."""
    return _("before")


def number(value: float | None, digits: int = 2) -> str:
    """A number in a table; a dash where it is not known."""
    if value is None:
        return "–"
    # No minus before zero.
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(share: float | None) -> str:
    """A share in a table."""
    return "–" if share is None else f"{100 * share:.0f} %"


def method_headers(*, targets: bool, structures: bool) -> list[tuple[str, str]]:
    """Headers of the table of transforms, each with an explanation."""
    headers = [
        (_("Transform"), _("Click a row for its targets and structures, and to see the moving volume after it")),
        (_("Verdict"), _("What the numbers together say")),
    ]
    if targets:
        headers += [
            (_("Mean"), _("Mean error at the targets, mm")),
            (_("Largest"), _("Largest error at a target, mm")),
            (_("Within"), _("Share of the targets within the tolerance")),
        ]
    if structures:
        headers.append((_("Surfaces"), _("Mean distance of the surfaces of the structures, mm")))
    if not targets and not structures:
        headers.append((_("NMI"), _("Normalised mutual information of the images; it rises as they agree")))
    headers.append((_("Overlap"), _("Share of the moving volume's field of view that lies in that of the fixed one")))
    return headers


def target_headers() -> list[tuple[str, str]]:
    """Headers of the table of targets."""
    return [
        (_("Target"), _("Click to centre all views on it")),
        (_("Error"), _("Distance from where the point lands to where it belongs, mm; bold above the tolerance")),
        (_("R"), _("To the right of the patient, mm")),
        (_("A"), _("To the front, mm")),
        (_("S"), _("Upwards, mm")),
    ]


def structure_headers() -> list[tuple[str, str]]:
    """Headers of the table of structures."""
    return [
        (_("Structure"), _("As named in both segmentations")),
        (_("Dice"), _("Overlap of both, 0 to 1")),
        (_("Surface"), _("Mean distance of the surfaces, mm")),
        (_("95 %"), _("95th percentile of the Hausdorff distance, mm")),
        (_("Centre"), _("Distance of the centres, mm")),
    ]


def shown_words(fixed: str, moving: str, after: str | None) -> str:
    """What the slice views show."""
    if after is None:
        return _("{moving} as it lay before, over {fixed}").format(moving=moving, fixed=fixed)
    return _("{moving} after {after}, over {fixed}").format(moving=moving, after=after, fixed=fixed)


def map_words(kind: str) -> tuple[str, str]:
    """Name and explanation of a map."""
    agreement = _("How much the intensities of both volumes tell about each other around each point")
    edges = _("How well the edges of both volumes run together around each point")
    known = {
        "local-information-before": (_("Shared information, before"), agreement),
        "local-information-after": (_("Shared information, after"), agreement),
        "gradient-agreement-before": (_("Agreement of edges, before"), edges),
        "gradient-agreement-after": (_("Agreement of edges, after"), edges),
        "jacobian": (_("Swelling and shrinking"), _("Jacobian determinant: 1 keeps the volume, 0 or less folds")),
        "return-error": (_("Error of the way there and back"), _("Distance of a point from where it comes back, mm")),
    }
    return known.get(kind, (kind, ""))


def result_words(content: Mapping[str, Any]) -> str:
    """A result in a list of results."""
    volumes = content["volumes"]
    return _("{moving} to {fixed}, {when}: {verdict}").format(
        moving=volumes["moving"]["name"],
        fixed=volumes["fixed"]["name"],
        when=content["created"].replace("T", " ")[:16],
        verdict=verdict_word(content["verdict"]["word"]),
    )


def targets_title(method: str, tolerance_mm: float) -> str:
    """Above the table of targets."""
    return _("Targets after {method}; tolerance {mm:g} mm. Worst first.").format(method=method, mm=tolerance_mm)


def structures_title(method: str) -> str:
    """Above the table of structures."""
    return _("Structures after {method}").format(method=method)


def tolerance_words(mm: float, standard_mm: float) -> str:
    """Whose tolerance it is."""
    return _("TG-132") if mm == standard_mm else _("your own; TG-132 has {mm:g} mm").format(mm=standard_mm)


def mark_words(mark: Mapping[str, str] | None) -> str:
    """Who decided what."""
    if mark is None:
        return NOT_MARKED
    words = _("{mark} by {name}, {when}").format(
        mark=MARKS[mark["mark"]].upper(), name=mark["name"], when=mark["when"].replace("T", " ")[:16]
    )
    return f"{words}: {mark['comment']}" if mark["comment"] else words


def saved_words(folder: str) -> str:
    """Where the report is now."""
    return _("The report is in {folder}").format(folder=folder)


def volume_gone(role: str) -> str:
    """The results are shown without the views."""
    return _("The {role} volume of this result is not in the scene any more: load it to see the views.").format(
        role=role
    )


def transform_gone(name: str) -> str:
    """The moving volume cannot be shown after it."""
    return _("The transform {name} is not in the scene any more, or was renamed: it cannot be shown.").format(name=name)
