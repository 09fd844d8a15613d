"""The report of a result: opened, saved, and marked by a person."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import qt

from ...assess.report.marks import MARKS, write_mark
from ...core.errors import InputError, RegistrationError
from ...io.outputs import plain_file_name
from ...mrml.quality_nodes import CONTENT_ATTRIBUTE
from ..common.buttons import offer
from ..common.stepper import Stepper
from ..common.texts import problem_words
from . import texts

__all__ = ["REPORT_ATTRIBUTE", "ReportBox"]

# Of the table of methods: the folder of the report.
REPORT_ATTRIBUTE = "MultimodalRegistration.QualityReport"
_PAGE = "report.html"


class ReportBox:
    """Opens, saves and marks reports. Those that were not saved are in temporary folders, which go with the panel.

    Parameters
    ----------
    ui : namespace
        With ``folderEdit``, ``saveButton``, ``openButton``, ``reportLabel``, ``reviewerEdit``, ``commentEdit``,
        ``markLabel``, and a button for each mark.
    on_problem : callable
        Called with a message.
    """

    def __init__(self, ui: Any, on_problem: Callable[[str], None]) -> None:
        self._ui = ui
        self._on_problem = on_problem
        self._table: Any = None
        self._temporary: list[Path] = []
        self._stepper: Stepper | None = None
        ui.openButton.connect("clicked(bool)", self._open)
        ui.saveButton.connect("clicked(bool)", self._save)
        ui.folderEdit.connect("currentPathChanged(QString)", self.update)
        ui.reviewerEdit.connect("textChanged(QString)", self.update)
        for mark, button in self._mark_buttons().items():
            button.connect("clicked(bool)", lambda _on=False, mark=mark: self._mark(mark))

    def take(self, table: Any, folder: Path) -> None:
        """Own the report of a new result; it is saved where the user has chosen a folder."""
        self._temporary.append(folder)
        table.SetAttribute(REPORT_ATTRIBUTE, str(folder))
        self.show(table)
        if self._ui.folderEdit.currentPath:
            self._save()

    def show(self, table: Any) -> None:
        """Show the report of a result, given by its table of methods, or of none."""
        self._table = table
        self.update()

    def drop(self, table: Any) -> None:
        """Remove the report of a result that is removed, unless it was saved."""
        folder = self._folder(table)
        if folder in self._temporary:
            self._temporary.remove(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the reports that were not saved."""
        if self._stepper is not None:
            self._stepper.stop()
        for folder in self._temporary:
            shutil.rmtree(folder, ignore_errors=True)
        self._temporary, self._table = [], None

    def update(self, *_text: Any) -> None:
        """Enable what can be done now, and say why the rest cannot."""
        ui, page = self._ui, self._page()
        missing = texts.NO_REPORT if page is None else None
        offer(ui.openButton, texts.OPEN_REPORT, missing)
        no_folder = None if ui.folderEdit.currentPath else texts.NO_FOLDER
        offer(ui.saveButton, texts.SAVE_HINT, missing or no_folder)
        saved = page is not None and page.parent not in self._temporary
        ui.reportLabel.text = texts.saved_words(str(page.parent)) if saved and page is not None else ""
        ui.reportLabel.visible = saved
        reviewer = bool(ui.reviewerEdit.text.strip())
        for button in self._mark_buttons().values():
            offer(button, texts.MARK_HINT, None if reviewer and self._table is not None else texts.NO_REVIEWER)
        mark = None if self._table is None else self._content()["mark"]
        ui.markLabel.text = texts.mark_words(mark)
        ui.markLabel.setStyleSheet(texts.mark_style(None if mark is None else mark["mark"]))

    def _mark_buttons(self) -> dict[str, Any]:
        return dict(zip(MARKS, (self._ui.approveButton, self._ui.doubtfulButton, self._ui.rejectButton), strict=True))

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._table.GetAttribute(CONTENT_ATTRIBUTE))
        return content

    @staticmethod
    def _folder(table: Any) -> Path | None:
        folder = None if table is None else table.GetAttribute(REPORT_ATTRIBUTE)
        return Path(folder) if folder else None

    def _page(self) -> Path | None:
        folder = self._folder(self._table)
        return folder / _PAGE if folder is not None and (folder / _PAGE).is_file() else None

    def _open(self, _checked: bool = False) -> None:
        page = self._page()
        if page is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))

    def _save(self, _checked: bool = False) -> None:
        page, table = self._page(), self._table
        if page is None:
            return
        content = self._content()
        name = texts.REPORT_NAME.format(
            moving=content["volumes"]["moving"]["name"], fixed=content["volumes"]["fixed"]["name"]
        )
        try:
            target = _new_folder(Path(self._ui.folderEdit.currentPath), name)
        except OSError as error:
            self._on_problem(problem_words(InputError(*texts.file_problem(error))))
            return

        def ended(error: Exception | None) -> None:
            self._stepper = None
            if error is not None:
                shutil.rmtree(target, ignore_errors=True)
                if not isinstance(error, OSError):
                    raise error
                self._on_problem(problem_words(InputError(*texts.file_problem(error))))
                return
            if table.GetScene() is not None:
                self.drop(table)
                table.SetAttribute(REPORT_ATTRIBUTE, str(target))
            self.update()

        self._stepper = Stepper(_copying(page.parent, target), lambda share: None, ended)
        self._stepper.start()

    def _mark(self, word: str) -> None:
        content = self._content()
        mark = {
            "mark": word,
            "name": self._ui.reviewerEdit.text.strip(),
            "comment": self._ui.commentEdit.text.strip(),
            "when": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        page = self._page()
        if page is not None:
            try:
                write_mark(page, mark)
            except RegistrationError as error:
                self._on_problem(problem_words(error))
                return
        content["mark"] = mark
        self._table.SetAttribute(CONTENT_ATTRIBUTE, json.dumps(content))
        self.update()


def _new_folder(parent: Path, name: str) -> Path:
    """A folder that nobody else uses; names of nodes may hold anything."""
    plain = plain_file_name(name, "report")
    number = 1
    while True:
        folder = parent / (plain if number == 1 else f"{plain}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not parent.is_dir():
                raise
            number += 1
        else:
            return folder


def _copying(source: Path, target: Path) -> Iterator[float]:
    files = sorted(source.iterdir())
    for number, file in enumerate(files, start=1):
        shutil.copyfile(file, target / file.name)
        yield number / len(files)
