"""The SampleData module, as far as other modules register their data sets in it."""

from __future__ import annotations

import types
from typing import Any, NamedTuple

import slicer


class SampleDataSource(NamedTuple):
    """One registered data set."""

    sampleName: Any
    uris: Any
    fileNames: Any
    nodeNames: Any
    customDownloader: Any
    thumbnailFileName: Any
    loadFileTypes: Any
    loadFiles: Any
    loadFileProperties: Any
    checksums: Any


class SampleDataLogic:
    """``registerCustomSampleDataCategory`` is missing here because Slicer 5.10 does not have it."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: Any = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: Any = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
    ) -> None:
        source = SampleDataSource(
            sampleName,
            uris,
            fileNames,
            nodeNames,
            customDownloader,
            thumbnailFileName,
            loadFileTypes,
            loadFiles,
            loadFileProperties or {},
            checksums,
        )
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        slicer.modules.sampleDataSources.setdefault(category, []).append(source)


def sample_data_module() -> types.ModuleType:
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic  # type: ignore[attr-defined]
    module.SampleDataSource = SampleDataSource  # type: ignore[attr-defined]
    return module
