"""The page of a study in a real browser: what it loads, its filters, hostile names, print, and a thousand cases."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
import SimpleITK as sitk
from browser_pages import Watched
from MultimodalRegistrationLib.assess.report.marks import write_mark
from MultimodalRegistrationLib.study.batch.outcome import THUMBNAIL_FILE
from MultimodalRegistrationLib.study.batch.summary import read_summary, write_summary
from MultimodalRegistrationLib.study.batch.thumbnail import HEIGHT, WIDTH
from study_folders import add_case, make_outcome

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">'\"{{script}}<!--\u202etxt.\u05d0\u05d1"
WORDS = ("verified", "verified", "verified", "uncertain", "failed", "not judged", "no result", "not run")
SHOWN = "() => [...document.querySelectorAll('#cases tbody tr')].filter((row) => row.checkVisibility()).map((row) => \
row.querySelector('.case').textContent)"
MANY = 1000


def write_noise(path, seed):
    """A picture that compresses badly, of the size of a real thumbnail's file."""
    pixels = np.random.default_rng(seed).integers(0, 90, (HEIGHT, WIDTH, 1), dtype=np.uint8).repeat(3, axis=2)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(path), True)


def make_study(folder, count):
    names = [f"sub-{number:04d}" for number in range(count)]
    write_noise(folder / "noise.png", 1)
    for number, name in enumerate(names):
        word = WORDS[number % len(WORDS)]
        if word == "not run":
            continue
        case = add_case(folder, make_outcome(name, word, estimated_error_mm=None, seconds=60.0 + number))
        if word != "no result":
            shutil.copy(folder / "noise.png", case / THUMBNAIL_FILE)
    return names


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    names = make_study(folder, 24)
    mark = {"mark": "rejected", "name": "B. Reader", "comment": "left and right", "when": "2026-11-22T10:00:00+00:00"}
    write_mark(folder / "cases/sub-0003/qa/report.html", mark)
    write_summary(folder, read_summary(folder, names))
    return folder


