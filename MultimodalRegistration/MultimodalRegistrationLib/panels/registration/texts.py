"""Every message of the registration panel, so that it can be read, corrected and translated in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ...core.errors import RegistrationError
from ..common.styles import BAD, DOUBTFUL, GOOD, NEUTRAL, label_style
from ..common.texts import escaped, problem_words, volumes_missing

REGISTER = _("Register")
CANCEL_HINT = _("Stop what is running, and put the scene back to what it was before")
RUN = _("The registration")
NO_RESULT_TO_UNDO = _("Nothing to take back: this result was loaded with the scene, or undone already.")
UNDO_HINT = _("Put the scene back to what it was before the registration")
HARDEN = _("Write the transform into what it moves")
NOTHING_TO_HARDEN = _("Nothing lies under this transform: apply it to the moving volume first, or it was hardened.")
CHOOSE_A_ROW = _("Choose a row to read its meaning in full.")
NO_QA = _("The module Multimodal Registration QA is not installed.")
OPEN_QA = _("Assess this result in the module Multimodal Registration QA")

# What the library calls by its option, since most of its users give options.
_COLORS = {"verified": GOOD, "uncertain": DOUBTFUL, "failed": BAD}


def missing_words(
    *,
    fixed: Any = None,
    moving: Any = None,
    fixed_landmarks: Any = None,
    moving_landmarks: Any = None,
    initial: Any = None,
    structures: Any = None,
    further: Sequence[Any] = (),
    moving_mask: Any = None,
    limits: Sequence[Any] = (),
    start: str = "auto",
    then: str = "",
    is_rigid: bool = True,
    scene: Any = None,
) -> str | None:
    """What has to be chosen before a run can start; None when nothing is missing."""
    missing = volumes_missing(fixed, moving, scene)
    if missing is not None:
        return missing
    if (fixed_landmarks is None) != (moving_landmarks is None):
        given = fixed_landmarks or moving_landmarks
        return _("{name} has no partner. Choose both lists of points, or none.").format(name=given.GetName())
    if fixed_landmarks is not None and fixed_landmarks is moving_landmarks:
        return _("{name} is chosen as both lists of points. Choose one for each volume.").format(
            name=fixed_landmarks.GetName()
        )
    if fixed_landmarks is not None and initial is not None:
        return _("Both points and the transform {name} are chosen as the start. Leave one of them out.").format(
            name=initial.GetName()
        )
    if further and structures is not None:
        return _(
            "Structures are registered for one moving volume at a time. Leave out {name}, or the further volumes."
        ).format(name=structures.GetName())
    own = next((node for node in (moving_landmarks, initial, moving_mask) if node is not None), None)
    if further and own is not None:
        return _("{name} is for {moving} alone. Leave it out, or the further moving volumes.").format(
            name=own.GetName(), moving=moving.GetName()
        )
    started = start == "auto" or (start == "given" and (initial or fixed_landmarks) is not None)
    if structures is None:
        return None
    return _in_the_way_of_structures(structures, limits, then, started=started, is_rigid=is_rigid)


def _in_the_way_of_structures(
    structures: Any, limits: Sequence[Any], then: str, *, started: bool, is_rigid: bool
) -> str | None:
    name = structures.GetName()
    if limits:
        return _("The structures of {name} are the region already. Leave out {other}.").format(
            name=name, other=limits[0].GetName()
        )
    if then:
        return _("The structures of {name} have no second stage. Under Then, choose Nothing more.").format(name=name)
    if not is_rigid:
        return _("The structures of {name} keep their size. Choose a preset that is rigid.").format(name=name)
    if not started:
        return _(
            "The structures of {name} start where a search of all poses, or what you give, puts them. Choose that."
        ).format(name=name)
    return None


def not_combined(name: str, reason: str) -> str:
    """Structures that have no combined transform."""
    return _(
        "Nothing was moved: each structure has a transform of its own, but they could not be combined. {reason} Shown "
        "is {name}, which is trusted least."
    ).format(name=name, reason=reason)


def ready_words(fixed: Any, moving: Any, structures: Any = None, further: Sequence[Any] = ()) -> str:
    """What the button will do."""
    if further:
        return _("Put {moving} onto {fixed}, one after the other").format(
            moving=", ".join(node.GetName() for node in (moving, *further)), fixed=fixed.GetName()
        )
    if structures is not None:
        return _("Put what {moving} shows of each structure of {structures} onto {fixed}").format(
            moving=moving.GetName(), structures=structures.GetName(), fixed=fixed.GetName()
        )
    return _("Put {moving} onto {fixed}").format(moving=moving.GetName(), fixed=fixed.GetName())


def output_refused(error: RegistrationError) -> str:
    """Why the result is not in the output transform that was chosen."""
    return _("The result is in a new transform. {problem}").format(problem=problem_words(error))


def volume_moved(name: str) -> str:
    """One of the volumes was moved meanwhile."""
    return _(
        "{name} was moved while the registration ran. The transform was added, but not applied: it holds for where the "
        "volume lay before."
    ).format(name=name)


RECOVER_RUN = _("The search for the transform")
RECOVER_HINT = _("Find the transform and add it to the scene; nothing is moved")


def recover_missing(original: Any, resampled: Any) -> str | None:
    """What has to be chosen before a lost transform can be looked for; None when nothing is missing."""
    if original is None:
        return _("Choose the volume as it was before it was resampled.")
    if resampled is None:
        return _("Choose the resampled copy of {name}.").format(name=original.GetName())
    if original is resampled:
        return _("{name} is chosen as both volumes. Choose its resampled copy.").format(name=original.GetName())
    return None


def recovered_words(name: str, content: Mapping[str, Any]) -> str:
    """What was found of a lost transform."""
    # A copy without contrast was refused.
    left = content["rms_residual"] / content["intensity_sd"]
    if not content["explained"]:
        return _(
            "{name} was added, but do not trust it: what it leaves unexplained is {left:.0%} of the spread of the "
            "intensities. Perhaps it is another volume, has other intensities, or its transform was not linear."
        ).format(name=name, left=left)
    motions = {"rigid": _("rigid"), "similarity": _("similarity"), "affine": _("affine")}
    return _(
        "{name} was added, a {motion} transform; nothing was moved. It explains the resampled copy: what is left is "
        "{left:.1%} of the spread of its intensities."
    ).format(name=name, motion=motions[content["motion"]], left=left)


def one_of_several(name: str, number: int, count: int) -> str:
    """Which of several moving volumes is registered."""
    return _("{name} ({number} of {count})").format(name=name, number=number, count=count)


OUTPUT_REMOVED = _("The result is in a new transform. The output transform that you chose was removed meanwhile.")
REMOVED = _("it was removed from the scene while the volumes were registered")
MOVED = _("it was moved while the volumes were registered")


def removed_meanwhile() -> tuple[str, str]:
    """Finding and remedy where a volume was removed before its turn."""
    return _("it was removed from the scene before its turn came"), _("Load it and register again.")


def not_registered(names: Sequence[str]) -> str:
    """Remedy where several volumes cannot be registered any more."""
    return _("Not registered: {names}. Register them again.").format(names=", ".join(names))


def verdict_on(name: str, content: Mapping[str, Any]) -> str:
    """The verdict on one of several results, from what is kept of its registration."""
    sentences = {
        "verified": _("{name} is verified"),
        "uncertain": _("{name} is uncertain"),
        "failed": _("{name} failed"),
    }
    sentence = sentences.get((content.get("verdict") or {"word": ""})["word"], _("{name} was not judged"))
    error = error_words(content)
    return sentence.format(name=name) + (f", {error}." if error else ".")


def error_words(content: Mapping[str, Any]) -> str:
    """The estimated error of a registration; empty where there is none. It is that of the linear stages."""
    verdict = content.get("verdict")
    if verdict is None or verdict["estimated_error_mm"] is None or verdict["word"] == "failed":
        return ""
    error_mm = verdict["estimated_error_mm"]
    if any(stage["type"] == "bending" for stage in content.get("later_stages", ())):
        return _("estimated error before the bending {error:.1f} mm").format(error=error_mm)
    return _("estimated error {error:.1f} mm").format(error=error_mm)


def trusted_least(name: str) -> str:
    """Which of several results is shown."""
    return _("Shown is {name}, which is trusted least.").format(name=name)


def carried_skipped(names: list[str]) -> str:
    """Nodes that were to be carried along but were removed."""
    return _("Removed while the registration ran, so not carried along: {names}.").format(names=", ".join(names))


def verdict_words(content: Mapping[str, Any]) -> str:
    """The verdict on a registration in one line."""
    sentences = {
        "verified": _("VERIFIED: nothing speaks against this result"),
        "uncertain": _("UNCERTAIN: look closely before you use this result"),
        "failed": _("FAILED: do not use this result"),
    }
    sentence = sentences.get((content.get("verdict") or {"word": ""})["word"], _("NOT JUDGED"))
    error = error_words(content)
    return f"{sentence} ({error})" if error else sentence


def verdict_style(word: str) -> str:
    """Style sheet of the verdict."""
    return label_style(_COLORS.get(word, NEUTRAL), bold=True)


def evidence_html(content: dict[str, Any], node_name: str) -> str:
    """What speaks for and against a result, as a list."""
    verdict = content.get("verdict")
    against, facts = ([], []) if verdict is None else (verdict["against"], verdict["facts"])
    # Warnings repeat what speaks against the result.
    warnings = [words for words in content["warnings"] if not any(sentence in words for sentence in against)]
    moved = content["moved_from_start"]
    lines = [f"<b>{escaped(words)}</b>" for words in (*against, *warnings)]
    lines += [escaped(words) for words in facts]
    # A run without a verdict tells it all the same.
    at_landmarks = (content.get("landmarks") or {}).get("words")
    if at_landmarks is not None and at_landmarks not in (*against, *facts, *warnings):
        lines.append(escaped(at_landmarks))
    lines.append(
        escaped(
            _(
                "Moved by {mm:.1f} mm and {degrees:.1f} degrees; engine {engine}, preset {preset}; transform {name}."
            ).format(
                mm=moved["mean_mm"],
                degrees=moved["rotation_deg"],
                engine=content["engine"],
                preset=content["preset"],
                name=node_name,
            )
        )
    )
    return "<ul style='margin-left: -24px'>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def choice_texts() -> dict[str, dict[str, tuple[str, str]]]:
    """Label and explanation of each value, by parameter."""
    return {
        "start": {
            "auto": (_("Search all poses"), _("Around the start that you give, or where the volumes lie")),
            "given": (_("Where they lie, or as given"), _("No search: only for volumes that nearly fit")),
            "center": (_("Centres aligned"), _("No search; the centres of the volumes on each other")),
            "moments": (_("Centres of mass aligned"), _("No search; the bright parts of the volumes on each other")),
        },
        "pairing": {
            "order": (_("Order"), _("First to first, second to second")),
            "label": (_("Label"), _("Points of the same name")),
            "auto": (_("Best fit"), _("Whichever pairs fit best")),
        },
    }


def no_second_stage() -> tuple[str, str]:
    """The first entry of the list of second stages, and its explanation."""
    return _("Nothing more"), _("One stage alone")


def engine_label(name: str, *, ready: bool, size_mb: int) -> str:
    """An engine in the list."""
    if ready:
        return name
    return _("{name} (not installed, download {size} MB)").format(name=name, size=size_mb)


def best_engine_label(name: str) -> str:
    """The first entry of that list."""
    return _("Best installed: {name}").format(name=name)


def parameters_hint(preset: str, engine: str) -> str:
    """What the table shows."""
    return _("{preset}, engine {engine}. Double-click a value to change it; changes are kept in the scene.").format(
        preset=preset, engine=engine
    )


def stage_prefix(number: int) -> str:
    """Before the name of a parameter, where a preset has several stages."""
    return _("Stage {number}: ").format(number=number)


def table_headers() -> list[str]:
    """Of the columns of the table."""
    return [_("Parameter"), _("Value"), _("Meaning")]


SAVE_PRESET = _("Save the preset as")
IMPORT_PRESETS = _("Import presets")
NAME_OF_PRESET = _("Name of the preset:")


def preset_file_filter() -> str:
    """Of the dialog that imports presets."""
    kinds = [
        _("Settings of elastix, ANTs, SlicerElastix and SlicerANTs, and presets"),
        _("All files"),
    ]
    return f"{kinds[0]} (*.txt *.sh *.json *.xml);;{kinds[1]} (*)"


def own_preset_label(name: str, title: str) -> str:
    """A preset of the user's in the list."""
    if name == title:
        return _("{name} (yours)").format(name=name)
    return _("{title} (yours: {name})").format(title=title, name=name)


