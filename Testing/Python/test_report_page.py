"""The HTML report in a real browser: what it loads, what its pictures show, and what it does with hostile names."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import time
from html.parser import HTMLParser

import numpy as np
import pytest
import SimpleITK as sitk
from browser_pages import Watched
from conftest import CT_GRID, CT_POSE, centered_grid, rigid, rotation
from MultimodalRegistrationLib.assess.report.marks import mark_file, read_mark, write_mark
from MultimodalRegistrationLib.assess.report.tables import label_of, number, value_text
from MultimodalRegistrationLib.assess.report.viewer import FIRST_CODE, MAX_SIDE, OUTSIDE, IntensityCode, viewer_grid
from MultimodalRegistrationLib.assess.report.write import write_report
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">'\"{{script}}${1}<!--/mark-->\u202etxt.\u05d0\u05d1"
MARK = {"mark": "approved", "name": "A. Reader", "comment": "fits", "when": "2026-11-22T10:00:00+00:00"}


def make_targets(points_lps, errors_lps):
    errors = np.linalg.norm(errors_lps, axis=1)
    errors_ras = flip_points_lps_ras(errors_lps)
    points_ras = flip_points_lps_ras(points_lps)
    return {
        "n": len(errors),
        "left_out": ["F-1"],
        "mean_mm": float(errors.mean()),
        "rms_mm": float(np.sqrt((errors**2).mean())),
        "median_mm": float(np.median(errors)),
        "p95_mm": float(np.percentile(errors, 95)),
        "max_mm": float(errors.max()),
        "intervals_mm": {key: [0.5, 1.5] for key in ("mean", "rms", "median", "p95")},
        "level": 0.95,
        "axes": [
            {"axis": axis, "bias_mm": float(e.mean()), "sd_mm": float(e.std()), "rms_mm": float(np.sqrt((e**2).mean()))}
            for axis, e in zip(("R-L", "A-P", "S-I"), errors_ras.T, strict=True)
        ],
        "tolerance_mm": 2.0,
        "tolerance_name": "one voxel",
        "share_within": float((errors < 2).mean()),
        "voxel_mm": 2.2,
        "points": [
            {"label": f"P{i}", "fixed_ras": p.tolist(), "error_mm": float(e), "error_ras_mm": v.tolist()}
            for i, (p, e, v) in enumerate(zip(points_ras, errors, errors_ras, strict=True))
        ],
    }


def make_method(name, targets=None, **others):
    return {
        "name": name,
        "linear": True,
        "rank": None,
        "reference": None,
        "targets": targets,
        "structures": None,
        "images": {
            "mutual_information_nats": 0.61,
            "normalized_mutual_information": None,
            "gradient_agreement": 0.43,
            "edge_distance_mm": 1.6,
            "overlap": 0.87,
        },
        "health": None,
        "notes": [],
        **others,
    }


def make_content(before, methods, **others):
    return {
        "schema": 1,
        "created": "2026-11-22T09:00:00+00:00",
        "software": {"multimodal-registration": "0.1.0"},
        "command": "multimodal-registration evaluate",
        "inputs": {"fixed": "ct.nrrd", "transforms": ["a.tfm", "b.tfm"]},
        "settings": {"seed": 1, "tolerance": {"mm": 2.0}},
        "volumes": {"fixed": {"size": [4, 4, 4], "spacing_mm": [1.0, 1.0, 1.0]}, "moving": {}},
        "verdict": {"word": "good", "method": None, "sentence": "It fits.", "reasons": ["Low errors."], "facts": []},
        "warnings": [],
        "before": before,
        "methods": methods,
        "comparisons": [],
        "mark": None,
        **others,
    }


HEALTH = {
    "jacobian": {"min": 0.9, "max": 1.1, "mean": 1.0, "share_not_positive": 0.0, "sd_log": 0.02},
    "displacement_mm": {"mean": 1.0, "rms": 1.2, "p95": 2.0, "max": 2.5},
    "inverse_error_mm": None,
    "harmonic_energy": 0.002,
    "bending_energy_per_mm2": 3.1e-5,
    "bending_structures": None,
}
STRUCTURES = [
    {
        "name": "Skull",
        "dice": 0.93,
        "hausdorff_mm": None,
        "hausdorff95_mm": 1.9,
        "mean_surface_distance_mm": 0.61,
        "surface_dice": 0.97,
        "tolerance_mm": 2.0,
        "centroid_distance_mm": 0.3,
        "fixed_volume_mm3": 341200.5,
        "moving_volume_mm3": 338120.0,
        "note": "cut by the border",
    }
]
COMPARISON = {
    "a": "Rigid",
    "b": "Other",
    "displacement_mm": {"mean": 0.8, "rms": 0.9, "p95": 1.4, "max": 2.2},
    "region": "overlap",
    "targets": {
        "mean_difference_mm": -0.5,
        "interval_mm": [-0.7, -0.3],
        "test": "Wilcoxon",
        "p": 0.0003,
        "effect_size": 0.6,
        "effect": "medium",
        "sentence": "Rigid is more accurate.",
        "bland_altman": {
            "means_mm": [1.0, 1.2, 2.0],
            "differences_mm": [-0.5, -0.8, -0.2],
            "bias_mm": -0.5,
            "limits_mm": [-1.1, 0.1],
        },
    },
}


@pytest.fixture(scope="session")
def head_report(tmp_path_factory, head_ct, head_mr, truth_ct_to_mr_lps):
    """Report of the phantom, with everything in it."""
    points = target_points_lps(CT_POSE)[::4]
    transforms = [
        SpatialTransform.of_matrix("rigid", truth_ct_to_mr_lps),
        SpatialTransform.of_matrix("other", rigid([0, 1, 1], 4, [2, 1, -2]) @ truth_ct_to_mr_lps),
    ]
    truth = transforms[0].to_moving(points)
    noise = np.random.default_rng(1).normal(0, 0.6, truth.shape)
    before = make_method("Before", make_targets(points, points - truth), structures=STRUCTURES)
    methods = [
        make_method("Rigid", make_targets(points, noise), rank=1, health=HEALTH, structures=STRUCTURES),
        make_method("Other", make_targets(points, 2 * noise), rank=2, health=HEALTH, notes=["A note."]),
    ]
    path = tmp_path_factory.mktemp("report") / "head.html"
    write_report(path, make_content(before, methods, comparisons=[COMPARISON]), head_ct, head_mr, transforms)
    return path


# A fixed volume that is dark on the patient's right and bright on the left, and a moving one that is bright at the
# back and dark at the front, 40 mm off in the world. Oblique voxels, anisotropic, one axis flipped.
HALVES = centered_grid([40, 44, 30], [2.0, 2.0, 3.0], np.diag([1.0, 1.0, -1.0]), [10.0, -20.0, 30.0])
TO_MOVING = rigid([0.3, 1.0, 0.2], 35, [40, -10, 5])


def halves(axis, grid, world_to_fixed=None):
    image = sitk.Image(grid.size, sitk.sitkInt16)
    grid.place(image)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1).reshape(-1, 3)
    matrix = (np.eye(4) if world_to_fixed is None else world_to_fixed) @ grid.ijk_to_lps
    along = (index @ matrix[:3, :3].T + matrix[:3, 3])[:, axis].reshape(grid.size).T
    filled = sitk.GetImageFromArray(np.where(along > HALVES.center_lps[axis], 900, 100).astype(np.int16))
    filled.CopyInformation(image)
    return filled


@pytest.fixture(scope="session")
def halves_report(tmp_path_factory):
    moving_grid = centered_grid(
        [60, 60, 60], [2.5, 2.5, 2.5], rotation([1, 2, 3], 50), (TO_MOVING @ [*HALVES.center_lps, 1])[:3].tolist()
    )
    fixed = Volume(halves(0, HALVES), "right and left")
    moving = Volume(halves(1, moving_grid, np.linalg.inv(TO_MOVING)), "front and back")
    path = tmp_path_factory.mktemp("report") / "halves.html"
    content = make_content(make_method("Before"), [make_method("Truth")])
    write_report(path, content, fixed, moving, [SpatialTransform.of_matrix("truth", TO_MOVING)])
    return path


class WatchedReport(Watched):
    def open(self, path, mode=None):
        super().open(path)
        self.page.wait_for_selector("html[data-viewer=ready]")
        if mode is not None:
            self.page.check(f"input[name=mode][value={mode}]")
        return self.page


def unfold(page):
    for heading in page.locator("details.folded > summary").all():
        heading.click()


@pytest.fixture
def watched(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield WatchedReport(context.new_page())
    context.close()


PIXEL = """([plane, x, y]) => {
  const canvas = document.querySelector(`figure[data-plane=${plane}] canvas`);
  return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
}"""
PICTURES = "() => [...document.querySelectorAll('#planes canvas')].map((canvas) => canvas.toDataURL())"
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def grey(page, plane, x, y):
    """Brightness of a pixel, x and y as shares of the picture."""
    page.evaluate(SETTLED)
    return page.evaluate(PIXEL, [plane, x, y])


def pictures(page):
    page.evaluate(SETTLED)
    return page.evaluate(PICTURES)


def offered_methods(page):
    return [text.strip("\u2068\u2069") for text in page.locator("#method option").all_inner_texts()]


def set_slider(page, selector, value):
    page.locator(selector).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        str(value),
    )


# Away from the lines, the letters and the border between dark and bright.
QUADRANTS = {"right front": (0.3, 0.3), "left front": (0.7, 0.3), "right back": (0.3, 0.7), "left back": (0.7, 0.7)}


def quadrants(page):
    shown = {}
    for name, (x, y) in QUADRANTS.items():
        r, g, b = grey(page, "axial", x, y)
        assert r == g == b
        shown[name] = "bright" if r > 200 else "dark" if r < 55 else "between"
    return shown


def test_opens_from_a_file_and_asks_for_nothing_else(head_report, watched):
    watched.open(head_report)
    assert watched.problems == []
    assert {url for url in watched.requests if not url.startswith("data:")} == {head_report.as_uri()}
    assert watched.page.locator("#viewer").is_visible()


def test_the_policy_stops_scripts_that_are_not_ours(head_report, watched):
    page = watched.open(head_report)
    page.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "document.title = 'owned'";
        const i = new Image(); i.src = "https://example.com/x.png"; document.body.append(s, i); }"""
    )
    page.wait_for_timeout(200)
    assert page.title() != "owned"
    assert len([text for text in watched.problems if "Content Security Policy" in text]) == 2


