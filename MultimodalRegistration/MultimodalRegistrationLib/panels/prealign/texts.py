"""Every message of the prealignment panel, so that it can be read, corrected and translated in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ...core.errors import RegistrationError
from ...landmarks.accuracy import PointErrors
from ...landmarks.error_bounds import bounds_message
from ...landmarks.evaluation import ModelEvidence, PairEvaluation
from ...landmarks.findings import Finding
from ...landmarks.measured_errors import Targets
from ...landmarks.models import MIN_PAIRS
from ...landmarks.pairing import PairRow
from ...landmarks.surface_result import Distances, SurfaceRegistration
from ...register.refine_landmarks import RefinedLandmark
from ..common import texts
from ..common.texts import escaped

APPLY = _("Apply")
# Longer ones are in the tooltip only.
LONGEST_BUTTON = 60
REGISTRATION_MODULE = "MultimodalRegistration"
_ENDLESS = re.compile(r"\S{41,}")
FIRST_STEPS = _(
    "Create a list on each side, press Place, and click the same places in both volumes, in the same order. Three "
    "pairs are enough for a rigid transform; from five on, errors can be told."
)
STOPPED = _("See what says Stop above")
ALL_GOOD = _("Nothing stands out in these pairs.")
UP_TO_DATE_LATER = "…"
NO_VALUE = "-"
HARDEN = _("Write the movement into the nodes that lie under the transform, for good")
INVERT = _("Add the inverse transform: it moves what lies on the fixed side onto the moving one")
NO_RESULT = _("Apply first, or choose an output transform.")
NOTHING_MOVED = _("Nothing lies under the output transform: apply it with something to move, or it was hardened.")
NO_REGISTRATION = _("The module Multimodal Registration is not installed.")
REGISTER = _("Refine this with the voxels of the two volumes, in the module Multimodal Registration")
TWO_ROWS = _(
    "Show the fixed volume above and the moving one below, each in its own planes and with its own points. A point "
    "placed above is followed by its partner below; from three pairs on, the rows follow each other"
)
NO_VIEWS = _("There are no slice views: Slicer runs without its main window.")


def pair_headers() -> list[tuple[str, str]]:
    """Header and explanation of each column of the pairs."""
    return [
        (_("Use"), _("Untick a pair to leave it out; its two points are unselected, as in the Markups module")),
        (_("Fixed"), _("Click to see the point in all slice views")),
        (_("Moving"), _("Click to see the point in all slice views")),
        (
            _("Own fit\nmm"),
            _("Fiducial error: how far the fit leaves this pair apart. Small does not mean right elsewhere"),
        ),
        (
            _("Left out\nmm"),
            _("Leave-one-out error: how far a fit to all other pairs misses this one. Large means look at it"),
        ),
        (_("Finding"), _("What was found about this pair; the full words are below the table")),
    ]


def evidence_headers() -> list[tuple[str, str]]:
    """Likewise of the models."""
    return [
        (_("Model"), _("From few to many freedoms")),
        (
            _("Own fit\nmm"),
            _("Error at the points that made the fit, RMS. It falls with every freedom, so it proves nothing"),
        ),
        (
            _("Left out\nmm"),
            _("Error at points that were left out of the fit, RMS of both directions. The model is chosen by this one"),
        ),
        ("", ""),
    ]


def target_headers() -> list[tuple[str, str]]:
    """Likewise of the targets."""
    return [
        (_("Target"), _("Click to see the point in all slice views")),
        (_("Before mm"), _("Distance as the volumes lie without the result")),
        (_("After mm"), _("Target error: distance with the result")),
        (
            _("Expected mm"),
            _("RMS error to expect here, from where the pairs lie and how well they fit, and of placing the target"),
        ),
    ]


def model_name(model: str) -> str:
    """A model in a few letters."""
    return {
        "translation": _("Translation"),
        "rigid": _("Rigid"),
        "similarity": _("Similarity"),
        "affine": _("Affine"),
        "tps": _("Thin-plate spline"),
    }[model]


def shortened(text: str) -> str:
    """The text with endless words cut: no panel can be as wide as the longest name."""
    return _ENDLESS.sub(lambda found: f"{found[0][:39]}…", text)


def _name(node: Any) -> str:
    return shortened(node.GetName())


def number(value_mm: float | None) -> str:
    """A distance in a table."""
    return NO_VALUE if value_mm is None else f"{value_mm:.2f}" if value_mm < 100 else f"{value_mm:.0f}"


def row_words(row: PairRow, fixed_name: str, moving_name: str) -> tuple[str, str]:
    """Why a row is not used, short and in full; empty where it is."""
    if row.state == "unplaced" and len(row.unplaced) == 2:
        return _("not placed"), _("Not placed on either side")
    if row.state == "unplaced":
        name = fixed_name if row.unplaced[0] == "fixed" else moving_name
        return _("not in {name}").format(name=name), _("Not placed in {name}").format(name=name)
    if row.state == "unselected":
        return _("not used"), _("Left out: tick it to use it")
    if row.state == "alone":
        name = moving_name if row.moving_index is None else fixed_name
        return _("no partner"), _("No partner in {name}").format(name=name)
    return "", ""


def finding_words(code: str) -> str:
    """A finding beside the pair that it is about, in one or two words; empty where it is about all of them."""
    return {
        "swapped": _("exchanged"),
        "outlier": _("does not fit"),
        "coincident": _("same place"),
        "symmetric": _("ambiguous"),
        "label-order": _("other label"),
        "folds": _("spline folds"),
    }.get(code, "")


def findings_html(findings: Sequence[Finding], notes: Sequence[str], links: Mapping[str, str]) -> str:
    """Findings with their remedies, as a list; ``links`` has what a click does, by the code of the finding."""
    marks = {"error": _("Stop"), "warning": _("Look"), "note": _("Note")}
    lines = [
        f"<b>{marks[one.severity]}:</b> {escaped(one.message)} <i>{escaped(one.remedy)}</i> {links.get(one.code, '')}"
        for one in findings
    ] + [escaped(note) for note in notes]
    if not lines:
        return ALL_GOOD
    return "<ul style='margin-left: -24px'>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def exchange_link(target: str, moving_name: str) -> str:
    """A click that puts an exchange right."""
    return f"<a href='{target}'>{escaped(_('Exchange them in {name}').format(name=moving_name))}</a>"


def evidence_words(evidence: ModelEvidence, *, recommended: bool) -> str:
    """The last column of the models."""
    if evidence.missing == "pairs":
        return _("needs {count} pairs").format(count=MIN_PAIRS[evidence.model])
    if evidence.missing == "spread":
        return _("pairs in a plane") if evidence.model in ("affine", "tps") else _("pairs on a line")
    if evidence.missing == "fit":
        return _("would mirror or flatten")
    return _("recommended") if recommended else ""


def recommendation_words(words: str) -> str:
    """The recommendation, with the model's name written out."""
    return words.replace("tps", model_name("tps").lower())


