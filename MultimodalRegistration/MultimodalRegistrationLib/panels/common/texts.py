"""Messages that several panels have."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ...core.errors import FieldName, RegistrationError
from ...mrml.scene_nodes import scans
from ...mrml.surface_comparison import Arrows
from ...mrml.volume_kinds import other_volumes, wrong_kind

CANCEL = _("Cancel")
CANCEL_HINT = _("Stop what is running; the scene stays as it is")
CANCELLED = _("Cancelled; the scene is as it was.")
UNDO = _("Undo")
PREPARING = _("writing the volumes")
READING = _("reading the result")
MAKING_SURFACES = _("Making the surfaces for the 3D view…")
NO_SURFACES = _("No surfaces in the 3D view: in one of the volumes, no body stands out from the background.")


def surfaces_words(fixed: str, moving: str, arrows: Arrows | None) -> str:
    """What the 3D view shows of two volumes."""
    seen = _("3D: {fixed} in white, {moving} in orange.").format(fixed=fixed, moving=moving)
    if arrows is None:
        return seen
    if arrows.before_bending:
        error = _("estimated error before the bending, {error:.1f} mm")
    else:
        error = _("estimated error, {error:.1f} mm")
    if arrows.scale == 1:
        drawn = _("Red arrows: {error}, to scale; its direction is not known.")
    else:
        drawn = _("Red arrows: {error}, drawn {scale} times as long; its direction is not known.")
    return f"{seen} {drawn.format(error=error.format(error=arrows.error_mm), scale=arrows.scale)}"


def volumes_missing(fixed: Any, moving: Any, scene: Any = None, *, any_kind: bool = False) -> str | None:
    """Which of the two volumes has to be chosen or loaded; None when both are there.

    Parameters
    ----------
    fixed, moving : vtkMRMLVolumeNode or None
        What is chosen.
    scene : vtkMRMLScene, optional
        What could be chosen; nothing by default.
    any_kind : bool
        Whether volumes that cannot be registered may be chosen all the same.
    """
    if fixed is not None and fixed is moving:
        return _("{name} is chosen as both volumes. Choose another moving volume.").format(name=fixed.GetName())
    chosen = [node for node in (fixed, moving) if node is not None]
    others = [] if scene is None else other_volumes(scene)
    offered = [] if scene is None else [*scans(scene), *(others if any_kind else [])]
    if len([node for node in offered if node not in chosen]) < 2 - len(chosen):
        return _other_kind(others, any_kind) or _load_words(len(chosen) or len(offered))
    if not chosen:
        return _("Choose a fixed volume: the one that stays. Then choose a moving volume, which is put onto it.")
    if fixed is None:
        return _("Choose a fixed volume: the one that stays.")
    if moving is None:
        return _("Choose a moving volume: the one that is put onto {fixed}.").format(fixed=fixed.GetName())
    return None


def _other_kind(others: Sequence[Any], any_kind: bool) -> str | None:
    """Why a volume that was loaded is not offered."""
    found = None if any_kind or not others else wrong_kind(others[0])
    if found is None:
        return None
    return _('"{name}" cannot be registered: {found}. {remedy}').format(
        name=others[0].GetName(), found=found.message, remedy=found.remedy
    )


def _load_words(present: int) -> str:
    if present:
        return _("Load another volume, then choose the fixed and the moving one.")
    return _("Load two volumes, then choose the fixed and the moving one.")


def escaped(text: str) -> str:
    """Text as it is, in a rich text."""
    return html.escape(text, quote=False)


def problem_words(error: RegistrationError) -> str:
    """An error as a sentence that names the node, or what the panels call a field of a request, and the remedy."""
    if isinstance(error.subject, FieldName):
        error = error.about(error.subject.told(_field_label))
    return str(error)


_FIELD_LABELS = {
    "output_volume": _("the resampled volume"),
    "fixed_mask": _("the mask of the fixed volume"),
    "moving_mask": _("the mask of the moving volume"),
    "max_translation_mm": _("the largest translation"),
    "max_rotation_deg": _("the largest rotation"),
    "initial_transform": _("the initial transform"),
    "mask": _("the masks"),
    "isotropic_mm": _("the voxel size"),
    "margin_mm": _("the margin"),
    "roi": _("the region"),
    "tolerance_mm": _("the tolerance"),
    "targets_fixed": _("the targets in the fixed volume"),
    "targets_moving": _("the targets in the moving volume"),
    "at": _("the point where the slice views cross"),
    "field": _("the part that is shown"),
    "localisation_error_mm": _("the localisation error"),
    "stiffness_mm": _("the stiffness"),
}


def _field_label(name: str) -> str:
    return _FIELD_LABELS.get(name, name.removesuffix("_mm").removesuffix("_deg").replace("_", " "))


def child_not_started(program: str) -> tuple[str, str, str]:
    """Subject, finding and remedy when the process cannot be started."""
    return program, _("the program could not be started"), _("Install Slicer again, or allow it to start programs.")


def child_ended(what: str, code: int) -> tuple[str, str, str]:
    """Likewise when it ended without saying why."""
    return (
        what,
        _("its process ended unexpectedly (code {code})").format(code=code),
        _("Read the log; crop or downsample the volumes if memory ran out, and try again."),
    )


def file_problem(error: OSError) -> tuple[str, str, str]:
    """Likewise when a temporary file cannot be written or read."""
    return (
        error.filename or _("The temporary folder"),
        _("cannot be written or read ({reason})").format(reason=error.strerror or error),
        _("Free some disk space, or choose another temporary folder in Slicer's settings."),
    )


def busy_words() -> str:
    """Why nothing else can be started."""
    return _("Wait for what is running, or cancel it first.")


def stage_words(stage: str) -> str:
    """A stage with a capital letter."""
    return stage[:1].upper() + stage[1:]


def ticked_words(label: str, count: int) -> str:
    """The label of a list of nodes, with how many of them are ticked."""
    if count == 0:
        return _("{label} (none ticked):").format(label=label)
    return _("{label} ({count} ticked):").format(label=label, count=count)


def log_words(elapsed_s: float, stage: str) -> str:
    """When a stage began, for the log."""
    return f"{int(elapsed_s) // 60}:{int(elapsed_s) % 60:02d} {stage}"


def elapsed_words(elapsed_s: float, fraction: float) -> str:
    """Elapsed and remaining time; what remains is told once enough is done to tell."""
    elapsed = f"{int(elapsed_s) // 60}:{int(elapsed_s) % 60:02d}"
    if fraction < 0.1:
        return elapsed
    remaining = elapsed_s * (1 - fraction) / fraction
    if remaining < 90:
        return _("{elapsed}, about {seconds} s left").format(elapsed=elapsed, seconds=max(5, round(remaining / 5) * 5))
    return _("{elapsed}, about {minutes} min left").format(elapsed=elapsed, minutes=round(remaining / 60))