def test_fade_shows_the_fixed_volume_at_one_end_and_the_moving_one_at_the_other(halves_report, watched):
    page = watched.open(halves_report, "fade")
    set_slider(page, "#fade", 0)
    assert quadrants(page) == {
        "right front": "dark", "left front": "bright", "right back": "dark", "left back": "bright",
    }  # fmt: skip
    set_slider(page, "#fade", 1)
    assert quadrants(page) == {
        "right front": "dark", "left front": "dark", "right back": "bright", "left back": "bright",
    }  # fmt: skip
    set_slider(page, "#fade", 0.5)
    assert quadrants(page) == {
        "right front": "dark", "left front": "between", "right back": "between", "left back": "bright",
    }  # fmt: skip


def test_every_plane_is_in_radiological_convention(halves_report, watched):
    page = watched.open(halves_report, "fade")
    set_slider(page, "#fade", 0)
    assert grey(page, "coronal", 0.3, 0.3)[0] < 55 < 200 < grey(page, "coronal", 0.7, 0.3)[0]
    set_slider(page, "#fade", 1)
    assert grey(page, "sagittal", 0.3, 0.3)[0] < 55 < 200 < grey(page, "sagittal", 0.7, 0.3)[0]


def test_checkerboard_shows_both(halves_report, watched):
    page = watched.open(halves_report)
    page.check("input[name=mode][value=checkerboard]")
    set_slider(page, "#square", 10)
    # In the left front quadrant the fixed volume is bright and the moving one dark.
    tones = [grey(page, "axial", 0.6 + 0.02 * i, 0.2 + 0.013 * j)[0] for i in range(12) for j in range(12)]
    assert 0.25 < np.mean(np.array(tones) > 200) < 0.75
    assert 0.25 < np.mean(np.array(tones) < 55) < 0.75
    before = pictures(page)
    set_slider(page, "#square", 40)
    assert pictures(page) != before