def preset_saved(name: str, folder: str) -> str:
    """After a preset was saved."""
    return _("Saved as {name}, in {folder}.").format(name=name, folder=folder)


def presets_imported(names: list[str], problems: list[str], notes: Sequence[str]) -> str:
    """After presets were imported: which, and what was left out."""
    first = _("Imported: {names}.").format(names=", ".join(names)) if names else _("Nothing was imported.")
    return "\n".join([first, *problems, *notes])


INSTALL_TITLE = _("Install an engine")
WHEELS_TITLE = _("Folder of wheels")
INSTALLING = _("Installing the engine")


def install_question(engine: str, download_mb: int, installed_mb: int, *, second: bool) -> str:
    """Before an engine is downloaded, that of the second stage or of the first."""
    question = _(
        "The engine {engine} is not installed. Download it (about {download} MB, {installed} MB on the disk)? It goes "
        "into a folder of its own; Slicer's other packages stay as they are."
    ).format(engine=engine, download=download_mb, installed=installed_mb)
    return f"{question} {_without_second() if second else _without_first()}"


def _without_first() -> str:
    return _("Without it, choose the engine simpleitk under Search and engine: it comes with Slicer.")


def _without_second() -> str:
    return _("Without it, choose Nothing more under Then.")


def wheels_question(problem: str) -> str:
    """After a download failed."""
    return _("{problem}\n\nInstall from a folder of wheels that was filled on another computer?").format(
        problem=problem
    )


def engine_declined(engine: str, *, second: bool) -> str:
    """The user wanted no installation."""
    if second:
        return _("{engine} was not installed. Choose Nothing more under Then.").format(engine=engine)
    return _("{engine} was not installed. Choose an installed engine under Search and engine.").format(engine=engine)


ADJUST_READY = _("Shows handles in the views that drag and turn the moving volume, and how well it agrees meanwhile")
ADJUSTING = _("Drag the handles in the views.")
BUSY_ADJUST = _("Wait until the registration has ended.")
PREPARING_AGREEMENT = _("Drag and turn the handles in the views. The agreement is shown in a moment.")


def agreement_words(score: float | None, start: float, best: float) -> str:
    """How well the volumes agree while one is dragged."""
    now = _("too little overlap") if score is None else f"{score:.3f}"
    return _("Agreement: {now}. At the start {start:.3f}, at best {best:.3f}.").format(now=now, start=start, best=best)


def kept_words(name: str, moving: str) -> str:
    """The transform that was set by hand was applied."""
    return _(
        "The moving volume '{moving}' is now under the transform '{name}', which was set by hand: nothing has verified "
        "it."
    ).format(moving=moving, name=name)
