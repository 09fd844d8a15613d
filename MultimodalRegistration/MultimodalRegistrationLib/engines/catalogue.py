"""Which engines there are, what their stages can be set to, and which of them are installed.

A new engine needs an entry in :data:`ENGINES` and a file ``run_NAME.py`` beside this one.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import EngineNotInstalledError, suggest
from ..core.machine import usable_cores, user_folder
from .presets.elastix_files import LINEAR_TRANSFORMS, elastix_meaning, elastix_problems


@dataclass(frozen=True)
class Setting:
    """One setting of a stage.

    Parameters
    ----------
    meaning : str
        One line for the reader, with the unit.
    expects : str
        What a valid value is, in words.
    valid : callable
        Tells whether a value is valid.
    only_for : str, optional
        The one transform model that has this setting.
    instead_of : str, optional
        Another setting; a stage has exactly one of the two.
    """

    meaning: str
    expects: str
    valid: Callable[[Any], bool]
    only_for: str | None = None
    instead_of: str | None = None


@dataclass(frozen=True)
class LogPatterns:
    """How an engine prints its progress: regular expressions that match the beginning of a line.

    The defaults are the lines of engines whose ``run_NAME.py`` prints them by itself.

    Parameters
    ----------
    iteration : str
        With the groups ``number`` and ``metric``, and ``stage`` and ``level`` (from 0) where the line tells them.
    first_number : int
        Of the first iteration of a level.
    stage, level : str, optional
        What begins the next stage, and the next level of a stage, where iterations do not tell them.
    """

    iteration: str = r"STAGE (?P<stage>\d+) LEVEL (?P<level>\d+) ITERATION (?P<number>\d+) METRIC (?P<metric>\S+)"
    first_number: int = 0
    stage: str | None = None
    level: str | None = None


@dataclass(frozen=True)
class Engine:
    """A registration engine.

    Parameters
    ----------
    name : str
        As on the command line.
    distribution : str
        The Python package that provides it.
    requirement : str
        What to install.
    size_mb : int
        Download with everything it needs, on Linux.
    installed_mb : int
        The same on disk.
    reproducible_in_parallel : bool
        Whether runs with the same number of threads, several, end with the same digits. The metrics of ITK itself add
        up their threads' shares in the order in which they end.
    preference : int
        Where the user names no engine, the installed one with the smallest is used.
    start_bytes, bytes_per_voxel : int
        Memory of its process at start-up, and its peak above that, for each voxel of both volumes; measured on
        256 x 256 x 150 float pairs with the preset "rigid" (Testing/Benchmarks/overhead.py).
    settings : mapping
        What a stage can be set to.
    custom_problems, custom_meaning : callable, optional
        In place of ``settings``, for an engine with too many: the problems of a stage, and the meaning of a setting.
    transform_setting : str
        The setting that names the transform model.
    linear_transforms : tuple of str
        The linear models, the rigid one first.
    iterations_per_level : callable
        The maximum number of iterations for each level of a stage.
    log : LogPatterns
        How it prints its progress.
    """

    name: str
    distribution: str
    requirement: str
    size_mb: int
    installed_mb: int
    reproducible_in_parallel: bool
    preference: int = 100
    start_bytes: int = 300_000_000
    bytes_per_voxel: int = 30
    settings: Mapping[str, Setting] = field(default_factory=dict)
    custom_problems: Callable[[Mapping[str, Any]], list[str]] | None = None
    custom_meaning: Callable[[str], str] | None = None
    transform_setting: str = "transform"
    linear_transforms: tuple[str, ...] = ("rigid", "similarity", "affine")
    iterations_per_level: Callable[[Mapping[str, Any]], list[int]] = lambda stage: list(stage["iterations"])
    log: LogPatterns = LogPatterns()

    @property
    def default_threads(self) -> int:
        """Threads where the user does not say: all usable cores if the result does not depend on it, else one."""
        return usable_cores() if self.reproducible_in_parallel else 1

    def problems(self, stage: Mapping[str, Any]) -> list[str]:
        """What is wrong with the settings of a stage, a sentence each."""
        if self.custom_problems is not None:
            return self.custom_problems(stage)
        settings = {
            key: setting
            for key, setting in self.settings.items()
            if setting.only_for in (None, stage.get(self.transform_setting))
        }
        replaced = {setting.instead_of: key for key, setting in settings.items() if setting.instead_of}
        problems = [f"unknown setting '{key}'.{suggest(key, list(settings))}" for key in stage if key not in settings]
        problems += [
            f"setting '{key}' is missing"
            for key, setting in settings.items()
            if key not in stage and not setting.instead_of and replaced.get(key) not in stage
        ]
        problems += [
            f"'{other}' and '{key}' exclude each other" for key, other in replaced.items() if {key, other} <= set(stage)
        ]
        problems += [
            f"'{key}' is {stage[key]!r}; it must be {setting.expects}"
            for key, setting in settings.items()
            if key in stage and not setting.valid(stage[key])
        ]
        per_level = {key: len(value) for key, value in stage.items() if isinstance(value, list)}
        if not problems and len(set(per_level.values())) != 1:
            problems.append(f"{', '.join(per_level)} must have one value per level each")
        return problems


@dataclass(frozen=True)
class EngineStatus:
    """Whether an engine is installed.

    Parameters
    ----------
    engine : Engine
        Which one.
    version : str or None
        Version of its package; None when it is not installed.
    location : str or None
        Folder that holds the package.
    """

    engine: Engine
    version: str | None
    location: str | None

    @property
    def ready(self) -> bool:
        """Whether it can run."""
        return self.version is not None


def _elastix_iterations(stage: Mapping[str, Any]) -> list[int]:
    iterations = stage["MaximumNumberOfIterations"]
    return iterations if isinstance(iterations, list) else [iterations] * stage["NumberOfResolutions"]


def _transform(*models: str) -> Setting:
    return Setting("Transform model of the stage", f"one of {', '.join(models)}", lambda value: value in models)


def _number(
    meaning: str, low: float, high: float, *, whole: bool = False, per_level: bool = False, **others: str
) -> Setting:
    """A number from ``low`` to ``high``, or a list of them, one for each level."""
    kinds = int if whole else (int, float)

    def valid(value: Any) -> bool:
        return isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high

    expects = f"{'a list of ' if per_level else 'a '}{'whole ' if whole else ''}number{'s' if per_level else ''}"
    expects += f" above 0, at most {high:g}" if 0 < low < 1 else f", {low} to {high}"
    if per_level:
        return Setting(meaning, expects, lambda v: isinstance(v, list) and len(v) > 0 and all(map(valid, v)), **others)
    return Setting(meaning, expects, valid, **others)


_BINS = _number("Bins of the joint histogram, per volume", 8, 256, whole=True)

ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            name="elastix",
            distribution="itk-elastix",
            requirement="itk-elastix>=0.23",
            size_mb=300,
            installed_mb=1750,
            reproducible_in_parallel=True,
            preference=1,
            start_bytes=250_000_000,
            bytes_per_voxel=24,
            custom_problems=elastix_problems,
            custom_meaning=elastix_meaning,
            transform_setting="Transform",
            linear_transforms=LINEAR_TRANSFORMS,
            iterations_per_level=_elastix_iterations,
            # "12<TAB>-0.35<TAB>..." under a line of headings, after "Resolution: 1".
            log=LogPatterns(r"(?P<number>\d+)\t(?P<metric>\S+)\t", stage=r"Resolution: 0\b", level=r"Resolution: \d+"),
        ),
        Engine(
            name="ants",
            distribution="antspyx",
            requirement="antspyx>=0.6",
            size_mb=130,
            installed_mb=650,
            reproducible_in_parallel=False,
            preference=3,
            start_bytes=300_000_000,
            bytes_per_voxel=27,
            settings={
                "transform": _transform("rigid", "similarity", "affine", "syn"),
                "gradient_step": _number("Step of the gradient descent", 1e-9, 10),
                "update_smoothing_voxels": _number(
                    "Gaussian smoothing of each step of syn, variance in voxels", 0, 100, only_for="syn"
                ),
                "total_smoothing_voxels": _number(
                    "Likewise of the whole displacement field; 0 lets it deform most", 0, 100, only_for="syn"
                ),
                "histogram_bins": _BINS,
                "sampling": Setting(
                    "How voxels are chosen; None for all of them",
                    "Regular, Random or None",
                    lambda value: value in ("Regular", "Random", "None"),
                ),
                "sampling_rate": _number("Share of voxels that the metric uses", 1e-6, 1),
                "iterations": _number("Maximum iterations, per level", 0, 100_000, whole=True, per_level=True),
                "convergence_threshold": _number("Slope of the metric below which a level ends", 0, 1),
                "convergence_window": _number("Iterations over which that slope is taken", 2, 1000, whole=True),
                "shrink_factors": _number("Downsampling, per level", 1, 64, whole=True, per_level=True),
                "smoothing_sigmas_mm": _number("Gaussian smoothing in mm, per level", 0, 100, per_level=True),
                "smoothing_sigmas_vox": _number(
                    "Gaussian smoothing in voxels of the volume, per level; instead of smoothing_sigmas_mm",
                    0,
                    100,
                    per_level=True,
                    instead_of="smoothing_sigmas_mm",
                ),
            },
            # "*** Running Euler3DTransform registration ***", then for each level a line of headings, which begin with
            # XX for SyN, and its iterations, " 2DIAGNOSTIC,    12, -3.5e-01, ...".
            log=LogPatterns(
                r"\s*\dDIAGNOSTIC,\s*(?P<number>\d+),\s*(?P<metric>[^,\s]+),",
                first_number=1,
                stage=r"\*\*\* Running \w+ registration",
                level=r"\s*(XX)?DIAGNOSTIC,Iteration,",
            ),
        ),
        Engine(
            name="simpleitk",
            distribution="SimpleITK",
            requirement="SimpleITK>=2.3",
            size_mb=50,
            installed_mb=280,
            reproducible_in_parallel=False,
            preference=2,
            start_bytes=100_000_000,
            bytes_per_voxel=15,
            settings={
                "transform": _transform("rigid", "similarity", "affine"),
                "histogram_bins": _BINS,
                "samples": _number("Voxels that the metric uses", 1000, 100_000_000, whole=True),
                "iterations": _number("Maximum iterations of a level but the last", 1, 100_000, whole=True),
                "resolutions_mm": _number(
                    "Voxel size that both volumes are coarsened to, per level; also the longest step of the optimiser",
                    1e-3,
                    100,
                    per_level=True,
                ),
                "convergence_threshold": _number(
                    "Relative gain of a round of line searches below which the last level ends", 0, 1
                ),
            },
            iterations_per_level=lambda stage: [stage["iterations"]] * len(stage["resolutions_mm"]),
        ),
    )
}
PREFERENCE = tuple(sorted(ENGINES, key=lambda name: ENGINES[name].preference))


def is_deformable(engine: str, stage: Mapping[str, Any]) -> bool:
    """Whether a stage of a checked preset is not linear."""
    return stage[ENGINES[engine].transform_setting] not in ENGINES[engine].linear_transforms


def meaning_of(engine: str, setting: str) -> str:
    """The meaning of a setting, with its unit and the values it may have; empty for an unknown one."""
    known = ENGINES[engine]
    if known.custom_meaning is not None:
        return known.custom_meaning(setting)
    found = known.settings.get(setting)
    return "" if found is None else f"{found.meaning}: {found.expects}."


def engines_folder() -> Path:
    """Folder that holds a folder for each engine that is installed apart from this Python's own packages."""
    override = os.environ.get("MULTIMODAL_REGISTRATION_ENGINES")
    return Path(override) if override else user_folder() / "engines"