def test_edges_of_the_moving_volume_lie_on_the_fixed_one(halves_report, watched):
    page = watched.open(halves_report)
    page.check("input[name=mode][value=edges]")
    page.evaluate(SETTLED)
    orange = page.evaluate(
        """() => { const c = document.querySelector("figure[data-plane=axial] canvas");
        const { data, width, height } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
        const rows = []; for (let n = 0; n < width * height; n += 1) {
          const [r, g, b] = data.slice(4 * n, 4 * n + 3);
          if (r > 240 && g > 150 && b < 20) rows.push(Math.floor(n / width) / height);
        }
        return rows; }"""
    )
    # Half a pixel of the grid and the smoothing.
    assert len(orange) > 50
    assert np.abs(np.array(orange) - 0.5).max() < 0.03
    assert quadrants(page)["left front"] == "bright"


def test_difference_tells_which_is_brighter(halves_report, watched):
    page = watched.open(halves_report)
    page.check("input[name=mode][value=difference]")
    for normalise in ("rank", "window"):
        page.select_option("#normalise", normalise)
        red, _, blue = grey(page, "axial", *QUADRANTS["right back"])
        assert red > blue + 60
        red, _, blue = grey(page, "axial", *QUADRANTS["left front"])
        assert blue > red + 60
        assert max(grey(page, "axial", *QUADRANTS["left back"])) < 30


