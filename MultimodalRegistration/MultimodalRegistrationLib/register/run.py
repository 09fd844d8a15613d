"""Registration of one volume to another: from checked inputs to the transform and its evidence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.clock import Clock
from ..core.errors import Cancelled, InputError
from ..core.linear import displacement_mm, rotation_angle_deg
from ..core.points import Pairs
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..engines.catalogue import PREFERENCE, choose_engine
from ..engines.presets.model import Preset
from ..engines.session import EngineSession
from ..io.volume_checks import check_pair, check_values
from ..preprocess.check import volume_warnings
from ..preprocess.steps import AUTOMATIC, Steps
from .apply_steps import apply_steps
from .landmark_start import LandmarkErrors, LandmarkStart, landmark_start
from .masks import Masks
from .memory_need import memory_warning
from .options import DEFAULT_SEED, check_numbers
from .overlap import check_overlap, overlap_fraction
from .pair import Pair, make_pair
from .refine import refine
from .result import RegistrationResult
from .search.candidates import Candidate
from .similarity import mutual_information
from .start import StartMethod, choose_start
from .verdict.rule import WORSE_THAN_START, Verdict, judge, verdict_warning
from .views import Comparison, View, placed_in
from .wrong_way_round import inverse_warning

__all__ = ["fallback_warning", "register", "select_engine"]

# The engine starts from every candidate whose agreement comes this close to that of the best one.
_WORTH_THE_ENGINE = 0.96
_MOST_CANDIDATES = 2
# In a smaller overlap at the start, mutual information is large by chance.
_COMPARABLE_OVERLAP = 0.3


def select_engine(preset: Preset, engine: str | None) -> str:
    """The engine to use.

    Parameters
    ----------
    preset : Preset
        Must have settings for it.
    engine : str or None
        What the user asked for; None for the best one installed.

    Raises
    ------
    InputError
        The preset has no settings for the engine.
    EngineNotInstalledError
        None of the preset's engines is installed.
    """
    if engine is None:
        return choose_engine(list(preset.engines))
    if engine not in preset.engines:
        raise InputError(
            f"preset {preset.name}",
            f"it has no settings for the engine '{engine}'",
            f"Use one of {', '.join(preset.engines)}, or another preset.",
        )
    return engine


def fallback_warning(preset: Preset, asked: str | None, engine: str) -> str | None:
    """A sentence when another engine than the best one runs because that one is not installed, otherwise None."""
    best = next((name for name in PREFERENCE if name in preset.engines), engine)
    if asked is not None or engine == best:
        return None
    return (
        f"The engine {best} is not installed; {engine} is used. To install it, choose it under 'Search and engine' in "
        "the panel, or see: multimodal-registration doctor"
    )


def register(
    fixed: Volume,
    moving: Volume,
    *,
    preset: Preset,
    engine: str | None = None,
    session: EngineSession | None = None,
    start: StartMethod = "auto",
    initial_fixed_to_moving_lps: ArrayLike | None = None,
    initial_name: str = "given",
    landmarks: Pairs | None = None,
    max_translation_mm: float | None = None,
    max_rotation_deg: float | None = None,
    verdict: bool = True,
    steps: Steps = AUTOMATIC,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    seed: int = DEFAULT_SEED,
    threads: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_log: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    keep_job_files: Path | None = None,
    more_stages: bool = False,
) -> RegistrationResult:
    """Find the linear transform that puts the moving volume onto the fixed one, and say whether to trust it.

    Parameters
    ----------
    fixed, moving : Volume
        In world coordinates; not changed.
    preset : Preset
        Settings.
    engine : str, optional
        Name of the engine; by default the best one installed.
    session : EngineSession, optional
        A running engine to use, which stays open; by default one is started and closed.
    start : str
        ``"auto"`` searches all poses; ``"given"`` takes the initial transform, or the positions in the files;
        ``"center"`` aligns the centres of the volumes, ``"moments"`` those of mass.
    initial_fixed_to_moving_lps : array, shape (4, 4), optional
        Initial transform, in the resampling direction, LPS, mm: the start itself, or what a search goes around.
    initial_name : str
        What messages call it: its file or node.
    landmarks : Pairs, optional
        In world coordinates: their rigid fit is the initial transform. They bound the run, unless bounds are given, by
        four times the error to expect of them, at least 20 mm and 15 degrees.
    max_translation_mm, max_rotation_deg : float, optional
        How far the result may be from the start: displacement of the centre of the smaller volume, and rotation.
    verdict : bool
        Whether to judge the result.
    steps : Steps
        What is done to copies of the volumes first.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones in world coordinates, on any grid.
    seed : int
        Same seed, inputs and machine: same transform.
    threads : int, optional
        For the search, the verdict and the engine; by default all usable cores, or for an engine as many as leave the
        result reproducible. A ``session`` keeps its own number.
    on_progress, on_warning, on_log : callable, optional
        Called as the run goes on; the last one with each line that the engine prints.
    cancel : threading.Event, optional
        Set it to stop: within a second while the search or the engine runs, otherwise at the end of the step.
    keep_job_files : Path, optional
        Folder that gets what the engine was given and wrote.
    more_stages : bool
        Others follow, after which the caller judges the result at the landmarks.

    Returns
    -------
    RegistrationResult
        The transform with its evidence.

    Raises
    ------
    InputError
        Inputs that do not fit together.
    EngineError, EngineNotInstalledError, Cancelled
        From the engine.
    """
    check_numbers(seed=seed, threads=threads, max_translation_mm=max_translation_mm, max_rotation_deg=max_rotation_deg)
    name = select_engine(preset, engine if session is None else session.engine)
    if preset.bends(name):
        raise InputError(
            preset.path, "the preset bends, and only a linear one can be used here", "Use one such as rigid or affine."
        )
    clock = Clock()
    warnings: list[str] = []

    def warn(message: str | None) -> None:
        if message is not None:
            warnings.append(message)
            if on_warning is not None:
                on_warning(message)

    def tell(stage: str, fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled()
        if on_progress is not None:
            on_progress(Progress(stage, fraction))

    with clock.stage("check"):
        tell("checking the inputs", 0.0)
        for volume in (fixed, moving):
            check_values(volume.image, volume.name)
        check_pair(fixed.grid, fixed.name, moving.grid, moving.name)
        given = Masks(fixed_mask, moving_mask)
        warn(memory_warning(name, fixed.grid, moving.grid, steps=steps, given_masks=given.roles))
        # Once, where one volume is given twice.
        for words in dict.fromkeys((*volume_warnings(fixed), *volume_warnings(moving))):
            warn(words)
        given = given.placed(fixed, moving, warn)
    with clock.stage("preprocess"):
        prepared = apply_steps(
            steps,
            fixed,
            moving,
            masks=given,
            tell=lambda words, share: tell(words, 0.01 + 0.02 * share),
            cancel=cancel,
        )
        # From here on the copies; the user's volumes are only named.
        fixed, moving = prepared.fixed, prepared.moving
        masks = {"fixed_mask": prepared.masks.fixed, "moving_mask": prepared.masks.moving}
        by_landmarks: LandmarkStart | None = None
        if landmarks is not None:
            by_landmarks = _start_of_landmarks(
                landmarks, fixed, moving, start, initial_fixed_to_moving_lps, initial_name
            )
            initial_fixed_to_moving_lps, initial_name = by_landmarks.fixed_to_moving_lps, by_landmarks.name
            if max_translation_mm is None and max_rotation_deg is None:
                max_translation_mm = by_landmarks.max_translation_mm
                max_rotation_deg = by_landmarks.max_rotation_deg
            for finding in by_landmarks.warnings:
                warn(finding)
        start_lps, start_words = choose_start(start, fixed, moving, initial_fixed_to_moving_lps, initial_name, **masks)
        overlap_at_start = overlap_fraction(fixed, moving, start_lps, **masks)
        if start != "auto":
            check_overlap(overlap_at_start, fixed.name, moving.name, start_words, given.names)

    def view_of(masks: Masks, shared: Pair | None = None) -> View:
        pair = make_pair(
            fixed,
            moving,
            start_lps,
            fixed_mask=masks.fixed,
            moving_mask=masks.moving,
            winsorize_percentiles=preset.winsorize_percentiles,
            shared=shared,
        )
        return View.of(pair, max_translation_mm, max_rotation_deg)

    with clock.stage("prepare"):
        tell("preparing the volumes", 0.03)
        masked = whole = view_of(prepared.masks)
        if given.roles:
            whole = view_of(prepared.automatic, masked.pair)
    comparison = Comparison(masked, whole, seed=seed, threads=threads)
    # The engine loads while the poses are searched.
    with EngineSession(name, threads=threads) if session is None else nullcontext(session) as running:
        candidates: list[Candidate] = []
        if start == "auto" or verdict:
            candidates = comparison.find_poses(lambda fraction: tell("searching all poses", 0.04 + 0.26 * fraction))
        starts = [np.eye(4)]
        if start == "auto":
            starts = _worth_the_engine(candidates)
            found = [masked.pair.fixed_to_moving_lps(pose) for pose in starts]
            overlap = max(overlap_fraction(fixed, moving, transform, **masks) for transform in found)
            check_overlap(overlap, fixed.name, moving.name, "the best pose found", given.names, searched=True)
        clock.lap("search")
        refined = refine(
            running,
            comparison,
            starts,
            preset,
            seed=seed,
            crop_margin_mm=steps.crop_margin_mm,
            on_progress=lambda words, fraction: tell(words, 0.3 + 0.5 * fraction),
            on_warning=warn,
            on_log=on_log,
            cancel=cancel,
            keep=keep_job_files,
        )
    clock.lap("engine start and hand-over", {"engine": refined.seconds})
    view, pose_lps = refined.view, refined.pose_lps
    pair, bounds = view.pair, view.bounds
    at_start, at_end = (mutual_information(pair.sampled, pair.other, pose) for pose in (np.eye(4), pose_lps))
    warn(refined.without_masks)

    judged: Verdict | None = None
    with clock.stage("verdict"):
        tell("judging the result", 0.8)
        if verdict:
            evidence = comparison.examiner_of(view).examine(
                pose_lps,
                placed_in(view, candidates, masked),
                on_fraction=lambda fraction: tell("judging the result", 0.8 + 0.18 * fraction),
            )
            judged = judge(evidence, tuple(bounds.touched(pose_lps)))
            if view is not whole:
                judged = comparison.weighed(judged, pose_lps, candidates)
    fixed_to_moving_lps = pair.fixed_to_moving_lps(pose_lps)
    at_landmarks: LandmarkErrors | None = None
    if by_landmarks is not None:
        at_landmarks = by_landmarks.errors_of(SpatialTransform.of_matrix("result", fixed_to_moving_lps))
        if not more_stages:
            judged, against = at_landmarks.weighed(judged)
            if judged is None:
                warn(against)
    if judged is not None and judged.word != "verified":
        warn(verdict_warning(judged))
        if initial_fixed_to_moving_lps is not None and by_landmarks is None:
            warn(inverse_warning(fixed, moving, pair, at_start, initial_name))
    touched = tuple(bounds.touched(pose_lps))
    if touched and judged is None:
        warn(f"The result is at {' and '.join(touched)}; the true pose may lie beyond.")
    if refined.engine.convergence.settled is False:
        warn(refined.engine.convergence.words)
    # Where there is a verdict, it knows better: its agreement takes account of the overlap.
    comparable = judged is None and overlap_at_start >= _COMPARABLE_OVERLAP
    if comparable and at_start is not None and (at_end is None or at_end < (1 - WORSE_THAN_START) * at_start):
        warn(
            "The volumes agree less after the registration than at its start (mutual information "
            f"{at_start:.3f} before, {'none' if at_end is None else f'{at_end:.3f}'} after): do not trust this result "
            "before looking at it."
        )
    points = pair.sampled.grid.sample_points_lps(8)
    overlap_at_end = overlap_fraction(fixed, moving, fixed_to_moving_lps, **masks)
    clock.lap("verdict")
    return RegistrationResult(
        fixed_to_moving_lps=fixed_to_moving_lps,
        steps=steps,
        preprocess_facts=prepared.facts,
        engine=name,
        preset=preset,
        seed=seed,
        sampled="moving" if pair.sampled_is_moving else "fixed",
        start_method=start,
        start=f"search around {start_words}" if start == "auto" else start_words,
        start_fixed_to_moving_lps=start_lps,
        fixed_grid=fixed.grid,
        max_translation_mm=max_translation_mm,
        max_rotation_deg=max_rotation_deg,
        candidates=len(starts),
        overlap_at_start=overlap_at_start,
        overlap_at_end=overlap_at_end,
        mutual_information_at_start=at_start,
        mutual_information_at_end=at_end,
        moved_mm=float(displacement_mm(pose_lps, np.eye(4), points).mean()),
        rotated_deg=rotation_angle_deg(pose_lps),
        bounds_touched=touched,
        landmarks=at_landmarks,
        convergence=refined.engine.convergence,
        verdict=judged,
        seconds=clock.seconds,
        warnings=tuple(warnings),
        log=refined.engine.log,
    )


def _start_of_landmarks(
    landmarks: Pairs,
    fixed: Volume,
    moving: Volume,
    start: StartMethod,
    initial_lps: ArrayLike | None,
    initial_name: str,
) -> LandmarkStart:
    if start not in ("auto", "given"):
        raise InputError(
            "start",
            f"'{start}' was given together with landmarks",
            "Use 'auto' or 'given', or leave the landmarks out.",
        )
    if initial_lps is not None:
        raise InputError(
            initial_name,
            "an initial transform was given together with landmarks",
            "Leave one of them out: the rigid fit of the landmarks is an initial transform.",
        )
    return landmark_start(landmarks, fixed.grid, moving.grid)


def _worth_the_engine(candidates: list[Candidate]) -> list[NDArray[np.float64]]:
    """Poses of the best candidate and of those that come close to it."""
    close = [candidate for candidate in candidates if candidate.score >= _WORTH_THE_ENGINE * candidates[0].score]
    return [candidate.sampled_to_other_lps for candidate in (close or candidates[:1])[:_MOST_CANDIDATES]]
