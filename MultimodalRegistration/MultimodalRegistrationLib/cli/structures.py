"""``structures``: bones that move separately, each with a transform of its own, and one transform of all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import Cancelled, ExitCode, InputError, exit_code_of_verdicts
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..engines.presets.preset import find_preset
from ..io.outputs import OutputFiles, output_folder, write_json, writing
from ..io.segmentations import read_segmentation
from ..io.tools.itk import write_linear_transform, write_transform
from ..io.transforms import read_linear_transform
from ..io.volumes import read_volume
from ..polyrigid.combine import CombinedTransform, combine_rigid
from ..polyrigid.field import share_text
from ..polyrigid.register_each import register_structures
from ..polyrigid.register_one import RegisteredStructure
from ..polyrigid.report import COMBINED_FILE, RESAMPLED_FILE, RESULT_FILE, file_names, joint_content, structures_content
from ..polyrigid.request import PolyrigidOutputs, PolyrigidRequest
from ..polyrigid.structure import SkippedStructure, in_view, structures_of
from ..register.judged_outputs import verdict_suffix
from ..register.landmark_start import landmark_start
from ..register.plan import fallback_warning, select_engine
from ..register.resample import resample_to_fixed
from ..register.searched_start import searched_start
from .jobs import Context, add_job_parser
from .progress import Printer

_INPUTS = ("fixed", "moving", "segmentation", "initial_transform", "fixed_landmarks", "moving_landmarks")
# Shares of the run: the search for the prealignment, then the registrations, then the combination.
_AFTER_SEARCH, _AFTER_REGISTRATION = 0.1, 0.7

REQUESTS = (PolyrigidRequest, PolyrigidOutputs)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    add_job_parser(
        commands,
        "structures",
        help="register structures that move separately",
        description="Register each structure of a segmentation on its own; combine their rigid transforms into one.",
    )


def run_job(request: PolyrigidRequest, outputs: PolyrigidOutputs, context: Context) -> int:
    """Register structures of files, and print what came of each; returns the exit code."""
    printer = context.printer
    preset = find_preset(request.preset)
    engine = select_engine(preset, request.engine)
    inputs = {name: getattr(request, name) for name in _INPUTS}
    warnings: list[str] = []

    def warn(words: str | None) -> None:
        if words is not None:
            warnings.append(words)
            printer.warning(words)

    warn(fallback_warning(preset, request.engine, engine))
    segmentation = read_segmentation(request.segmentation)
    structures = structures_of(segmentation, request.segments or None)
    folder = output_folder(outputs.output_dir)
    with OutputFiles([str(path) for path in inputs.values() if path]) as files, context.cancelling() as cancel:
        json_files = [files.add(folder / RESULT_FILE, (".json",))]
        if outputs.json:
            json_files.append(files.add(outputs.json, (".json",)))
        printer.progress(Progress("reading", 0.0))
        fixed, moving = read_volume(request.fixed), read_volume(request.moving)
        start, landmark_error_mm = _prealignment(request, fixed, moving, printer, warn)
        shown, skipped = in_view(structures, moving, start)
        for unseen in skipped:
            warn(unseen.message)
        if not shown:
            raise InputError(
                segmentation.name,
                f"under the common start {moving.name} shows too little of every structure",
                "Give a better start, or a moving volume that shows them.",
            )
        registered = register_structures(
            fixed,
            moving,
            shown,
            preset=preset,
            fixed_to_moving_lps=start,
            neighbours=structures_of(segmentation),
            engine=engine,
            margin_mm=request.margin_mm,
            max_translation_mm=request.max_translation_mm,
            max_rotation_deg=request.max_rotation_deg,
            landmark_error_mm=landmark_error_mm,
            workers=outputs.workers,
            seed=request.seed,
            on_progress=lambda progress: printer.progress(
                _part(progress.stage, progress.fraction, _AFTER_SEARCH, _AFTER_REGISTRATION)
            ),
            on_warning=warn,
            cancel=cancel,
        )
        verdicts = [one.result.verdict.word for one in registered if one.result.verdict is not None]
        names: list[str] = []
        for one, word in zip(registered, verdicts, strict=True):
            suffix = verdict_suffix(request, word, ".h5")
            names += file_names([one.structure.name], suffix, taken=[COMBINED_FILE, *names])
        staged = [files.add(folder / name, (".h5",)) for name in names]
        combined = _combined(fixed, registered, printer, warn, cancel)
        for file, one in zip(staged, registered, strict=True):
            with writing(folder):
                write_linear_transform(file, one.result.fixed_to_moving_lps)
        if not isinstance(combined, str):
            spatial = SpatialTransform("combined", combined.transform)
            write_transform(files.add(folder / COMBINED_FILE, (".h5",)), spatial, target=folder / COMBINED_FILE)
            resampled = resample_to_fixed(fixed, moving, spatial)
            with writing(folder / RESAMPLED_FILE):
                sitk.WriteImage(resampled.image, str(files.add(folder / RESAMPLED_FILE, (".nrrd",))), True)
        content = structures_content(
            registered, combined, skipped=skipped, files=names, inputs=inputs, warnings=warnings
        )
        joint = None if isinstance(combined, str) else joint_content(content)["verdict"]["word"]
        # What was skipped has no verdict, so that it is not verified.
        code = exit_code_of_verdicts([*verdicts, joint, *(None for _ in skipped)], request.require)
        for file in json_files:
            write_json(file, {**content, "exit_code": int(code)})
        if cancel.is_set():
            raise Cancelled()
        files.commit()
    printer.finish()
    if not context.quiet:
        print("\n".join(_words(registered, skipped, names, combined, folder)))
    if code != ExitCode.DONE:
        printer.warning(_not_good_enough(code, [one.structure.name for one in registered], verdicts, request))
    return code


def _not_good_enough(code: ExitCode, names: Sequence[str], verdicts: Sequence[str], request: PolyrigidRequest) -> str:
    good = ("verified",) if request.require else ("verified", "uncertain")
    bad = [f'"{name}" is {word}' for name, word in zip(names, verdicts, strict=True) if word not in good]
    words = f"Exit code {code.value}: {'; '.join(bad) or 'the structures together are not verified'}."
    if bad and not request.keep_failed:
        words += " Their transforms have the verdict in their names; look at them first."
    return words


def _part(stage: str, fraction: float, low: float, high: float) -> Progress:
    return Progress(stage, low + (high - low) * fraction)


def _prealignment(
    request: PolyrigidRequest, fixed: Volume, moving: Volume, printer: Printer, warn: Any
) -> tuple[NDArray[np.float64], float | None]:
    """The common start, and the error to expect at the landmarks that it was fitted to."""
    landmarks = request.read_pairs()
    if request.initial_transform is not None and landmarks is not None:
        raise InputError(
            request.initial_transform,
            "an initial transform was given together with landmarks",
            "Leave one of them out: the rigid fit of the landmarks is an initial transform.",
        )
    if request.initial_transform is not None:
        return read_linear_transform(request.initial_transform), None
    if landmarks is not None:
        found = landmark_start(landmarks, fixed.grid, moving.grid)
        for words in found.warnings:
            warn(words)
        at_start = found.errors_of(SpatialTransform.of_matrix("common start", found.fixed_to_moving_lps))
        return found.fixed_to_moving_lps, at_start.unseen_rms_mm
    printer.progress(Progress("searching all poses of the whole volumes", 0.02))
    return searched_start(fixed, moving, seed=request.seed), None


def _combined(
    fixed: Volume,
    registered: tuple[RegisteredStructure, ...],
    printer: Printer,
    warn: Any,
    cancel: threading.Event,
) -> CombinedTransform | str:
    """One transform of what did not fail, or why there can be none: each structure has its own all the same."""

    def tell(fraction: float) -> None:
        if cancel.is_set():
            raise Cancelled()
        printer.progress(_part("combining the transforms", fraction, _AFTER_REGISTRATION, 0.95))

    usable = [one for one in registered if one.is_usable]
    for one in registered:
        if not one.is_usable and usable:
            warn(f"'{one.structure.name}' failed and is not in the combined transform.")
    try:
        if not usable:
            raise InputError("The structures", "all of them failed", "Look at what speaks against each.")
        combined = combine_rigid(
            fixed.grid,
            [one.structure for one in usable],
            [one.result.fixed_to_moving_lps for one in usable],
            on_fraction=tell,
        )
    except InputError as error:
        warn(f"There is no combined transform. {error}")
        return str(error)
    for words in combined.warnings:
        warn(words)
    return combined


def _words(
    registered: tuple[RegisteredStructure, ...],
    skipped: tuple[SkippedStructure, ...],
    names: list[str],
    combined: CombinedTransform | str,
    folder: Path,
) -> list[str]:
    lines = []
    for one, name in zip(registered, names, strict=True):
        verdict = one.result.verdict
        assert verdict is not None
        moved = f"{one.result.moved_mm:.1f} mm and {one.result.rotated_deg:.1f} degrees from the start"
        if one.outcome != "registered":
            moved = f"{'kept' if one.outcome == 'kept' else 'left'} at the common start"
        lines.append(f"{one.structure.name}: {verdict.word.upper()}, {moved}: {name}")
        lines += [f"- {words}" for words in verdict.against]
    lines += [f"{unseen.structure.name}: SKIPPED, {unseen.share:.0%} of it in view" for unseen in skipped]
    if not isinstance(combined, str):
        worst = max(one.deviation_max_mm for one in combined.structures)
        jacobian = combined.jacobian
        lines.append(
            f"Combined: {COMBINED_FILE}, within {worst:.2f} mm of each structure's own transform; smallest Jacobian "
            f"determinant {jacobian.minimum:.2f}, {share_text(jacobian.folded_share)} folded; comes back to "
            f"{combined.round_trip.p95_mm:.2g} mm (95th percentile)."
        )
    return [*lines, f"Folder: {folder}"]