def test_before_and_after(halves_report, watched):
    page = watched.open(halves_report, "fade")
    set_slider(page, "#fade", 1)
    after = pictures(page)
    page.locator("figure[data-plane=axial] canvas").focus()
    page.keyboard.press("b")
    before = pictures(page)
    assert before != after
    assert page.is_checked("input[name=state][value=before]")
    page.wait_for_selector("#status:has-text('Before')")
    page.check("input[name=state][value=after]")
    assert pictures(page) == after


def test_methods_can_be_chosen(head_report, watched):
    page = watched.open(head_report)
    assert offered_methods(page) == ["Rigid", "Other"]
    first = pictures(page)
    page.select_option("#method", index=1)
    assert pictures(page) != first


def test_a_click_moves_the_other_planes_there(halves_report, watched):
    page = watched.open(halves_report)
    canvas = page.locator("figure[data-plane=axial] canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": 0.25 * box["width"], "y": 0.75 * box["height"]})
    page.evaluate(SETTLED)
    # The volume is 80 mm wide about x = 10 and 88 mm deep about y = -20, LPS; positions are of voxel centres.
    texts = dict(zip(("axial", "coronal", "sagittal"), page.locator("#planes output").all_inner_texts(), strict=True))
    found = {plane: signed(text) for plane, text in texts.items()}
    assert found["sagittal"] == pytest.approx(-(10 - 20), abs=1.01)
    assert found["coronal"] == pytest.approx(-(-20 + 22), abs=1.01)
    assert found["axial"] == pytest.approx(30, abs=1.01)


def signed(text):
    letter, value = text.split()[:2]
    return float(value) * (1 if letter in "RAS" else -1)


def test_planes_move_by_slider_wheel_and_keys(halves_report, watched):
    page = watched.open(halves_report)
    slider = page.locator("figure[data-plane=axial] input")
    start = int(slider.input_value())
    set_slider(page, "figure[data-plane=axial] input", start + 5)
    canvas = page.locator("figure[data-plane=axial] canvas")
    canvas.focus()
    page.keyboard.press("PageUp")
    page.evaluate(SETTLED)
    assert int(slider.input_value()) == start + 6
    canvas.hover()
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(300)
    page.evaluate(SETTLED)
    assert int(slider.input_value()) == start + 7
    sagittal = page.locator("figure[data-plane=sagittal] input")
    left = int(sagittal.input_value())
    page.keyboard.press("ArrowRight")
    page.evaluate(SETTLED)
    assert int(sagittal.input_value()) == left + 1
    assert "mm" in slider.get_attribute("aria-valuetext")
    page.keyboard.press("Home")
    page.evaluate(SETTLED)
    assert int(slider.input_value()) == start


def test_letters_and_digits_work_until_they_are_switched_off(halves_report, watched):
    page = watched.open(halves_report)
    page.locator("figure[data-plane=axial] canvas").focus()
    page.keyboard.press("4")
    assert page.is_checked("input[name=mode][value=edges]")
    page.locator("summary", has_text="Windows, mouse and keyboard").click()
    page.uncheck("#keys-on")
    page.keyboard.press("1")
    assert page.is_checked("input[name=mode][value=edges]")
    page.check("#keys-on")
    page.fill("#mark-comment", "b123")
    assert page.is_checked("input[name=state][value=after]")