def _of(errors: PointErrors) -> str:
    return _("{rms:.2f} mm RMS, at most {largest:.2f}").format(rms=errors.rms_mm, largest=errors.max_mm)


def headline_words(appraisal: PairEvaluation | None) -> str:
    """What matters most; empty where there is no fit."""
    result = None if appraisal is None else appraisal.result
    return "" if result is None else shortened(" ".join(result.headline.words))


def own_fit_words(errors: PointErrors | None, count: int) -> str:
    """The error that says least."""
    if errors is None:
        return NO_VALUE
    return _("{errors} ({count} pairs). Says nothing about the error elsewhere.").format(
        errors=_of(errors), count=count
    )


def left_out_words(errors: PointErrors | None) -> str:
    """The leave-one-out error."""
    return _("needs more pairs") if errors is None else _of(errors)


def expected_words(appraisal: PairEvaluation) -> str:
    """The error to expect."""
    result = appraisal.result
    if result is None or result.extremes is None:
        return _("needs more pairs, or a localisation error (Advanced)") if result is not None else NO_VALUE
    return shortened(bounds_message(result.extremes)) + "."


def target_words(targets: Targets | None, problem: str | None) -> str:
    """The error that counts."""
    if problem is not None:
        return problem
    if targets is None:
        return _("not measured: choose targets below, points that the fit does not use")
    return _("{errors} ({count} targets); before {before:.2f} mm.").format(
        errors=_of(targets.after), count=len(targets.pairs), before=targets.before.rms_mm
    )


def missing_words(fixed: Any, moving: Any) -> str | None:
    """Which list has to be chosen; None when both are there."""
    if fixed is None and moving is None:
        return _("Create or choose a list of points for each side.")
    if fixed is None:
        return _("Create or choose the list of fixed points.")
    if moving is None:
        return _("Create or choose the list of moving points.")
    if fixed is moving:
        return _("{name} is chosen on both sides. Choose one list for each.").format(name=_name(fixed))
    return None


def few_words(fixed: Any, moving: Any, count: int, fewest: int) -> str | None:
    """What has to be placed before anything can be fitted; None when there is enough."""
    for node in (fixed, moving):
        if node.GetNumberOfDefinedControlPoints() == 0:
            return _("Place points in {name}.").format(name=_name(node))
    if count < fewest:
        return _("{count} of at least {fewest} pairs: place more points.").format(count=count, fewest=fewest)
    return None


def targets_missing(given: Any) -> str:
    """One list of targets without the other."""
    return _("{name} has no partner: choose both lists of targets, or none.").format(name=_name(given))


