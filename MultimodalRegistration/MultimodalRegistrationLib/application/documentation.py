"""Where the documentation of the modules is."""

from __future__ import annotations

__all__ = ["PAGES", "documentation_link"]

PAGES = "https://github.com/MultimodalRegistration/SlicerMultimodalRegistration/blob/main/Resources/Docs"


def documentation_link(module: str) -> str:
    """The end of a module's help text: a link to its page.

    Slicer's own ``getDefaultModuleDocumentationLink`` leads to pages that only its built-in modules have.

    Parameters
    ----------
    module : str
        Name of a module of this extension.

    Returns
    -------
    str
        HTML.
    """
    from slicer.i18n import tr as _

    address = f"{PAGES}/module-{module.lower()}.md"
    words = _("For more, see {start}the page of this module{end}.")
    return "<p>" + words.format(start=f'<a href="{address}">', end="</a>") + "</p>"
