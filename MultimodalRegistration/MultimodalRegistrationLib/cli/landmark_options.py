"""The options for pairs of points that several subcommands share."""

from __future__ import annotations

import argparse

from ..core.errors import InputError
from ..core.points import PAIRINGS, Pairs
from ..io.landmarks import read_landmarks
from ..landmarks.pairing import pair_landmarks, pair_targets

__all__ = [
    "add_landmark_options",
    "add_space_options",
    "add_target_options",
    "read_landmark_pairs",
    "read_pairs",
    "read_target_pairs",
]


def add_landmark_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`read_pairs` needs."""
    parser.add_argument("--fixed-landmarks", metavar="A", help="points in the fixed volume: .mrk.json, .fcsv, .csv")
    parser.add_argument("--moving-landmarks", metavar="B", help="the same points in the moving one")
    add_space_options(parser)
    parser.add_argument("--pairing", choices=PAIRINGS, default="order", help="how points are paired (%(default)s)")


def add_space_options(parser: argparse.ArgumentParser) -> None:
    """Add the coordinate systems of point files that do not state theirs."""
    for role in ("fixed", "moving"):
        parser.add_argument(
            f"--{role}-space", choices=("LPS", "RAS"), help="coordinates of point files that do not state them"
        )


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`read_target_pairs` needs, but for those of :func:`add_space_options`."""
    parser.add_argument("--targets-fixed", metavar="TA", help="independent points in the fixed volume")
    parser.add_argument("--targets-moving", metavar="TB", help="the same points in the moving volume")


def read_pairs(options: argparse.Namespace, *, mirrored_allowed: bool = False) -> Pairs:
    """Read both landmark files and pair their points."""
    return pair_landmarks(
        read_landmarks(options.fixed_landmarks, space=options.fixed_space),
        read_landmarks(options.moving_landmarks, space=options.moving_space),
        how=options.pairing,
        mirrored_allowed=mirrored_allowed,
    )


def read_landmark_pairs(options: argparse.Namespace) -> Pairs | None:
    """Likewise, where the lists are optional; None when neither is given."""
    if not _both("The landmarks", options.fixed_landmarks, options.moving_landmarks):
        return None
    return read_pairs(options)


def _both(what: str, fixed: str | None, moving: str | None) -> bool:
    """Whether both lists are given; an error where only one is."""
    if (fixed is None) != (moving is None):
        raise InputError(what, "only one of the two lists was given", "Give both lists, or none.")
    return fixed is not None


def read_target_pairs(options: argparse.Namespace) -> Pairs | None:
    """Read and pair the targets; None when there are none."""
    if not _both("The targets", options.targets_fixed, options.targets_moving):
        return None
    return pair_targets(
        read_landmarks(options.targets_fixed, space=options.fixed_space),
        read_landmarks(options.targets_moving, space=options.moving_space),
    )
