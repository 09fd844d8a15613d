"""Tables of the capture-range benchmark, in Markdown, from its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import MultimodalRegistrationLib
import numpy as np
import SimpleITK as sitk
from capture_plan import BINS, HELD_OUT_CASE, METHODS, OURS, VARIANTS, is_held_out
from measure import machine_line
from MultimodalRegistrationLib.engines.catalogue import engine_status
from MultimodalRegistrationLib.register.verdict.evidence import Evidence
from MultimodalRegistrationLib.register.verdict.rule import judge
from resumable import json_lines

__all__ = ["WRONG_MM", "read_records", "table", "wilson"]

WRONG_MM = 5.0
CAPTURED = 0.95
Record = dict[str, Any]
WORDS = ("verified", "uncertain", "failed", "stopped")
OUTCOMES = ("within the limit", f"over it, at most {WRONG_MM:g} mm", f"over {WRONG_MM:g} mm", "no answer is right")
# The template is nearly its own mirror image (correlation 0.988): a mirrored one fits, and nobody can tell.
SYMMETRIC, SYMMETRIC_MIRRORED = "template-", "mirrored symmetric atlas"
HOPELESS = ("other-body-part", "mirrored", SYMMETRIC_MIRRORED, "noise-white", "noise-smooth", "overlap-20")


def read_records(path: Path) -> list[Record]:
    """Finished runs of a file of results; a last line that was cut off is left out.

    Verdicts are judged anew from the recorded evidence, so that a change of the rule needs no new runs.

    Parameters
    ----------
    path : Path
        JSON lines; need not exist.

    Returns
    -------
    list of dict
        One for each run, the first where an id is there twice.
    """
    records = json_lines(path)
    for record in records:
        if record["evidence"]:
            verdict = judge(_evidence(record["evidence"]))
            record["verdict"], record["estimated_error_mm"] = verdict.word, verdict.estimated_error_mm
    return records


def _evidence(recorded: dict[str, Any]) -> Evidence:
    return Evidence(**{key: tuple(value) if isinstance(value, list) else value for key, value in recorded.items()})


def wilson(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Parameters
    ----------
    count, total : int
        Successes among trials; at least one trial.

    Returns
    -------
    tuple of 2 float
        0 to 1.
    """
    z = 1.959964
    share, extra = count / total, z * z / total
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * np.sqrt(share * (1 - share) / total + extra / (4 * total))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def table(records: list[Record]) -> str:
    """Everything that the records say.

    Parameters
    ----------
    records : list of dict
        As of :func:`read_records`.

    Returns
    -------
    str
        Markdown.
    """
    ours = [record for record in records if record["method"] == OURS]
    held_out = [record for record in records if is_held_out(record)]
    for record in ours:
        if record["variant"] == "mirrored" and record["case"].startswith(SYMMETRIC):
            record["variant"] = SYMMETRIC_MIRRORED
    versions = ", ".join(
        [f"multimodal-registration {MultimodalRegistrationLib.__version__}"]
        + [f"{name} {engine_status(name).version}" for name in ("elastix", "ants")]
        + [f"SimpleITK {sitk.Version.VersionString()}", f"NumPy {np.__version__}"]
    )
    days = sorted({record["date"] for record in records})
    ran = f"{len(records)} runs of {' to '.join(sorted({days[0], days[-1]}))}." if days else "No runs."
    parts = [
        "# Capture range and verdict",
        "Printed by `python Testing/Benchmarks/capture_range.py table`. Seeded starts in bins, after van de Kraats "
        "2005 and Skerl 2006: an offset about the centroid of the evaluation points is put into the header of the "
        "moving volume. A run succeeds when its mean target registration error is within the limit of its case; where "
        "a volume is cut, over the points that both still show. "
        "A peer starts from the same headers in its own way. Intervals are Wilson's, 95 %.",
        f"{machine_line()}\n{versions}\n{ran}",
        f"Odd-numbered starts and {HELD_OUT_CASE} (both of its pairs) were kept out of every choice of settings and "
        "thresholds; a part of its own has them alone. Verdicts are judged from the recorded evidence by the rule of "
        "this version. Mirrored copies of the symmetric atlas are listed but not counted among the verdicts.",
        *_starts_parts(records, "##"),
        *_case_part(ours),
        *_swap_part(ours),
        *_kinds_part(ours, "variants", VARIANTS),
        *_kinds_part(ours, "hopeless", HOPELESS),
        *_verdict_parts(ours, "##"),
        *_time_part(records),
        f"## Held out: odd-numbered starts and {HELD_OUT_CASE}",
        *_starts_parts(held_out, "###"),
        *_verdict_parts([record for record in held_out if record["method"] == OURS], "###"),
    ]
    return "\n\n".join(parts)