@pytest.fixture
def watched(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Watched(context.new_page())
    context.close()


def load_all(page):
    page.wait_for_function("() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_opens_from_a_file_and_loads_its_pictures_only(study, watched):
    page = watched.open(study / "summary.html")
    load_all(page)
    assert page.locator("#cases img").count() == 18
    assert watched.problems == []
    asked = set(watched.requests)
    assert asked == {(study / "summary.html").as_uri()} | {
        path.as_uri() for path in study.glob("cases/*/thumbnail.png")
    }


def test_the_policy_stops_scripts_and_addresses_that_are_not_ours(study, watched):
    page = watched.open(study / "summary.html")
    page.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "document.title = 'owned'";
        const i = new Image(); i.src = "https://example.com/x.png"; document.body.append(s, i); }"""
    )
    page.wait_for_timeout(200)
    assert page.title() != "owned"
    assert len([text for text in watched.problems if "Content Security Policy" in text]) == 2


def test_numbers_at_the_top_filter_by_verdict(study, watched):
    page = watched.open(study / "summary.html")
    everything = page.evaluate(SHOWN)
    assert len(everything) == 24
    assert everything[:6] == ["sub-0006", "sub-0014", "sub-0022", "sub-0007", "sub-0015", "sub-0023"]
    texts = [" ".join(text.split()) for text in page.locator("#filters button").all_inner_texts()]
    assert texts == [
        "24 all cases", "3 ⊘ no result", "3 … not run", "3 ✕ failed", "3 ! uncertain", "3 ? not judged", "9 ✓ verified",
    ]  # fmt: skip
    page.click("#filters button[value=failed]")
    assert page.evaluate(SHOWN) == ["sub-0004", "sub-0012", "sub-0020"]
    assert page.inner_text("#status") == "3 of 24 cases shown."
    assert page.get_attribute("#filters button[value=failed]", "aria-pressed") == "true"
    page.click("#filters button[value='']")
    assert page.evaluate(SHOWN) == everything


def test_text_is_found_in_names_paths_words_and_marks(study, watched):
    page = watched.open(study / "summary.html")
    for text, expected in (
        ("SUB-0011", ["sub-0011"]),
        ("/data/sub-0009/t1", ["sub-0009"]),
        ("slices alike", ["sub-0006", "sub-0014", "sub-0022"]),
        ("rejected b. reader", ["sub-0003"]),
        ("left and right", ["sub-0003"]),
    ):
        page.fill("#find", text)
        assert page.evaluate(SHOWN) == expected, text
    page.click("#filters button[value=verified]")
    assert page.evaluate(SHOWN) == []
    assert page.locator("#nothing").is_visible()
    page.click("#clear")
    assert len(page.evaluate(SHOWN)) == 24


def test_everything_works_by_keyboard(study, watched):
    page = watched.open(study / "summary.html")
    page.focus("#filters button[value=uncertain]")
    page.keyboard.press("Space")
    assert page.evaluate(SHOWN) == ["sub-0003", "sub-0011", "sub-0019"]
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "find"
    page.keyboard.type("0011")
    assert page.evaluate(SHOWN) == ["sub-0011"]
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Report of sub-0011"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url == (study / "cases/sub-0011/qa/report.html").as_uri()


def test_verdicts_are_told_in_words_and_numbers_have_their_columns(study, watched):
    page = watched.open(study / "summary.html")
    row = page.locator("tr", has_text="sub-0003")
    assert row.locator(".badge").inner_text().split() == ["!", "uncertain"]
    assert row.locator("td.number").all_inner_texts()[2:] == ["41.2", "12.5", "63 s"]
    heads = page.locator("thead th").all_inner_texts()
    assert len(heads) == row.locator("td, th").count() == 9
    assert "rejected by B. Reader" in row.locator(".decision").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_on_their_ground(study, browser, scheme):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    context = browser.new_context(color_scheme=scheme)
    page = Watched(context.new_page()).open(study / "summary.html")
    pairs = page.evaluate(
        """() => [...document.querySelectorAll(".badge, .inputs, .none, .mark-word, .of-count, .unit, a, p, td")]
        .filter((e) => e.checkVisibility()).map((e) => {
          let ground = e;
          const clear = (x) => getComputedStyle(x).backgroundColor === "rgba(0, 0, 0, 0)";
          while (clear(ground)) ground = ground.parentElement;
          return [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor];
        })"""
    )
    context.close()
    for pair in {tuple(pair) for pair in pairs}:
        dark, light = sorted(map(luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def luminance(colour):
    channels = np.array([float(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_hostile_texts_and_names_stay_texts(tmp_path, watched):
    folder = tmp_path / "a study #1 100%"
    folder.mkdir()
    name = "it's 50% #1? & <b>"
    case = add_case(
        folder, make_outcome(name, "failed", against=(HOSTILE,), fixed=HOSTILE, moving=f"C:\\data\\{HOSTILE}")
    )
    write_noise(case / THUMBNAIL_FILE, 2)
    mark = {"mark": "doubtful", "name": HOSTILE, "comment": HOSTILE, "when": HOSTILE}
    write_mark(case / "qa" / "report.html", mark)
    write_summary(folder, read_summary(folder, [name, HOSTILE.replace("/", "")]))
    page = watched.open(folder / "summary.html")
    load_all(page)
    assert watched.problems == []
    assert "owned" not in page.title()
    assert page.locator("#cases img").count() == 1
    assert "<img src=x onerror=" in page.locator("td.reasons").nth(1).inner_text()
    assert "\u202e" not in page.content()
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["cases"][1]["against"] == [HOSTILE]
    with page.expect_navigation():
        page.click("text=Report of")
    assert page.url == (case / "qa" / "report.html").as_uri().replace("'", "%27")


def test_narrow_screens_need_no_sideways_scrolling(study, browser):
    for width in (360, 800, 1101, 1280):
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = Watched(context.new_page()).open(study / "summary.html")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        page.click("#filters button[value=failed]")
        assert len(page.evaluate(SHOWN)) == 3
        context.close()


def test_pictures_are_large_enough_to_see_an_error_and_lead_to_the_report(study, browser):
    for width in (360, 800, 1201, 1280, 1640):
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = Watched(context.new_page()).open(study / "summary.html")
        load_all(page)
        for word in ("failed", "uncertain", "verified"):
            picture = page.locator(f"tr[data-word={word}] .picture a img").first
            assert picture.bounding_box()["width"] >= 200
            assert picture.locator("..").get_attribute("href").endswith("/qa/report.html")
        context.close()


def test_a_picture_without_a_report_opens_at_its_own_size(tmp_path, watched):
    case = add_case(tmp_path, make_outcome("one", report=None), report=False)
    write_noise(case / THUMBNAIL_FILE, 2)
    write_summary(tmp_path, read_summary(tmp_path, ["one"]))
    page = watched.open(tmp_path / "summary.html")
    with page.expect_navigation():
        page.click("#cases img")
    assert page.url == (case / THUMBNAIL_FILE).as_uri()


def test_prints_what_is_shown(study, watched, tmp_path):
    page = watched.open(study / "summary.html")
    page.click("#filters button[value=verified]")
    load_all(page)
    page.emulate_media(media="print")
    assert len(page.evaluate(SHOWN)) == 9
    assert not page.locator("#find").is_visible()
    assert page.locator("#status").inner_text() == "9 of 24 cases shown."
    # A4 on its side, less the margins, at 96 dots per inch.
    page.set_viewport_size({"width": 1016, "height": 700})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1016
    page.pdf(path=tmp_path / "study.pdf", prefer_css_page_size=True)
    assert (tmp_path / "study.pdf").read_bytes().startswith(b"%PDF")


def test_shows_everything_without_scripts(study, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((study / "summary.html").as_uri())
    assert page.locator("#cases tbody tr").count() == 24
    assert page.locator("#filters button[disabled]").count() == 7
    assert not page.locator("#find").is_visible()
    context.close()


def test_a_thousand_cases_open_within_two_seconds(tmp_path, watched):
    names = make_study(tmp_path, MANY)
    start = time.perf_counter()
    summary = read_summary(tmp_path, names)
    write_summary(tmp_path, summary)
    written_s = time.perf_counter() - start
    start = time.perf_counter()
    page = watched.open(tmp_path / "summary.html")
    page.click("#filters button[value=uncertain]")
    assert len(page.evaluate(SHOWN)) == MANY // len(WORDS)
    filtered_s = time.perf_counter() - start
    loaded_s = page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
    size_mb = (tmp_path / "summary.html").stat().st_size / 1e6
    print(
        f"{MANY} cases: written in {written_s:.2f} s, {size_mb:.1f} MB, loaded in {loaded_s:.2f} s, "
        f"first filter after {filtered_s:.2f} s"
    )
    assert 0 < loaded_s < filtered_s < 2
    assert watched.problems == []