def test_the_window_changes_the_grey(halves_report, watched):
    page = watched.open(halves_report, "fade")
    set_slider(page, "#fade", 0)
    page.locator("summary", has_text="Windows, mouse and keyboard").click()
    set_slider(page, "[data-window=fixed] [data-part=width]", 1200)
    dark, bright = (grey(page, "axial", *QUADRANTS[q])[0] for q in ("right front", "left front"))
    assert 20 < dark < 110 < 145 < bright < 235
    page.click("#reset")
    assert quadrants(page)["right front"] == "dark"


def test_everything_is_labelled_and_reached_by_tab(head_report, watched):
    page = watched.open(head_report, "fade")
    page.locator("summary", has_text="Windows, mouse and keyboard").click()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input, select, textarea, button, canvas[tabindex]")].filter((e) =>
        !e.labels?.length && !e.getAttribute("aria-label") && !e.textContent.trim()).map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"method", "fade", "cross", "reset", "CANVAS", "mark-name", "mark-comment", "SUMMARY"} <= reached
    assert page.locator("#status[aria-live=polite]").count() == 1


CONTRASTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => { const [r, g, b] = numbers(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { while (e && numbers(getComputedStyle(e).backgroundColor)[3] === 0) e = e.parentElement;
    return getComputedStyle(e).backgroundColor; };
  const found = {};
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), text = e.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(text), light(ground(e))].sort((x, y) => y - x);
    found[`${text} on ${ground(e)}`] = (a + 0.05) / (b + 0.05);
  }
  return found; }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(head_report, watched, scheme):
    watched.page.emulate_media(color_scheme=scheme)
    page = watched.open(head_report)
    # 4.5 is what level AA of the WCAG asks for.
    assert {pair: ratio for pair, ratio in page.evaluate(CONTRASTS).items() if ratio < 4.5} == {}


def test_a_target_is_shown_in_the_pictures(head_report, watched):
    page = watched.open(head_report)
    unfold(page)
    page.locator("summary", has_text="Error at each").click()
    button = page.locator("button.show").first
    ras = [float(value) for value in button.get_attribute("data-ras").split()]
    button.click()
    page.evaluate(SETTLED)
    shown = [signed(text) for text in page.locator("#planes output").all_inner_texts()][::-1]
    assert shown == pytest.approx(ras, abs=1.2)


def test_the_mark_is_downloaded_and_remembered(head_report, watched):
    page = watched.open(head_report)
    page.check("input[name=mark][value=doubtful]")
    page.fill("#mark-name", "Dr <b>Who</b>")
    page.fill("#mark-comment", "frontal pole is off")
    with page.expect_download() as download:
        page.click("#mark-form button[type=submit]")
    assert download.value.suggested_filename == mark_file(head_report).name
    content = json.loads(open(download.value.path(), encoding="utf-8").read())  # noqa: PTH123, SIM115
    assert content["mark"] == "doubtful"
    assert content["name"] == "Dr <b>Who</b>"
    page.reload()
    page.wait_for_selector("html[data-viewer=ready]")
    assert "Doubtful by Dr <b>Who</b>" in page.inner_text("#mark-shown")
    assert watched.problems == []


def test_a_mark_is_written_beside_the_report_and_into_it(head_report, tmp_path, watched):
    path = tmp_path / "head.html"
    shutil.copy(head_report, path)
    assert read_mark(path) is None
    write_mark(path, MARK)
    assert read_mark(path) == MARK
    write_mark(path, {**MARK, "mark": "rejected", "comment": HOSTILE})
    assert sorted(os.listdir(tmp_path)) == ["head.html", "head.mark.json"]
    page = watched.open(path)
    assert page.inner_text("#mark-shown").startswith("Rejected by A. Reader")
    assert watched.problems == []
    mark_file(path).unlink()
    assert read_mark(path) == {**MARK, "mark": "rejected", "comment": HOSTILE}


