"""Two pairs of volumes in Slicer's module Sample Data: its own CT and MR of a brain, and a phantom made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    from ..mrml.phantom_case import PhantomCase

__all__ = ["CATEGORY", "CT_MR_BRAIN", "PHANTOM", "load_phantom", "register_sample_data"]

CATEGORY = "Multimodal Registration"
CT_MR_BRAIN = "CT-MR Brain"
PHANTOM = "Head phantom CT and T1"

_SLICERS_NAME = "CTMRBrain"
_PICTURE = Path(__file__).parents[2] / "Resources" / "Icons" / "HeadPhantom.png"


def register_sample_data() -> None:
    """Offer the pairs in Slicer's module Sample Data, once however often it is called.

    To be called when the application has started. Nothing is downloaded before the user asks for it, and then by
    Slicer.
    """
    import SampleData  # type: ignore[import-not-found]
    from slicer.i18n import translate

    # Makes the list of sources where the module Sample Data has not: its own pair is known to an instance only.
    SampleData.SampleDataLogic.sampleDataSourcesByCategory()
    logic = SampleData.SampleDataLogic()
    if hasattr(logic, "registerCustomSampleDataCategory"):
        title = translate("MultimodalRegistration", "Multimodal Registration")
        logic.registerCustomSampleDataCategory(CATEGORY, title=title)
    # Slicer recognises a source by its text, in which a function of a module that was reloaded differs.
    sources = logic.sampleDataSourcesByCategory(CATEGORY)
    sources[:] = [source for source in sources if source.sampleName not in (CT_MR_BRAIN, PHANTOM)]
    brain = logic.sourceForSampleName(_SLICERS_NAME)
    if brain is not None:
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=CT_MR_BRAIN,
            uris=brain.uris,
            fileNames=brain.fileNames,
            nodeNames=brain.nodeNames,
            loadFileTypes=brain.loadFileTypes,
            loadFiles=brain.loadFiles,
            loadFileProperties=brain.loadFileProperties,
            checksums=brain.checksums,
        )
    # Without addresses there is nothing that Slicer could try to download.
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=PHANTOM,
        uris=[],
        fileNames=[],
        nodeNames=[],
        customDownloader=load_phantom,
        thumbnailFileName=str(_PICTURE),
    )


def load_phantom(source: Any = None) -> PhantomCase:
    """Make the phantom in Slicer's scene and show its CT.

    Parameters
    ----------
    source : SampleDataSource, optional
        What Slicer passes; not needed.
    """
    # Not at the start of Slicer, which would take longer.
    from ..mrml.phantom_case import add_phantom_case

    case = add_phantom_case(slicer.mrmlScene)
    application = slicer.app.applicationLogic()
    application.GetSelectionNode().SetActiveVolumeID(case.ct.GetID())
    application.PropagateVolumeSelection()
    return case