def ready_words(model: str, name: str | None) -> str:
    """What the button will do."""
    if name is None:
        return _("Add the transform ({model})").format(model=model_name(model).lower())
    return _("Write the transform ({model}) to {name}").format(model=model_name(model).lower(), name=name)


def applied_words(name: str, moved: Sequence[str]) -> str:
    """What was done."""
    if not moved:
        return _("Written to {name}. Nothing was moved.").format(name=shortened(name))
    return _("Written to {name}, which now moves {nodes}.").format(
        name=shortened(name), nodes=shortened(", ".join(moved))
    )


def hardened_words(names: Sequence[str]) -> str:
    """What was hardened."""
    return _("Hardened: {names}.").format(names=shortened(", ".join(names)))


def inverted_words(name: str) -> str:
    """What was added."""
    return _("Added {name}.").format(name=shortened(name))


def problem_words(error: RegistrationError) -> str:
    """An error as a sentence that names the node and the remedy."""
    return shortened(texts.problem_words(error))


def too_many(count: int) -> tuple[str, str]:
    """Finding and remedy where partners cannot be found by their positions while Slicer waits."""
    return (
        _("{count} points are too many to find partners by position while Slicer waits").format(count=count),
        _("Pair by label or by order."),
    )


def shapes_missing(fixed: Any, moving: Any, fixed_segment: str, moving_segment: str) -> str | None:
    """What has to be chosen before shapes can be aligned; None when nothing is missing."""
    if fixed is None or moving is None:
        return _("Choose a model, a segmentation or a list of points on each side.")
    if fixed is moving and fixed_segment == moving_segment:
        return _("{name} is chosen on both sides. Choose another shape.").format(name=_name(fixed))
    for node, segment in ((fixed, fixed_segment), (moving, moving_segment)):
        if node.IsA("vtkMRMLSegmentationNode") and not segment:
            return _("Choose a segment of {name}.").format(name=_name(node))
    if fixed.IsA("vtkMRMLMarkupsNode") and moving.IsA("vtkMRMLMarkupsNode"):
        return _("Both are lists of points: choose a model or a segment on one side.")
    return None


SHAPES_READY = _("Search all positions of the moving shape on the fixed one; takes some seconds")
ALIGN_SHAPES = _("Align shapes")
ALIGNING = _("Searching all positions of the moving shape on the fixed one…")
SHAPES_RUN = _("The alignment of the shapes")


def shape_words(result: SurfaceRegistration) -> str:
    """How well the shapes lie on each other."""
    lines = []
    for words, distances in (
        (_("From moving to fixed"), result.moving_to_fixed),
        (_("From fixed to moving"), result.fixed_to_moving),
    ):
        if distances is not None:
            lines.append(f"{words}: {_distances(distances)}")
    return shortened("\n".join([*lines, *result.warnings, *result.notes]))


def _distances(distances: Distances) -> str:
    return _("{mean:.2f} mm mean over the {share:.0f} % that has a counterpart, {everything:.2f} mm over all").format(
        mean=distances.mean_mm, share=100 * distances.kept_share, everything=distances.all_mean_mm
    )


REFINE = _("Refine with the images")
REFINE_READY = _(
    "Finds where the moving points have to lie for the two volumes to agree best, and shows it; takes some seconds"
)
REFINE_RUN = _("The refinement of the points")
REFINING = _("Comparing the two volumes around the present fit…")
ALL_POINTS = _("all moving points")
CHOSEN_POINT = _("the chosen row")
LEAVE_REFINED = _("Discard")
NO_PAIRS_TO_REFINE = _("Place three pairs or more that fit each other first.")
NO_POINT_CHOSEN = _("Click a pair in the table first, one that is used.")
_STAY_INDEPENDENT = _(
    "Refined points follow the images: they no longer measure a registration of these volumes independently."
)


def refine_model_words(model: str) -> str:
    """Why points are not refined where another model than a rigid one is chosen."""
    return _("Refining takes the two volumes for one rigid body; the model is {model}.").format(model=model_name(model))


def refined_words(refined: Sequence[RefinedLandmark]) -> str:
    """Where the points would go, and which stay."""
    distances = [one.distance_mm for one in refined if not one.left_alone]
    lines = [
        _("{label} stays: {reason}.").format(label=one.label, reason=one.left_alone)
        for one in refined
        if one.left_alone
    ]
    if distances:
        words = _("{moved} of {all} points would move, by {least:.1f} to {most:.1f} mm; the views show where.")
        moved = words.format(moved=len(distances), all=len(refined), least=min(distances), most=max(distances))
        lines = [moved, *lines, _STAY_INDEPENDENT]
    return shortened("\n".join(lines))


def taken_words(count: int) -> str:
    """How many points were moved."""
    return _("Points moved: {count}.").format(count=count) + " " + _STAY_INDEPENDENT


def taken_back_words(count: int) -> str:
    """How many points were put back."""
    return _("Points put back: {count}.").format(count=count)
