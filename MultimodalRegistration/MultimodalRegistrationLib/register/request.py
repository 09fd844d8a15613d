"""What a registration is asked to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.errors import FieldName, InputError, suggest
from ..core.request import Request, option
from ..engines.catalogue import ENGINES
from ..engines.presets.preset import DEFAULT_PRESET, Preset, preset_content, preset_of
from ..io.request import VolumePairFields
from ..landmarks.request import LandmarkFields
from ..preprocess.steps import Steps, steps_content, steps_of

DEFAULT_SEED = 20_250_101
_LARGEST_SEED = 2**31 - 1
StartMethod = Literal["auto", "center", "moments", "given"]
_SETTING = re.compile(r",\s*(?=[\w-]+=)")


def _preset_to_json(preset: str | Preset) -> Any:
    if not isinstance(preset, Preset):
        return preset
    return {**preset_content(preset), "file": str(preset.path)}


def _preset_from_json(content: Any) -> Preset:
    if not isinstance(content, Mapping):
        raise InputError(FieldName("preset"), f"{content!r} was given", "Give a name, a file or the preset itself.")
    content = dict(content)
    return preset_of(content, Path(str(content.pop("file", "preset"))))


def _steps_to_json(steps: str | Steps) -> Any:
    return steps_content(steps) if isinstance(steps, Steps) else steps


def preset_option(help_text: str, **settings: Any) -> Any:
    """A field for a preset: its name, its file, or in memory the preset itself."""
    return option(
        help_text,
        kind="preset",
        metavar="NAME|FILE",
        encode=_preset_to_json,
        decode=_preset_from_json,
        **settings,
    )


def engine_option() -> Any:
    """A field for the name of an engine."""
    return option("default: elastix if installed, else simpleitk", default=None, choices=tuple(sorted(ENGINES)))


@dataclass(frozen=True, kw_only=True)
class Stage(Request):
    """A stage: a preset on the result of the stages before it.

    As a text it is the preset, and after commas settings such as ``engine=E`` and ``fixed-mask=L``.
    """

    preset: str | Preset = preset_option("name or file")
    engine: str | None = engine_option()
    fixed_mask: str | None = option("label map; voxels above zero are used", kind="mask", default=None)
    moving_mask: str | None = option("likewise for the moving volume", kind="mask", default=None)
    fixed_roi: str | None = option("ROI in the fixed volume: only what lies in it is used", kind="file", default=None)
    moving_roi: str | None = option("likewise in the moving volume", kind="file", default=None)

    @classmethod
    def from_text(cls, text: str) -> Stage:
        """The stage of a text.

        Raises
        ------
        InputError
            An unknown key, one without a value, or no such engine.
        """
        # Names of presets and paths may hold commas.
        name, *settings = _SETTING.split(text)
        keys = {one.replace("_", "-"): one for one in ("engine", *STAGE_FILES)}
        given: dict[str, str] = {}
        for setting in settings:
            key, _, value = setting.partition("=")
            if key not in keys or not value:
                raise InputError(
                    f"--then {text}",
                    f"'{setting}' is no setting of a stage",
                    f"Use {', '.join(f'{known}=...' for known in keys)}.{suggest(key, keys)}",
                )
            given[keys[key]] = value
        if given.get("engine") not in (None, *ENGINES):
            raise InputError(f"--then {text}", f"no engine '{given['engine']}'", f"Use one of {', '.join(ENGINES)}.")
        return cls(preset=name, **given)

    def __str__(self) -> str:
        """The text of :meth:`from_text`."""
        settings = {name: getattr(self, name) for name in ("engine", *STAGE_FILES)}
        given = [f"{name.replace('_', '-')}={value}" for name, value in settings.items() if value is not None]
        return ",".join([str(self.preset), *given])


# Of no use to whoever has nodes or volumes in memory: they stand for files, or for what is done with the result.
LANDMARK_FIELDS = ("fixed_landmarks", "moving_landmarks", "fixed_space", "moving_space", "pairing")
OUTPUT_FIELDS = ("carry", "keep_failed", "require")
STAGE_FILES = ("fixed_mask", "moving_mask", "fixed_roi", "moving_roi")


@dataclass(frozen=True, kw_only=True)
class VerdictFields(Request):
    """What the verdict means for the exit code and for the files."""

    require: Literal["verified"] | None = option(
        "treat any other verdict as a failed one, but with exit code 7", default=None
    )
    keep_failed: bool = option(
        "write all outputs under their names whatever the verdict; the exit code stays. Default: a failed "
        "transform has the verdict in its name (T.failed.h5), and nothing is resampled or propagated with it",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class BoundFields(Request):
    """How far the result may be from the start."""

    max_translation_mm: float | None = option(
        "how far the result may be from the start; default: any", metavar="MM", minimum=0, default=None
    )
    max_rotation_deg: float | None = option(
        "likewise, 0 to 180; default: any", metavar="DEG", minimum=0, maximum=180, default=None
    )


@dataclass(frozen=True, kw_only=True)
class SeedField(Request):
    """The seed of every random draw."""

    seed: int = option("default: %(default)s", metavar="N", minimum=1, maximum=_LARGEST_SEED, default=DEFAULT_SEED)


@dataclass(frozen=True, kw_only=True)
class RegisterRequest(VerdictFields, SeedField, BoundFields, LandmarkFields, VolumePairFields):
    """Everything that a registration is: volumes, stages, start, bounds, preprocessing, judge, seed.

    Files are paths; in memory, :class:`~MultimodalRegistrationLib.register.inputs.Inputs` holds what they hold.
    """

    preset: str | Preset = preset_option("default: %(default)s", default=DEFAULT_PRESET)
    then: tuple[Stage, ...] = option(
        "another preset on the result so far, such as 'affine' or 'warp', which is deformable; may be given several "
        "times",
        kind="stage",
        metavar="PRESET[,engine=E][,fixed-mask=L][,moving-mask=L][,fixed-roi=R][,moving-roi=R]",
        repeated=True,
        default=(),
    )
    engine: str | None = engine_option()
    initial_transform: str | None = option(
        "linear ITK transform to start from, same convention as the result; default: the positions in the files",
        kind="file",
        metavar="T0",
        default=None,
    )
    start: StartMethod = option(
        "auto (default): search all poses around the initial transform, or the fit of the landmarks; given: start "
        "there; center, moments: align the centres of the volumes, or of mass",
        default="auto",
    )
    preprocess: str | Steps = option(
        "what is done to copies of the volumes first: what was measured to help, nothing, or what a file says",
        kind="steps",
        metavar="auto|none|FILE",
        encode=_steps_to_json,
        decode=steps_of,
        default="auto",
    )
    verdict: bool = option("do not judge the result; saves some seconds", default=True)
    fixed_mask: str | None = option("label map; voxels above zero are used", kind="mask", metavar="L", default=None)
    moving_mask: str | None = option("likewise for the moving volume", kind="mask", metavar="L", default=None)
    fixed_roi: str | None = option(
        "ROI in the fixed volume: only what lies in it is used", kind="file", metavar="R", default=None
    )
    moving_roi: str | None = option("likewise in the moving volume", kind="file", metavar="R", default=None)
    carry: tuple[str, ...] = option(
        "further volumes, label maps, segmentations, points, markups or models that lie in the moving volume; "
        "they go onto the fixed one with it, volumes onto its grid",
        kind="any file",
        metavar="INPUT",
        default=(),
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """Fields that exclude each other."""
        yield from super().conflicts(given)
        if "require" in given and "verdict" in given:
            yield InputError(FieldName("require", "verdict"), "given together", "Leave one of them out.")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages, the first one with the masks and ROIs of the whole run."""
        files = {name: getattr(self, name) for name in STAGE_FILES}
        return (Stage(preset=self.preset, engine=self.engine, **files), *self.then)


@dataclass(frozen=True, kw_only=True)
class RegisterOutputs(Request):
    """Where the results of a registration go, and what the computer has to give."""

    output_transform: str = option(
        "result; loads in Slicer as a transform node for the moving volume, in SimpleITK as the fixed-to-moving "
        "resampling transform",
        kind="output",
        metavar="T.h5",
    )
    output_volume: str | None = option(
        "the moving volume, resampled to the fixed grid", kind="output", metavar="R.nrrd", default=None
    )
    carry_dir: str | None = option(
        "new or empty folder for what is propagated; files keep their names", kind="output", metavar="D", default=None
    )
    json: str | None = option(
        "everything about the run, for scripts", kind="output", metavar="RESULT.json", default=None
    )
    keep_temporary_files: str | None = option(
        "put the engine's log and settings here", kind="output", metavar="DIR", default=None
    )
    threads: int | None = option(
        "default: all usable cores, but 1 for the engines ants and simpleitk, whose last digits vary with more",
        metavar="N",
        minimum=1,
        default=None,
    )
    memory_limit_gib: float | None = option(
        "volumes that need more for the run are read coarser; default: half of the free memory",
        metavar="GIB",
        minimum=0,
        above_minimum=True,
        default=None,
    )
