"""What an assessment has to know about its nodes: names, records, and the command that repeats it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..assess.targets import TG_132, Tolerance
from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..io.run_records import RunRecord, describes
from .placement import applied_results, result_held_by
from .spatial import spatial_transform_of_node
from .transforms import SETTINGS_ATTRIBUTE

__all__ = ["check_fixed", "command_of", "names_of", "record_of"]


def check_fixed(node: Any, results: Sequence[Any]) -> None:
    """Refuse a node of the fixed side that a result moves.

    Raises
    ------
    InputError
        Names both.
    """
    applied = () if node is None else applied_results(node, results)
    if applied:
        raise InputError(
            node.GetName(),
            f"it is on the fixed side, but {applied[0].GetName()}, which is to be assessed, is applied to it",
            "Take it out of that transform, or exchange the fixed and the moving side.",
        )


def names_of(nodes: Sequence[Any]) -> list[str]:
    """Nodes of the same name are told apart by their identifiers."""
    names = [node.GetName() for node in nodes]
    return [
        f"{name} ({node.GetID()})" if names.count(name) > 1 else name for name, node in zip(names, nodes, strict=True)
    ]


def record_of(node: Any, transform: SpatialTransform, over: VolumeGrid) -> tuple[RunRecord | None, tuple[str, ...]]:
    """How a node was made, and what is to be said about that."""
    result = result_held_by(node)
    text = result.GetAttribute(SETTINGS_ATTRIBUTE)
    if text is None:
        return None, ()
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(
            result.GetName(), f"its attribute {SETTINGS_ATTRIBUTE} is no JSON ({error})", "Remove the attribute."
        ) from error
    if "made_by" in content:
        # Recovered, or of the preprocessing: nothing is known about it that would count here.
        return None, ()
    made = transform if result is node else spatial_transform_of_node(result, over)[0]
    if describes(content, made):
        return RunRecord(result.GetName(), content), ()
    warning = f"{result.GetName()} was changed after it was computed"
    if "pairs" not in content:
        return None, (f"{warning}; what was known about it no longer counts.",)
    # Points that it was once computed from still are no independent targets.
    return RunRecord(result.GetName(), {"pairs": content["pairs"]}), (f"{warning} from landmarks.",)


def command_of(nodes: Mapping[str, Any], transform_nodes: Sequence[Any], tolerance: Tolerance) -> str:
    """What repeats the run in Slicer's Python console."""

    def found(node: Any) -> str:
        alone = node.GetScene().GetNodesByName(node.GetName()).GetNumberOfItems() == 1
        return f"slicer.util.getNode({(node.GetName() if alone else node.GetID())!r})"

    options = [
        f"{role}_node={found(node)}"
        for role, node in nodes.items()
        if node is not None and role not in ("fixed", "moving")
    ]
    if tolerance != TG_132:
        options.append(f"tolerance={tolerance!r}")
    transforms = ", ".join(found(node) for node in transform_nodes)
    return f"assess_nodes({', '.join([found(nodes['fixed']), found(nodes['moving']), f'[{transforms}]', *options])})"
