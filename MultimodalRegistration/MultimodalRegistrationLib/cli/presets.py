"""``presets``: list, show, check, copy, import and export presets."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from ..core.errors import ExitCode, InputError
from ..engines.presets.exchange import EXPORT_ENGINES, export_preset, import_presets
from ..engines.presets.preset import find_preset, load_preset_file, preset_files, save_presets, user_preset_folder

__all__ = ["add_parser"]

_FILES = (
    "parameter files of elastix in the order of the stages; or one file: a call of antsRegistration (.txt, .sh), a "
    "preset of SlicerANTs or of this program (.json), the list of SlicerElastix (.xml) or its folder"
)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser("presets", help="list, show, check, copy, import and export presets")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all presets, one a line").set_defaults(run=_list)
    show = actions.add_parser("show", help="print the file of a preset")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=_show)
    check = actions.add_parser("check", aliases=["validate"], help="check files of settings and list every problem")
    check.add_argument("files", metavar="FILE", nargs="+", help=_FILES)
    check.set_defaults(run=_check)
    copy = actions.add_parser("copy", help="copy a preset under a new name, to edit or to share it")
    copy.add_argument("name", metavar="NAME|FILE")
    copy.add_argument("new_name", metavar="NEW", help="name of the copy")
    copy.add_argument("--to", metavar="FILE.json", help="where to save it; default: your own presets")
    copy.set_defaults(run=_copy)
    importing = actions.add_parser(
        "import", help="make presets of settings of elastix, ANTs, SlicerElastix or SlicerANTs"
    )
    importing.add_argument("files", metavar="FILE", nargs="+", help=_FILES)
    importing.add_argument(
        "--name", metavar="N", help="name of the preset; default: as in the file, or the file's name"
    )
    importing.add_argument("--to", metavar="FILE.json", help="where to save it; default: your own presets")
    importing.set_defaults(run=_import)
    export = actions.add_parser("export", help="write a preset as files that elastix, ANTs or SlicerANTs read")
    export.add_argument("name", metavar="NAME|FILE")
    export.add_argument("--engine", required=True, type=str.lower, choices=EXPORT_ENGINES)
    export.add_argument("--output-dir", required=True, metavar="D", help="an existing folder")
    export.set_defaults(run=_export)


def _list(options: argparse.Namespace) -> int:
    files = preset_files()
    width = max(map(len, files))
    for name, path in files.items():
        try:
            preset = load_preset_file(path)
        except InputError as error:
            print(f"{name:{width}}  cannot be used: {error}")
            continue
        own = " (yours)" if path.parent == user_preset_folder() else ""
        print(f"{name:{width}}  {preset.title}{own} [{', '.join(preset.engines)}]")
    print(f"\nYour own presets go into {user_preset_folder()}")
    return 0


def _show(options: argparse.Namespace) -> int:
    preset = find_preset(options.name)
    print(preset.path.read_text(encoding="utf-8"), end="")
    return 0


def _check(options: argparse.Namespace) -> int:
    imported = import_presets(options.files)
    problems = [*imported.unknown, *map(str, imported.refused)]
    for preset in imported.presets:
        subject = f"set {preset.name}" if len(imported.presets) > 1 else " ".join(options.files)
        print(f"{subject}: valid; engines: {', '.join(preset.engines)}")
    for note in imported.notes:
        print(note)
    for problem in problems:
        print(f"multimodal-registration: error: {problem}", file=sys.stderr)
    return ExitCode.INPUT if problems else ExitCode.DONE


def _copy(options: argparse.Namespace) -> int:
    preset = dataclasses.replace(find_preset(options.name), name=options.new_name)
    (saved,) = save_presets([preset], file=options.to)
    print(f"{saved.name}: {saved.path}")
    return 0


def _import(options: argparse.Namespace) -> int:
    imported = import_presets(options.files, name=options.name)
    for words in imported.notes:
        print(f"multimodal-registration: note: {words}", file=sys.stderr)
    for words in (*imported.unknown, *map(str, imported.refused)):
        print(f"multimodal-registration: warning: {words}", file=sys.stderr)
    if not imported.presets:
        raise InputError(options.files[0], "none of its sets can be a preset", "What speaks against each is above.")
    if options.to and len(imported.presets) > 1:
        raise InputError(options.to, f"one file for {len(imported.presets)} presets", "Leave --to out.")
    for saved in save_presets(imported.presets, file=options.to):
        print(f"{saved.name}: {saved.path}")
    return 0


def _export(options: argparse.Namespace) -> int:
    files, notes = export_preset(find_preset(options.name), options.engine, Path(options.output_dir))
    for note in notes:
        print(f"multimodal-registration: warning: {note}", file=sys.stderr)
    for file in files:
        print(file)
    return 0