def test_marks_that_do_not_belong_are_refused(head_report, tmp_path):
    path = tmp_path / "head.html"
    shutil.copy(head_report, path)
    with pytest.raises(InputError, match="is not a mark"):
        write_mark(path, {**MARK, "mark": "fine"})
    mark_file(path).write_text(json.dumps({**MARK, "report_created": "2025-01-01T00:00:00+00:00"}))
    with pytest.raises(InputError, match="2025-01-01"):
        read_mark(path)
    mark_file(path).write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_mark(path)
    other = tmp_path / "other.html"
    other.write_text("<html></html>")
    with pytest.raises(InputError, match="not a report"):
        write_mark(other, MARK)
    with pytest.raises(InputError, match="no such report"):
        read_mark(tmp_path / "missing.html")


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory):
    points = np.array([[0.0, 0, 0], [10, -20, 30], [20, -10, 40]])
    targets = make_targets(points, points + 1)
    for point in targets["points"]:
        point["label"] += HOSTILE
    targets["left_out"] = [HOSTILE]
    targets["tolerance_name"] = HOSTILE
    structures = [{**STRUCTURES[0], "name": HOSTILE, "note": HOSTILE}]
    method = make_method(HOSTILE, targets, reference=HOSTILE, notes=[HOSTILE], structures=structures, health=HEALTH)
    method[HOSTILE] = HOSTILE
    content = make_content(
        make_method(HOSTILE, targets),
        [method],
        inputs={HOSTILE: [HOSTILE]},
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        software={HOSTILE: HOSTILE},
        command=HOSTILE,
        verdict={"word": HOSTILE, "method": HOSTILE, "sentence": HOSTILE, "reasons": [HOSTILE], "facts": [HOSTILE]},
        warnings=[HOSTILE],
        comparisons=[{**COMPARISON, "a": HOSTILE, "b": HOSTILE, "region": HOSTILE}],
        mark={**MARK, "name": HOSTILE, "comment": HOSTILE},
    )
    volume = Volume(halves(0, HALVES), HOSTILE)
    path = tmp_path_factory.mktemp("report") / "hostile {{x}} #1%.html"
    write_report(path, content, volume, volume, [SpatialTransform.of_matrix(HOSTILE, np.eye(4))])
    return path


def test_hostile_names_stay_text(hostile_report, watched):
    page = watched.open(hostile_report)
    assert watched.problems == []
    assert "owned" not in re.sub(re.escape("onerror=\"document.title='owned'\""), "", page.title())
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("[onerror]").count() == 0
    assert page.locator("script").count() == 4
    assert "</script><img src=x" in page.inner_text("#verdict")
    assert "\u202e" not in page.content()
    assert json.loads(page.locator("#report-content").text_content())["command"] == HOSTILE
    assert read_mark(hostile_report)["comment"] == HOSTILE


class Structure(HTMLParser):
    """Whether every element is closed where it should be."""

    VOID = ("br", "col", "hr", "img", "input", "link", "meta")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", ["head_report", "halves_report", "hostile_report"])
def test_elements_are_closed(report, request):
    parser = Structure()
    parser.feed(request.getfixturevalue(report).read_text(encoding="utf-8"))
    assert parser.open == []


def test_a_phone_shows_it_without_sideways_scrolling(head_report, watched):
    page = watched.open(head_report)
    for width in (360, 390, 800):
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate(SETTLED)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_three_methods_with_long_names_fit_on_a_phone(tmp_path, watched):
    volume = Volume(halves(0, HALVES), "/a/rather/long/folder/of/some/study/with-a-long-volume-name.nrrd")
    names = [f"sub-0{n}_from-T1w_to-CT_desc-preprocessed_mode-image_xfm.h5" for n in (1, 2, 3)]
    points = np.array([[0.0, 0, 0], [10, -20, 30], [20, -10, 40]])
    methods = [make_method(name, make_targets(points, points + 1), rank=1) for name in names]
    verdict = {"word": "good", "method": names[0], "sentence": "It fits.", "reasons": [], "facts": []}
    path = tmp_path / "long.html"
    content = make_content(make_method("Before"), methods, verdict=verdict)
    write_report(path, content, volume, volume, [SpatialTransform.of_matrix("t", np.eye(4))] * 3)
    watched.page.set_viewport_size({"width": 390, "height": 844})
    page = watched.open(path)
    unfold(page)
    page.evaluate(SETTLED)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    # What is wider scrolls by itself.
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((e) => e.checkVisibility() &&
        !e.closest(".scroll, pre, .hidden") && e.getBoundingClientRect().right > 391)
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert beyond == []