def engine_folder(name: str) -> Path:
    """Folder of one engine and everything it needs.

    Installing there (``pip install --target``) leaves the numpy and scipy of Slicer as they are. Only the
    engine's worker process looks into it.
    """
    return engines_folder() / name


def engine_status(name: str) -> EngineStatus:
    """Look for an engine in its own folder, then among this Python's packages, without importing it."""
    engine = ENGINES[name]
    found = importlib.metadata.distributions(name=engine.distribution, path=[str(engine_folder(name)), *sys.path])
    for distribution in found:
        return EngineStatus(engine, distribution.version, str(distribution.locate_file("")))
    if name == "simpleitk":
        # Slicer up to 5.10 brings a SimpleITK of its own build, without package metadata.
        import SimpleITK as sitk

        return EngineStatus(engine, sitk.Version.VersionString(), str(Path(sitk.__file__).parent.parent))
    return EngineStatus(engine, None, None)


def install_command(engine: Engine) -> str:
    """The one command that installs an engine, into a folder of its own: this Python's packages stay as they are."""
    return f'"{sys.executable}" -m pip install --target "{engine_folder(engine.name)}" "{engine.requirement}"'


def require_engine(name: str) -> EngineStatus:
    """Return the status of an installed engine.

    Raises
    ------
    EngineNotInstalledError
        With the command that installs it.
    """
    status = engine_status(name)
    if not status.ready:
        raise EngineNotInstalledError(
            f"Engine {name}",
            f"not installed (download about {status.engine.size_mb} MB)",
            f"Install it with: {install_command(status.engine)}",
        )
    return status


def choose_engine(supported: list[str]) -> str:
    """The installed engine to use when the user named none.

    Parameters
    ----------
    supported : list of str
        Engines that the preset has settings for.

    Returns
    -------
    str
        elastix where it is installed, otherwise SimpleITK, otherwise ANTs.

    Raises
    ------
    EngineNotInstalledError
        None of them is installed.
    """
    wanted = [name for name in PREFERENCE if name in supported]
    for name in wanted:
        if engine_status(name).ready:
            return name
    return require_engine(wanted[0]).engine.name
