"""``check``: what one or two volumes are, and what speaks against registering them."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from ..core.errors import ExitCode
from ..core.progress import Progress
from ..io.outputs import OutputFiles
from ..preprocess.check import VolumeReport, check_file
from ..preprocess.findings import Finding
from ..register.check_two import check_two
from ..register.memory_need import needed_memory_bytes
from .progress import EventPrinter

__all__ = ["add_parser"]

_SCHEMA = 1
# The one that is used if it is installed; the others take about as much memory, or less.
_ENGINE = "elastix"


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "check",
        help="look at one or two volumes before a registration",
        description="Say what a volume is and what speaks against registering it. Exit code 2 if it cannot be used.",
        allow_abbrev=False,
    )
    parser.add_argument("fixed", metavar="F", help="a volume file or the folder of one DICOM series")
    parser.add_argument("moving", metavar="M", nargs="?", help="likewise; the two are then also judged together")
    parser.add_argument("--json", metavar="R.json", help="the same for scripts")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    paths = [path for path in (options.fixed, options.moving) if path is not None]
    with OutputFiles(paths) as outputs:
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        reports = []
        for number, path in enumerate(paths):
            if options.events:
                EventPrinter().progress(Progress(f"looking at the voxels of {path}", number / len(paths)))
            reports.append(check_file(path))
        volumes = [report.volume for report in reports if _usable(report) and report.volume is not None]
        pair = check_two(*volumes) if len(volumes) == 2 else ()
        memory = needed_memory_bytes(_ENGINE, volumes[0].grid, volumes[-1].grid) if len(volumes) == 2 else None
        if json_file is not None:
            json_file.write_text(json.dumps(_content(reports, pair, memory), indent=2) + "\n", encoding="utf-8")
            outputs.commit()
    for report in reports:
        print("\n".join(_lines(report)))
    if memory is not None:
        head = ["Both", f"  a registration takes about {memory / 1e9:.1f} GB of memory"]
        print("\n".join([*head, *_finding_lines(pair)]))
    found = [*pair, *(finding for report in reports for finding in report.findings)]
    return ExitCode.INPUT if any(finding.severity == "error" for finding in found) else ExitCode.DONE


def _usable(report: VolumeReport) -> bool:
    return all(finding.severity != "error" for finding in report.findings)


def _lines(report: VolumeReport) -> list[str]:
    lines = [report.name, f"  {report.kind}"]
    if report.size:
        lines[-1] += f", {' x '.join(map(str, report.size))} voxels of "
        lines[-1] += f"{' x '.join(f'{value:.4g}' for value in report.spacing_mm)} mm"
    if report.orientation:
        lines.append(f"  {report.orientation}")
    if report.pixel_type:
        values = "" if report.value_range is None else ", from {:g} to {:g}".format(*report.value_range)
        lines.append(f"  {report.pixel_type}{values}")
    return [*lines, *(_finding_lines(report.findings) or ["  nothing to remark"])]


def _finding_lines(findings: tuple[Finding, ...]) -> list[str]:
    return [
        f"  {finding.severity}: {finding.message.rstrip('.')}.{f' {finding.remedy}' if finding.remedy else ''} "
        f"[{finding.code}]"
        for finding in findings
    ]


def _content(reports: list[VolumeReport], pair: tuple[Finding, ...], memory: int | None) -> dict[str, Any]:
    volumes = []
    for report in reports:
        entry: dict[str, Any] = {
            field.name: getattr(report, field.name)
            for field in dataclasses.fields(report)
            if field.name not in ("volume", "findings")
        }
        entry["findings"] = [dataclasses.asdict(finding) for finding in report.findings]
        volumes.append(entry)
    return {
        "schema": _SCHEMA,
        "volumes": volumes,
        "pair": [dataclasses.asdict(finding) for finding in pair],
        "memory_bytes": memory,
    }
