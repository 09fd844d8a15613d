"""``transform convert``: a transform from the file of one tool to that of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...io.outputs import OutputFiles
from ...io.tools.common import DIRECTIONS, Context, open_scan
from ...io.transforms import FORMATS, approximation, files_of, read_as, write_as
from ..progress import make_printer

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "convert",
        help="a transform from the file of one tool to that of another",
        description="Read a transform of one tool and write it for another. Formats: "
        + "; ".join(f"{name}: {one.words}" for name, one in FORMATS.items())
        + ".",
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        metavar="IN",
        help="transform; or in quotes a list for antsApplyTransforms: '[0GenericAffine.mat,1] 1InverseWarp.nii.gz'",
    )
    parser.add_argument("output", metavar="OUT", help="where the converted transform is written")
    parser.add_argument(
        "--from", dest="source", choices=FORMATS, metavar="FORMAT", help="of IN; default: what the file tells by itself"
    )
    parser.add_argument("--to", dest="target", choices=FORMATS, metavar="FORMAT", required=True, help="of OUT")
    parser.add_argument("--fixed", metavar="F", help="fixed (reference, target) volume, for formats that need it")
    parser.add_argument("--moving", metavar="M", help="moving (input, movable, source) volume, likewise")
    for side in ("", "output-"):
        whose = "OUT, default: as of IN" if side else "a plain matrix"
        parser.add_argument(f"--{side}frame", choices=("lps", "ras"), help=f"of the coordinates in {whose}")
        parser.add_argument(f"--{side}direction", choices=DIRECTIONS, help=f"of {whose}")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    fixed, moving = (None if path is None else open_scan(path) for path in (options.fixed, options.moving))
    frame, output_frame = (None if word is None else word.upper() for word in (options.frame, options.output_frame))
    given = Context(fixed, moving, frame, options.direction)
    wanted = Context(fixed, moving, output_frame or frame, options.output_direction or options.direction)
    with OutputFiles(_files(options)) as outputs:
        transform = read_as(options.input, options.source, given)
        error_mm = write_as(outputs, options.output, options.target, transform, wanted)
        outputs.commit()
    printer = make_printer(options)
    warning = approximation(transform)
    if warning is not None:
        printer.warning(warning)
    if error_mm > 0:
        printer.warning(f"{options.output} is within {error_mm:.4f} mm of the transform.")
    printer.finish()
    if not options.quiet:
        print(f"Written as {options.target}: {options.output}")
    return 0


def _files(options: argparse.Namespace) -> list[str | Path]:
    """Files that must not be overwritten."""
    volumes = [path for path in (options.fixed, options.moving) if path]
    return [*files_of(options.input, options.source), *volumes]
