"""Every page of the documentation: its links, anchors and pictures exist, and what it calls from a console does."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import PROJECT

PAGES = sorted(
    path
    for path in PROJECT.rglob("*.md")
    if not {part for part in path.relative_to(PROJECT).parts if part.startswith(".") or part == "demo-output"}
)
MODULES = {
    "FiducialPrealign": "FiducialPrealign",
    "MultimodalRegistration": "MultimodalRegistration",
    "MultimodalRegistrationQA": "RegistrationQA",
    "RegistrationPreprocess": "RegistrationPreprocess",
}


def without_code(text: str) -> str:
    """A page without its code, which may hold brackets."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?<=\n\n)(?:(?: {4}|\t).*\n)+", "", text)
    return re.sub(r"`[^`\n]*`", "", text)


def links(path: Path) -> list[str]:
    """Targets of links and pictures, in Markdown and in HTML."""
    text = without_code(path.read_text(encoding="utf-8"))
    found = re.findall(r"\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)", text)
    return found + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    text = re.sub(r"^(```|~~~).*?^\1", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    made: list[str] = []
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, re.MULTILINE):
        words = re.sub(r"\]\([^)]*\)", "", heading)
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        repeated = sum(one == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", one) is not None for one in made)
        made.append(f"{anchor}-{repeated}" if repeated else anchor)
    return set(made)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            assert link.startswith(("https://", "mailto:")), f"{page.name}: {link}"
            continue
        file, _, anchor = unquote(link).partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or not target.is_relative_to(PROJECT) or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_links_are_found_and_anchors_made(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# How good is it?\n## A study, without a window\n## Twice\n## Twice\n"
        '[a](b.md#c) ![p](<q.png>) <img src="r.png"> `[no](no.md)`\n\n    [no](no.md)\n\n```\n# no\n[no](no.md)\n```\n'
        "   ![inside a list](s.png)\n",
        encoding="utf-8",
    )
    assert links(page) == ["b.md#c", "q.png", "s.png", "r.png"]
    assert anchors(page) == {"how-good-is-it", "a-study-without-a-window", "twice", "twice-1"}


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [PROJECT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        if page.suffix == ".md":
            relative = (link.partition("#")[0] for link in links(page) if not re.match(r"[a-z]+:", link))
            waiting += [(page.parent / unquote(link)).resolve() for link in relative if link]
    docs = set((PROJECT / "Resources" / "Docs").glob("*.md"))
    assert {page.name for page in docs - reached} == set()


@pytest.mark.parametrize("picture", sorted((PROJECT / "Testing" / "Screenshots").glob("*")), ids=lambda path: path.name)
def test_pictures_are_pictures(picture):
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.stat().st_size < 500_000


@pytest.mark.parametrize(("module", "folder"), MODULES.items())
def test_the_page_of_a_module_calls_what_its_logic_has(module, folder):
    page = (PROJECT / "Resources" / "Docs" / f"module-{module.lower()}.md").read_text(encoding="utf-8")
    (called,) = re.findall(rf"{module}Logic\(\)\.(\w+)\(", page)
    (words,) = re.findall(rf"{module}Logic\(\)\.\w+\((.*)\)$", page, re.MULTILINE)
    source = ast.parse((PROJECT / folder / f"{module}.py").read_text(encoding="utf-8"))
    (logic,) = (one for one in source.body if isinstance(one, ast.ClassDef) and one.name == f"{module}Logic")
    (method,) = (one for one in logic.body if isinstance(one, ast.FunctionDef) and one.name == called)
    given = ast.parse(f"f({words})", mode="eval").body
    assert isinstance(given, ast.Call)
    allowed = {one.arg for one in (*method.args.args, *method.args.kwonlyargs)}
    assert len(given.args) < len(method.args.args)
    assert method.args.kwarg is not None or {one.arg for one in given.keywords} <= allowed


@pytest.mark.parametrize(("module", "folder"), MODULES.items())
def test_the_page_of_a_module_names_every_section(module, folder):
    """Titles of the collapsible sections of the panel, as the panel has them."""
    ui = (PROJECT / folder / "Resources" / "UI" / f"{module}.ui").read_text(encoding="utf-8")
    titles = re.findall(
        r"<widget class=\"ctkCollapsibleButton\".*?<property name=\"text\">\s*<string[^>]*>(.*?)</string>",
        ui,
        re.DOTALL,
    )
    page = (PROJECT / "Resources" / "Docs" / f"module-{module.lower()}.md").read_text(encoding="utf-8")
    assert titles
    assert [title for title in titles if title.removesuffix(" (optional)") not in page] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_help_of_a_module_leads_to_its_page(slicer_app, module):
    from MultimodalRegistrationLib.application.documentation import PAGES, documentation_link

    (address,) = re.findall(r'<a href="([^"]+)">', documentation_link(module))
    page = address.removeprefix(PAGES)
    assert (PROJECT / "Resources" / "Docs" / page.lstrip("/")).is_file()
    (homepage,) = re.findall(r'EXTENSION_HOMEPAGE "([^"]+)"', (PROJECT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert address == f"{homepage}/blob/main/Resources/Docs{page}"


@pytest.mark.parametrize(("module", "folder"), MODULES.items())
def test_the_page_of_a_module_names_every_button(module, folder):
    ui = (PROJECT / folder / "Resources" / "UI" / f"{module}.ui").read_text(encoding="utf-8")
    page = (PROJECT / "Resources" / "Docs" / f"module-{module.lower()}.md").read_text(encoding="utf-8")
    widgets = re.findall(r"<widget class=\"Q(?:PushButton|CheckBox)\"(.*?)</widget>", ui, re.DOTALL)
    texts = re.findall(r"<property name=\"text\">\s*<string[^>]*>(.*?)</string>", "".join(widgets))
    assert texts
    assert [text for text in texts if text.lower() not in page.lower()] == []