def _rows(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    cells = list(head)
    lines = [cells, ["---"] * len(cells), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _count(records: list[Record]) -> str:
    return f"{sum(r['success'] for r in records)} of {len(records)}" if records else ""


def _share(count: int, total: int) -> str:
    if total == 0:
        return "none"
    low, high = wilson(count, total)
    return f"{count} of {total}, {count / total:.1%} ({low:.1%} to {high:.1%})"


def _success(records: list[Record]) -> str:
    return _share(sum(r["success"] for r in records), len(records)) if records else ""


def _of(records: list[Record], **wanted: object) -> list[Record]:
    return [record for record in records if all(record[key] == value for key, value in wanted.items())]


def _starts_parts(records: list[Record], level: str) -> list[str]:
    rows, ranges = [], []
    for method in METHODS:
        mine = _of(records, family="starts", method=method)
        if not mine:
            continue
        rows.append([method, *(_success(_of(mine, bin=name)) for name in BINS), _success(mine)])
        ranges.append(f"{method}: {_capture_range(mine)}")
    if not rows:
        return []
    head = ["method", *(f"{n} degrees, {b.translation_mm[0]}-{b.translation_mm[1]} mm" for n, b in BINS.items()), "all"]
    words = f"Capture range, the last bin up to which at least {CAPTURED:.0%} of the runs succeed: "
    return [f"{level} Success by bin", _rows(head, rows), words + "; ".join(ranges) + "."]


def _capture_range(records: list[Record]) -> str:
    reached = "none"
    for name, limits in BINS.items():
        here = _of(records, bin=name)
        if not here or sum(r["success"] for r in here) < CAPTURED * len(here):
            break
        reached = f"{limits.rotation_deg[1]} degrees and {limits.translation_mm[1]} mm"
    return reached


def _case_part(ours: list[Record]) -> list[str]:
    mine = _of(ours, family="starts")
    rows = []
    for case in dict.fromkeys(record["case"] for record in mine):
        here = _of(mine, case=case)
        good = [r["tre_mean_mm"] for r in here if r["success"]]
        median = f"{np.median(good):.2f}" if good else ""
        rows.append([case, here[0]["limit"], *(_count(_of(here, bin=name)) for name in BINS), median])
    head = ["case", "limit mm", *BINS, "median TRE of the successes, mm"]
    return ["## Success of our default by case", _rows(head, sorted(rows))] if rows else []


def _swap_part(ours: list[Record]) -> list[str]:
    """The same starts in both directions."""
    there = {(r["case"], r["bin"], r["number"]): r for r in _of(ours, family="starts")}
    both = [(there[key], r) for r in _of(ours, family="swap") if (key := (r["case"], r["bin"], r["number"])) in there]
    rows = []
    for case in [*sorted({back["case"] for _, back in both}), "all"]:
        pairs = [pair for pair in both if case in ("all", pair[1]["case"])]
        found = [pair for pair in pairs if pair[0]["success"] and pair[1]["success"]]
        columns = (_count([pair[index] for pair in pairs]) for index in (0, 1))
        rows.append([case, *columns, f"{len(found)} of {len(pairs)}"])
    head = ["case", "as given", "fixed and moving exchanged", "both"]
    return ["## Success of our default with fixed and moving exchanged", _rows(head, rows)] if both else []


def _kinds_part(ours: list[Record], family: str, kinds: Iterable[str]) -> list[str]:
    mine = _of(ours, family=family)
    rows = []
    for kind in kinds:
        here = _of(mine, variant=kind)
        if not here:
            continue
        words = [sum(_word(r) == word for r in here) for word in WORDS]
        wrong = sum(_false(r) for r in here)
        missed = ", ".join(r["case"] for r in here if r["success"] is False)
        rows.append([kind, _count(here) if here[0]["has_answer"] else "no answer is right", *words, wrong, missed])
    if not rows:
        return []
    head = [family, "success", *WORDS, "verified, but wrong", "missed in"]
    return [f"## Our default on {family}", _rows(head, rows)]


def _word(record: Record) -> str:
    return "stopped" if record["stopped"] else record["verdict"]


def _outcome(record: Record) -> str:
    if not record["has_answer"]:
        return OUTCOMES[3]
    if record["success"]:
        return OUTCOMES[0]
    error = record["tre_mean_mm"]
    return OUTCOMES[1] if error is not None and error <= WRONG_MM else OUTCOMES[2]


def _false(record: Record) -> bool:
    return _word(record) == "verified" and _outcome(record) in OUTCOMES[2:]


def _verdict_parts(ours: list[Record], level: str) -> list[str]:
    if not ours:
        return []
    ours = [record for record in ours if record["variant"] != SYMMETRIC_MIRRORED]
    rows = []
    for word in WORDS:
        here = [r for r in ours if _word(r) == word]
        rows.append([word, *(sum(_outcome(r) == outcome for r in here) for outcome in OUTCOMES), len(here)])
    verified = [r for r in ours if _word(r) == "verified"]
    correct = [r for r in ours if r["success"]]
    answered = [r for r in verified if r["has_answer"]]

    def rate(name: str, records: list[Record], counted: Callable[[Record], bool]) -> str:
        return f"- {name}: {_share(sum(map(counted, records)), len(records))}"

    rates = [
        rate(f"Verified that is wrong by more than {WRONG_MM:g} mm or has no right answer", verified, _false),
        rate("Verified that is over the limit, of those with an answer", answered, lambda r: not r["success"]),
        rate("Correct that is not verified", correct, lambda r: _word(r) != "verified"),
    ]
    estimates = [r for r in verified if r["success"] and r["estimated_error_mm"] is not None]
    if estimates:
        ratio = np.array([r["tre_mean_mm"] / r["estimated_error_mm"] for r in estimates])
        low, middle, high = np.percentile(ratio, (5, 50, 95))
        rates.append(
            f"- Error divided by its estimate, verified and correct: median {middle:.2f}, "
            f"5 % to 95 %: {low:.2f} to {high:.2f}"
        )
    return [f"{level} Verdicts on our default", _rows(["verdict", *OUTCOMES, "all"], rows), "\n".join(rates)]


def _time_part(records: list[Record]) -> list[str]:
    rows = []
    for method in METHODS:
        for threads in sorted({r["threads"] for r in _of(records, method=method)}):
            total = [r["seconds"]["total"] for r in _of(records, method=method, threads=threads) if not r["stopped"]]
            if total:
                rows.append([method, threads, len(total), *(f"{np.percentile(total, p):.1f}" for p in (50, 95))])
    head = ["method", "threads", "runs", "median s", "95th percentile s"]
    words = "For us the call, with an engine that is already running; for a peer reading and its registration call."
    return ["## Time", words, _rows(head, rows)] if rows else []
