"""Every message of the panel, so that it can be read, corrected and translated in one place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ...core.errors import RegistrationError
from ...mrml.volume_findings import NodeFinding, Remedy
from ..common import texts
from ..common.styles import BAD, DOUBTFUL
from ..common.texts import escaped, volumes_missing
from .choices import Prealignment

__all__ = [
    "PREPARE",
    "PREVIEW_COMES",
    "RUN",
    "already_running",
    "finding_html",
    "missing_words",
    "problem_words",
    "remedy_label",
]

PREPARE = _("Prepare")
RUN = _("The preparation")
NOTHING_FOUND = _("Nothing speaks against registering these volumes.")
NOT_CHECKED = _("Choose two volumes; what speaks against registering them is listed here.")
NOT_LOOKED_AT = _("No problem with their kind. Check looks at their voxels, too.")
CHECK = _("Look for what would fail or mislead a registration")
FIND_REGION = _("Find the region, as a ROI in the fixed volume that can be edited")
SET_REGION_AGAIN = _("Find it again; the ROI that was found before is set anew")
NO_REGISTRATION = _("The module Multimodal Registration is not installed.")
REGISTER_THESE = _(
    "Choose the prepared volumes, their masks and the prealignment in the module Multimodal Registration"
)
REMOVE_RESULTS = _("Remove the prepared volumes, masks and bias fields, and register the original volumes again")
PREVIEW_CAPTION = _("Before, after, and the field: black is half, white is twice")
NO_BIAS = _("Choose first whose bias field is taken out.")
PREVIEW_COMES = _("The preview is being made; that takes a second")
PREVIEW = _("One slice before and after, and the field (half to twice), from a quick estimate")

# Without a place to wrap it.
_LONG_WORD = re.compile(r"\S{24}(?=\S)")

# What the library calls by its option, since most of its users give options.
_COLORS = {"error": BAD, "warning": DOUBTFUL, "note": "#2c5f8a"}


def missing_words(parameters: Any, *, refused: bool, scene: Any) -> str | None:
    """What has to be chosen before a run can start; None when nothing is missing.

    Parameters
    ----------
    parameters : RegistrationPreprocessParameterNode
        What is chosen.
    refused : bool
        Whether a volume is of a kind that cannot be registered.
    scene : vtkMRMLScene
        What could be chosen.
    """
    missing = volumes_missing(parameters.fixedVolume, parameters.movingVolume, scene, any_kind=True)
    if missing is not None:
        return missing
    if refused:
        return _("Solve the errors that are listed first: choose other volumes, or click what is offered.")
    return _missing_prealignment(parameters)


def _missing_prealignment(parameters: Any) -> str | None:
    transform = parameters.initialTransform
    if parameters.prealignment == Prealignment.TRANSFORM and transform is None:
        return _("Choose the transform that brings the volumes together, or search all poses.")
    if parameters.prealignment == Prealignment.TRANSFORM and not transform.IsTransformToWorldLinear():
        return _("The transform {name} is not linear. Choose a linear one, or search all poses.").format(
            name=transform.GetName()
        )
    if parameters.prealignment == Prealignment.LANDMARKS:
        first, second = parameters.fixedLandmarks, parameters.movingLandmarks
        if first is None or second is None:
            return _("Choose a list of points for each of the two volumes, or search all poses.")
        if first is second:
            return _("{name} is chosen as both lists of points. Choose one for each volume.").format(
                name=first.GetName()
            )
    return None


def ready_words(fixed: Any, moving: Any) -> str:
    """What the button will do."""
    return _("Make prepared copies of {fixed} and {moving}; the volumes themselves stay as they are").format(
        fixed=fixed.GetName(), moving=moving.GetName()
    )


def problem_words(error: RegistrationError) -> str:
    """An error as a sentence that names the node and the remedy."""
    return breakable(texts.problem_words(error))


def already_running() -> str:
    """A second run was asked for."""
    return _("Volumes are being looked at or prepared. Wait for it, or cancel it first.")


def _severity_label(severity: str) -> str:
    """In front of a finding."""
    return {"error": _("Error"), "warning": _("Warning"), "note": _("Note")}[severity]


def finding_html(found: NodeFinding) -> str:
    """A finding in words."""
    message = found.finding.message.rstrip(".")
    remedy = found.finding.remedy
    severity = found.finding.severity
    style = f"background-color: {_COLORS[severity]}; color: white"
    label = f"<span style='{style}'>&nbsp;{_severity_label(severity)}&nbsp;</span>"
    return f"{label}&nbsp; <b>{_in_html(found.name)}</b>: {_in_html(message)}. {_in_html(remedy)}".rstrip()


def remedy_label(remedy: Remedy) -> str:
    """On the button of a finding."""
    return {
        "scalar": _("Make a scalar copy"),
        "baseline": _("Take the baseline"),
        "frame": _("Copy this frame"),
        "mask": _("Use as mask"),
        "hounsfield": _("Make a copy in Hounsfield units"),
    }[remedy]


def remedy_hint(remedy: Remedy) -> str:
    """What that button does."""
    return {
        "scalar": _("Add a scalar volume: the brightness of a colour volume, otherwise the first value of each voxel"),
        "baseline": _("Add a scalar volume: the image with the least diffusion weighting"),
        "frame": _("Add a copy that does not change with the sequence"),
        "mask": _("Choose these labels as the mask; a label map is added if this is a scalar volume"),
        "hounsfield": _("Add a volume whose values are 1024 less, as Hounsfield units"),
    }[remedy]


def facts_html(facts: Sequence[str], names: Sequence[str]) -> str:
    """What was done, and which nodes were added."""
    added = _("Added to the scene: {names}. The original volumes are as they were.").format(names=", ".join(names))
    lines = "".join(f"<li>{_in_html(fact)}</li>" for fact in facts)
    return f"<b>{_in_html(added)}</b><ul style='margin-left: -24px'>{lines}</ul>"


def breakable(text: str) -> str:
    """A text in which long names can be wrapped, so that they do not widen the panel."""
    return _LONG_WORD.sub(lambda part: part.group() + "\u200b", text)


def _in_html(text: str) -> str:
    return escaped(breakable(text))
