"""Presets of the Slicer extension SlicerElastix: an XML list of parameter sets, their files beside it.

Its own list is ``ElastixParameterSetDatabase.xml``. Each preset of a user is a folder with ``preset.xml`` in the folder
``Elastix`` of Slicer's settings.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ...core.errors import InputError
from ...io.text_files import read_text
from .elastix_stages import import_elastix
from .imported import Imported, merged, name_from

__all__ = ["find_databases", "import_slicer_elastix"]

_KIND = "list of parameter sets of SlicerElastix"
_ROOT = "ElastixParameterSetDatabase"


def find_databases(folder: Path) -> list[Path]:
    """Lists of parameter sets in a folder and below it.

    Raises
    ------
    InputError
        There is none.
    """
    found = sorted(folder.rglob("*.xml"))
    if not found:
        raise InputError(folder, "holds no .xml file", f"Give the folder of a {_KIND}, such as Elastix in Slicer's.")
    return found


def import_slicer_elastix(path: Path) -> Imported:
    """Make presets of all parameter sets of a list.

    Parameters
    ----------
    path : Path
        The XML file.

    Returns
    -------
    Imported
        A preset for each set that can be one; the others are among ``refused``.

    Raises
    ------
    InputError
        Not such a list.
    """
    text = read_text(path, kind=_KIND)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(path, "defines its own XML entities", f"Give a {_KIND}, which has none.")
    try:
        # Without a DOCTYPE there are no entities to expand.
        root = ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(path, f"this is not XML ({error})", f"Give a {_KIND}.") from error
    sets = root.findall("ParameterSet")
    if root.tag != _ROOT or not sets:
        raise InputError(path, f"holds no parameter sets (<{root.tag}>)", f"Give a {_KIND}.")
    parts: list[Imported] = []
    refused: list[InputError] = []
    for number, each in enumerate(sets, start=1):
        try:
            parts.append(_import_set(each, number, path))
        except InputError as error:
            refused.append(error)
    return merged([*parts, Imported((), refused=tuple(refused))])


def _import_set(content: ElementTree.Element, number: int, path: Path) -> Imported:
    identifier = content.get("id") or f"set {number}"
    subject = f"{path}, set {identifier}"
    names = [file.get("Name") or "" for file in content.findall("ParameterFiles/File")]
    files = [path.parent / name for name in names]
    if not files:
        raise InputError(subject, "names no parameter files", "Add them, or delete the set.")
    for file, name in zip(files, names, strict=True):
        if not file.resolve().is_relative_to(path.parent.resolve()):
            raise InputError(subject, f"names the file {name}", "Put it beside the list.")
    told = [content.get(key, "").strip().rstrip(".") for key in ("description", "publications")]
    label = {
        "title": f"{content.get('modality', '')} ({content.get('content', '')})".replace("()", "").strip()
        or identifier,
        "description": "".join(f"{each}. " for each in told if each).strip() or f"Imported from {path.name}.",
    }
    try:
        return import_elastix(files, name=name_from(identifier), label=label)
    except InputError as error:
        raise InputError(f"{subject}: {error.subject}", error.found, error.remedy, code=error.code) from error
