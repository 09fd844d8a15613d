"""The SampleData module, as far as other modules register their data sets in it. Nothing is ever downloaded."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import slicer

FIELDS = ("uris", "fileNames", "nodeNames", "loadFiles", "loadFileTypes", "checksums")
BRAIN = {
    "sampleName": "CTMRBrain",
    "uris": ("https://example.org/ct", "https://example.org/t1", "https://example.org/t2"),
    "fileNames": ("CT-brain.nrrd", "MR-brain-T1.nrrd", "MR-brain-T2.nrrd"),
    "nodeNames": ("CTBrain", "MRBrainT1", "MRBrainT2"),
    "checksums": ("SHA256:1", "SHA256:2", "SHA256:3"),
}


class SampleDataSource:
    """One registered data set; equal to another one with the same text."""

    def __init__(
        self,
        sampleName: Any = None,
        sampleDescription: Any = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        checksums: Any = None,
        loadFiles: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: Any = None,
        loadFileTypes: Any = None,
        loadFileProperties: Any = None,
    ) -> None:
        self.sampleName = sampleName
        self.sampleDescription = sampleName if sampleDescription is None else sampleDescription
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileProperties = {} if loadFileProperties is None else loadFileProperties
        if isinstance(uris, (list, tuple)):
            if isinstance(loadFileTypes, str) or loadFileTypes is None:
                loadFileTypes = [loadFileTypes] * len(uris)
            nodeNames = [None] * len(uris) if nodeNames is None else nodeNames
            loadFiles = [None] * len(uris) if loadFiles is None else loadFiles
            checksums = [None] * len(uris) if checksums is None else checksums
        elif isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
            loadFiles, loadFileTypes, checksums = [loadFiles], [loadFileTypes], [checksums]
        self.uris, self.fileNames, self.nodeNames = uris, fileNames, nodeNames
        self.loadFiles, self.loadFileTypes, self.checksums = loadFiles, loadFileTypes, checksums
        if len({len(getattr(self, name)) for name in FIELDS}) != 1:
            raise ValueError("All fields of sample data source must have the same length")

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    __hash__ = None  # type: ignore[assignment]  # as in Slicer, where only __eq__ is defined

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in vars(self).items())


class SampleDataLogic:
    """``registerCustomSampleDataCategory`` is missing here because Slicer 5.10 does not have it."""

    def __init__(self, logMessage: Any = None) -> None:
        self.registerCustomSampleDataSource("General", **BRAIN)

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
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
        )
        sources = SampleDataLogic.sampleDataSourcesByCategory().setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        return (
            slicer.modules.sampleDataSources if category is None else slicer.modules.sampleDataSources.get(category, [])
        )

    def sourceForSampleName(self, sampleName: str) -> SampleDataSource | None:
        for sources in slicer.modules.sampleDataSources.values():
            for source in sources:
                if source.sampleName == sampleName:
                    return source
        return None


def sample_data_module(slicer_python: str | None = None) -> types.ModuleType:
    """Make the module: ours, or Slicer's own where its folder Base/Python/slicer is given."""
    if slicer_python is not None:
        file = Path(slicer_python).parents[2] / "Modules" / "Scripted" / "SampleData" / "SampleData.py"
        spec = importlib.util.spec_from_file_location("SampleData", file)
        module = importlib.util.module_from_spec(spec)
        sys.modules["SampleData"] = module
        spec.loader.exec_module(module)
        return module
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic  # type: ignore[attr-defined]
    module.SampleDataSource = SampleDataSource  # type: ignore[attr-defined]
    return module