def test_prints_to_pages_with_both_states(head_report, watched):
    page = watched.open(head_report)
    data = page.pdf(prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert 3 <= pages <= 9
    page.emulate_media(media="print")
    canvases = page.locator("#print-planes canvas")
    assert canvases.count() == 6
    assert canvases.first.is_visible()
    assert not page.locator("#viewer").is_visible()
    tones = page.evaluate(
        """() => [...document.querySelectorAll("#print-planes canvas")].map((c) =>
        new Set(c.getContext("2d").getImageData(0, 0, c.width, c.height).data).size)"""
    )
    assert min(tones) > 50


def test_figures_are_in_the_tables(head_report, watched):
    page = watched.open(head_report)
    assert not page.locator("#methods").is_visible()
    unfold(page)
    methods = page.inner_text("#methods")
    for text in ("Rigid", "Other", "A note.", "Within 2 mm, one voxel (%)", "95 % interval (mm)", "F-1"):
        assert text in methods
    assert page.locator("#methods tr", has_text="normalised").count() == 0
    assert page.locator("#errors svg.chart").count() == 2
    assert page.locator("#comparisons svg.chart").count() == 1
    assert "cut by the border" in page.inner_text("#structures")
    assert "Harmonic energy" in page.inner_text("#health")


def test_what_is_missing_takes_no_room(halves_report, watched):
    page = watched.open(halves_report)
    unfold(page)
    assert "Target registration error: no targets to measure it at." in page.inner_text("#methods")
    sections = ["verdict", "pictures", "mark", "methods", "repeat"]
    assert page.evaluate("() => [...document.querySelectorAll('main section')].map((e) => e.id)") == sections
    links = page.evaluate("() => [...document.querySelectorAll('nav a')].map((e) => e.hash.slice(1))")
    assert links == sections


def test_a_rigid_transform_has_no_health_to_report(tmp_path, watched):
    volume = Volume(halves(0, HALVES), "v")
    path = tmp_path / "health.html"
    still = {**HEALTH, "jacobian": {**HEALTH["jacobian"], "min": 1.0, "max": 1.0}}
    for health, linear, shown in ((still, True, 0), (HEALTH, True, 1), (still, False, 1)):
        method = make_method("M", health=health, linear=linear)
        write_report(
            path, make_content(make_method("Before"), [method]), volume, volume,
            [SpatialTransform.of_matrix("t", np.eye(4))],
        )  # fmt: skip
        assert watched.open(path).locator("#health").count() == shown


def test_the_picture_comes_right_after_the_verdict(head_report, watched):
    page = watched.open(head_report)
    canvas = page.locator("figure[data-plane=axial] canvas").bounding_box()
    assert canvas["y"] < 900, "on the first screen"
    assert canvas["width"] > 300
    tops = [page.locator(f"#{place}").bounding_box()["y"] for place in ("verdict", "pictures", "mark")]
    assert tops == sorted(tops)
    assert page.locator("details.folded[open]").count() == 0


def test_a_link_opens_what_it_leads_to(head_report, watched):
    page = watched.open(head_report)
    page.click("nav a[href='#errors']")
    page.wait_for_selector("#errors", state="visible")
    assert page.locator("details.folded[open]").count() == 1


def test_the_report_begins_in_colour_which_shows_where_outlines_part(halves_report, watched):
    page = watched.open(halves_report)
    assert page.is_checked("input[name=mode][value=colour]")
    assert not page.locator("fieldset.option").is_visible(), "there is nothing to adjust"
    assert "Good: every outline lies on its counterpart" in page.inner_text("#legend")
    red, green, blue = grey(page, "axial", *QUADRANTS["left front"])
    assert red == blue < 55 < 200 < green, "only the fixed volume is bright there"
    red, green, blue = grey(page, "axial", *QUADRANTS["right back"])
    assert green < 55 < 200 < red == blue
    assert min(grey(page, "axial", *QUADRANTS["left back"])) > 200


def test_pointing_at_before_shows_it_for_as_long(halves_report, watched):
    page = watched.open(halves_report, "fade")
    page.mouse.move(2, 2)
    after = pictures(page)
    page.hover("label:has(input[value=before])")
    during = pictures(page)
    assert during != after
    assert page.is_checked("input[name=state][value=after]")
    page.mouse.move(2, 2)
    assert pictures(page) == after


def test_only_the_best_four_methods_are_shown(tmp_path, watched):
    volume = Volume(halves(0, HALVES), "v")
    methods = [make_method(f"M{i}", rank=rank) for i, rank in enumerate((3, 6, 1, 5, 2, 4))]
    transforms = [SpatialTransform.of_matrix("t", np.eye(4))] * 6
    path = tmp_path / "many.html"
    write_report(path, make_content(make_method("Before"), methods), volume, volume, transforms)
    page = watched.open(path)
    assert offered_methods(page) == ["M0", "M2", "M4", "M5"]
    assert "4 best of 6" in page.inner_text("#pictures")
    with pytest.raises(ValueError, match="5 transforms for 6 methods"):
        write_report(path, make_content(make_method("Before"), methods), volume, volume, transforms[1:])


@pytest.mark.parametrize("grid", [HALVES, CT_GRID])
def test_the_grid_of_the_viewer_covers_the_fixed_volume(grid):
    shown = viewer_grid(grid)
    assert shown.contains(grid.corners_lps * 0.999 + grid.center_lps * 0.001).all()
    assert np.allclose(np.asarray(shown.direction).reshape(3, 3), np.eye(3))
    assert max(shown.size) <= MAX_SIDE


def test_codes_keep_outside_apart_and_lose_little():
    values = np.random.default_rng(0).normal(40, 15, 100_000).astype(np.float32)
    values[:50_000] = -1000
    values[-1000:] = np.linspace(300, 3000, 1000)
    code = IntensityCode.of(values)
    coded = code.encode(np.append(values, np.float32(np.nan)))
    assert coded[-1] == OUTSIDE
    assert coded[:-1].min() >= FIRST_CODE
    error = np.abs(code.values[coded[:-1]] - values)[50_000:-1000]
    # Even steps over the same range would be 18 wide.
    assert np.percentile(error, 95) < 3


def test_a_constant_volume_has_a_report(tmp_path):
    image = sitk.Image([1, 5, 4], sitk.sitkUInt8) + 7
    volume = Volume(image, "constant")
    content = make_content(make_method("Before"), [])
    write_report(tmp_path / "constant.html", content, volume, volume, [])
    assert (tmp_path / "constant.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.93, "0.930"), (1.0, "1.00"), (12.34, "12.3"), (234.5, "234"), (27, "27"), (-1.5, "\u22121.50"), (0.0, "0"),
     (3.1e-5, "3.10\u2009\u00d7\u200910\u207b\u2075"), (9.9996, "10.0"), (0.0021, "0.0021"),
     (0.99996, "1.00"), (341200.5, "341\u2009200")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_keys_nobody_foresaw_are_shown_with_their_unit():
    assert label_of("new_measure_mm") == "New measure (mm)"
    assert label_of("share_lost") == "Share lost (%)"
    assert value_text("share_lost", 0.123) == "12.3"
    assert value_text("p", 0.0002) == "<\u20090.001"
    assert value_text("x", None) is None


@pytest.mark.slow
def test_a_large_pair_gives_a_small_file(tmp_path, watched):
    grid = VolumeGrid((512, 512, 300), (0.7, 0.7, 1.0), (-179.0, -179.0, -150.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    rng = np.random.default_rng(0)
    tile = rng.integers(-60, 60, (30, 512, 512), dtype=np.int16)
    row = np.linspace(-1, 1, 512)
    radius = np.hypot(row[:, None], row[None, :])
    body = np.where(radius < 0.7, 40, np.where(radius < 0.8, 900, -1000)).astype(np.int16)
    structure = (120 * np.sin(9 * row[:, None]) * np.cos(14 * row[None, :])).astype(np.int16) * (radius < 0.7)
    image = sitk.GetImageFromArray(np.concatenate([tile + body + structure] * 10))
    grid.place(image)
    volume = Volume(image, "large")
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin((-179.0, -179.0, -150.0))
    spline.SetTransformDomainPhysicalDimensions((358.0, 358.0, 300.0))
    spline.SetTransformDomainMeshSize([4, 4, 4])
    spline.SetParameters(rng.normal(0, 3, len(spline.GetParameters())).tolist())
    transforms = [
        SpatialTransform.of_matrix("rigid", rigid([1, 2, 3], 5, [4, 5, 6])),
        SpatialTransform("spline", spline),
    ]
    path = tmp_path / "large.html"
    content = make_content(make_method("Before"), [make_method("Rigid"), make_method("Spline")])
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    write_report(path, content, volume, volume, transforms)
    seconds = time.perf_counter() - start
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before) / 1024
    megabytes = path.stat().st_size / 1e6
    start = time.perf_counter()
    watched.open(path)
    opening = time.perf_counter() - start
    print(f"{megabytes:.1f} MB in {seconds:.1f} s, {more:.0f} MiB more memory; opens in {opening:.1f} s")
    assert megabytes < 15
    assert watched.problems == []
