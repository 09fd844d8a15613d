"""Pictures: what lies where in the patient is where it belongs on the page, whatever the grids of the volumes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from MultimodalRegistrationLib.assess.pictures.layout import (
    EDGE_COLOUR,
    FIXED_COLOUR,
    MOVING_COLOUR,
    TEXT_COLOUR,
    draw_text,
)
from MultimodalRegistrationLib.assess.pictures.picture import (
    MODES,
    checker_square_mm,
    registration_picture,
    write_picture,
)
from MultimodalRegistrationLib.assess.pictures.planes import strong_edges
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.tools.itk import write_linear_transform
from PIL import Image, ImageDraw

RADIUS_MM = 14.0
# Left, posterior and superior of the centre: no two sides are alike.
BALL_LPS = np.array([31.0, 22.0, 17.0])
MOVED_LPS = np.array([-24.0, -12.0, 28.0])
TURNED = np.reshape(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.4).GetMatrix(), (3, 3))
AXES = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "sagittal slices": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "oblique": TURNED,
    "oblique, left-handed": TURNED @ np.diag([1.0, -1.0, 1.0]),
}
SPACING_MM = (1.1, 1.6, 3.0)


def volume(axes, ball_lps, name="ball", radius_mm=RADIUS_MM, extent_mm=150.0):
    """A bright ball on a dark grid around the origin of LPS; a smooth edge of 2 mm."""
    size = tuple(round(extent_mm / spacing) for spacing in SPACING_MM)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(SPACING_MM)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(size) - 1) / 2)
    grid = VolumeGrid.of_matrix(size, matrix)
    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    distance = np.linalg.norm(index @ matrix[:3, :3].T + matrix[:3, 3] - ball_lps, axis=-1)
    image = sitk.GetImageFromArray((100 * np.clip((radius_mm - distance) / 2 + 0.5, 0, 1) + 1).T.astype(np.float32))
    grid.place(image)
    return Volume(image, name)


def panel_pixels(picture, number):
    panel = picture.panels[number]
    return picture.pixels[
        panel.top : panel.top + panel.window.height, panel.left : panel.left + panel.window.width
    ].astype(int)


def ball_in(picture, number, channel=None):
    """Centre and width and height of what is bright in a panel, on the page; words and letters are thinner."""
    panel = picture.panels[number]
    pixels = panel_pixels(picture, number)
    bright = pixels.min(axis=2) > 120 if channel is None else channel(pixels)
    opened = sitk.BinaryMorphologicalOpening(sitk.GetImageFromArray(bright.astype(np.uint8)), [9, 9])
    rows, columns = np.nonzero(sitk.GetArrayFromImage(opened))
    assert rows.size, "there is a ball"
    return (
        np.array([panel.left + columns.mean(), panel.top + rows.mean()]),
        np.array([np.ptp(columns) + 1, np.ptp(rows) + 1]),
    )


def is_fixed(pixels):
    return (pixels[..., 2] > 120) & (pixels[..., 0] < 100)


def is_moving(pixels):
    return (pixels[..., 0] > 100) & (pixels[..., 2] < 80)


def transform(matrix):
    return SpatialTransform.of_matrix("T", matrix)


@pytest.mark.parametrize("axes", AXES)
def test_a_ball_is_where_it_belongs_and_round(axes):
    fixed = volume(AXES[axes], BALL_LPS)
    picture = registration_picture(fixed, fixed, mode="side-by-side", center_lps=BALL_LPS)
    panels = picture.panels
    for number in range(6):
        center, size = ball_in(picture, number)
        mm_per_pixel = panels[number].window.mm_per_pixel
        assert np.abs(center - panels[number].pixel(BALL_LPS)).max() * mm_per_pixel < 0.5
        assert np.abs(size * mm_per_pixel - 2 * RADIUS_MM).max() < 1.5, "as wide as high as it is"
    assert len({panel.window.mm_per_pixel for panel in panels}) == 1


def test_left_is_on_the_right_and_the_letters_say_so():
    fixed = volume(np.eye(3), BALL_LPS)
    picture = registration_picture(fixed, fixed, mode="side-by-side", center_lps=BALL_LPS)
    axial, coronal, sagittal = (np.array(ball_in(picture, number)[0]) for number in range(3))
    middle = [
        np.array([panel.left + panel.window.width / 2, panel.top + panel.window.height / 2]) for panel in picture.panels
    ]
    scale = picture.panels[0].window.mm_per_pixel
    # The volume is around the origin, so from the middle the ball lies as far as its coordinates say.
    left, posterior, superior = BALL_LPS / scale
    np.testing.assert_allclose(axial - middle[0], [left, posterior], atol=3)
    np.testing.assert_allclose(coronal - middle[1], [left, -superior], atol=3)
    np.testing.assert_allclose(sagittal - middle[2], [posterior, -superior], atol=3)
    for number, letters in enumerate(("RLAP", "RLSI", "APSI")):
        assert letters == "".join(found_letters(panel_pixels(picture, number)))


def text_on_black(text, place, height, **options):
    """Brightness, shape (80, 80), of text on a black picture."""
    image = Image.new("RGB", (80, 80))
    draw_text(ImageDraw.Draw(image, "RGBA"), place, text, height, TEXT_COLOUR, **options)
    return np.asarray(image)[..., 0]


def found_letters(pixels):
    """The letters at the left, right, upper and lower edge, by comparing what is drawn with each of them."""
    height, width = pixels.shape[:2]
    near = 44
    areas = (
        pixels[height // 2 - 22 : height // 2 + 22, :near],
        pixels[height // 2 - 22 : height // 2 + 22, -near:],
        pixels[:near, width // 2 - 22 : width // 2 + 22],
        pixels[-near:, width // 2 - 22 : width // 2 + 22],
    )
    for area in areas:
        there = centered(area.min(axis=2))
        best = {}
        for letter in "RLAPSI":
            drawn = text_on_black(letter, (30, 50), 20)
            best[letter] = min(
                np.abs(np.roll(centered(drawn), (down, right), (0, 1)) - there).mean()
                for down in (-1, 0, 1)
                for right in (-1, 0, 1)
            )
        yield min(best, key=best.get)


def centered(pixels):
    """What is bright in the middle of a square."""
    rows, columns = np.nonzero(pixels > 128)
    glyph = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(float)
    square = np.zeros((36, 36))
    top, left = ((36 - side) // 2 for side in glyph.shape)
    square[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
    return square


@pytest.mark.parametrize("axes", ["straight", "oblique, left-handed"])
def test_the_moving_ball_is_beside_the_fixed_one_before_and_on_it_after(axes):
    fixed, moving = volume(np.eye(3), BALL_LPS), volume(AXES[axes], MOVED_LPS, "moved")
    fixed_to_moving = np.eye(4)
    fixed_to_moving[:3, :3] = TURNED
    fixed_to_moving[:3, 3] = MOVED_LPS - TURNED @ BALL_LPS
    # Both balls are in the plane through this point.
    center = np.array([BALL_LPS[0], BALL_LPS[1], (BALL_LPS[2] + MOVED_LPS[2]) / 2])
    picture = registration_picture(fixed, moving, transform(fixed_to_moving), center_lps=center)
    before, after = picture.panels[0], picture.panels[3]
    scale = before.window.mm_per_pixel
    assert np.abs(ball_in(picture, 0, is_fixed)[0] - before.pixel(BALL_LPS)).max() * scale < 0.6
    assert np.abs(ball_in(picture, 0, is_moving)[0] - before.pixel(MOVED_LPS)).max() * scale < 0.6
    assert np.abs(ball_in(picture, 3)[0] - after.pixel(BALL_LPS)).max() * scale < 0.6
    white = panel_pixels(picture, 3)
    x, y = (round(value) for value in np.subtract(after.pixel(BALL_LPS), (after.left, after.top)))
    np.testing.assert_allclose(white[y, x], FIXED_COLOUR + MOVING_COLOUR, atol=4)


def test_a_deformation_is_shown_too():
    fixed = volume(np.eye(3), BALL_LPS)
    shift = sitk.TransformToDisplacementField(
        sitk.TranslationTransform(3, (MOVED_LPS - BALL_LPS).tolist()),
        sitk.sitkVectorFloat64,
        (40, 40, 40),
        (-100.0, -100.0, -100.0),
        (5.0, 5.0, 5.0),
    )
    deformation = SpatialTransform("field", sitk.DisplacementFieldTransform(shift))
    picture = registration_picture(
        fixed, volume(TURNED, MOVED_LPS), deformation, mode="side-by-side", center_lps=BALL_LPS
    )
    for number in (0, 1, 2, 6, 7, 8):
        offset = ball_in(picture, number)[0] - picture.panels[number].pixel(BALL_LPS)
        assert np.abs(offset).max() * picture.panels[number].window.mm_per_pixel < 0.6


def test_edges_lie_on_the_border_of_the_moving_ball():
    fixed = volume(np.eye(3), BALL_LPS)
    picture = registration_picture(fixed, volume(TURNED, BALL_LPS), mode="edges", center_lps=BALL_LPS)
    for number in range(3):
        panel = picture.panels[number]
        rows, columns = np.nonzero((panel_pixels(picture, number) == EDGE_COLOUR).all(axis=2))
        distances = np.hypot(*(np.array([columns + panel.left, rows + panel.top]).T - panel.pixel(BALL_LPS)).T)
        np.testing.assert_allclose(distances * panel.window.mm_per_pixel, RADIUS_MM, atol=1.5)
        assert len(rows) > 2 * np.pi * RADIUS_MM / panel.window.mm_per_pixel, "all around"


def test_squares_of_the_checkerboard_are_as_large_as_told_and_alternate():
    """The fixed volume is bright everywhere, the moving one dark."""
    bright, dark = volume(np.eye(3), BALL_LPS, radius_mm=500), volume(np.eye(3), BALL_LPS, radius_mm=2)
    picture = registration_picture(bright, dark, mode="checkerboard", center_lps=[0, 0, -40], field_mm=100)
    pixels = panel_pixels(picture, 0).mean(axis=2)
    side = checker_square_mm(100) / picture.panels[0].window.mm_per_pixel
    assert checker_square_mm(100) == 10
    for row in range(2, 8):
        for column in range(2, 8):
            if row in (4, 5) or column in (4, 5):
                # Letters and the scale bar are elsewhere, ticks outside.
                square = pixels[round(row * side) + 3 : round((row + 1) * side) - 3]
                square = square[:, round(column * side) + 3 : round((column + 1) * side) - 3]
                assert np.ptp(square) < 3
                assert (square.mean() > 100) == ((row + column) % 2 == 0)


def test_where_one_volume_does_not_reach_the_other_is_shown():
    fixed, small = volume(np.eye(3), BALL_LPS), volume(np.eye(3), BALL_LPS, extent_mm=30)
    picture = registration_picture(fixed, small, mode="checkerboard", center_lps=BALL_LPS)
    assert np.abs(ball_in(picture, 0)[0] - picture.panels[0].pixel(BALL_LPS)).max() < 3


@pytest.mark.parametrize(("field_mm", "bar_mm"), [(None, 20), (60.0, 10), (12.0, 2)])
def test_the_scale_bar_is_as_long_as_it_says(field_mm, bar_mm):
    fixed = volume(np.eye(3), BALL_LPS)
    picture = registration_picture(fixed, fixed, mode="side-by-side", center_lps=MOVED_LPS, field_mm=field_mm)
    for number in range(3):
        panel = picture.panels[number]
        lowest = panel_pixels(picture, number)[-17, -panel.window.width // 2 + 20 :]
        assert (
            abs((lowest == TEXT_COLOUR).all(axis=1).sum() * panel.window.mm_per_pixel - bar_mm)
            < panel.window.mm_per_pixel
        )


def test_a_part_is_shown_around_the_point():
    fixed = volume(TURNED, BALL_LPS)
    picture = registration_picture(fixed, fixed, mode="side-by-side", center_lps=BALL_LPS, field_mm=50)
    for number in range(3):
        panel = picture.panels[number]
        assert panel.window.width == panel.window.height == pytest.approx(50 / panel.window.mm_per_pixel, abs=1)
        middle = (panel.left + (panel.window.width - 1) / 2, panel.top + (panel.window.height - 1) / 2)
        np.testing.assert_allclose(panel.pixel(BALL_LPS), middle, atol=1e-6)


@pytest.mark.parametrize("height", [15, 20, 30])
@pytest.mark.parametrize("anchor", ["ls", "ms", "rs"])
def test_every_letter_is_drawn_where_it_is_asked_for(height, anchor):
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,:-AILPRS":
        rows, columns = np.nonzero(text_on_black(letter, (40, 50), height, anchor=anchor) > 100)
        if letter in "AILPR":
            assert abs(rows.max() + 1 - 50) <= 1, "on the line"
            assert abs(np.ptp(rows) + 1 - height) <= 1, "as high as it is asked for"
        if anchor == "ls":
            assert columns.min() >= 37
        elif anchor == "ms":
            assert abs((columns.min() + columns.max()) / 2 - 40) <= 3
        else:
            assert columns.max() <= 43


def test_text_that_does_not_fit_is_cut_off_and_has_a_halo():
    for place in ((-20, 10), (70, 85)):
        assert text_on_black("cut off", place, 30).max() > 200
    image = Image.new("RGB", (80, 80), (255, 255, 255))
    draw_text(ImageDraw.Draw(image, "RGBA"), (20, 50), "I", 30, TEXT_COLOUR)
    pixels = np.asarray(image)[40, :, 0]
    letter = np.flatnonzero(pixels == TEXT_COLOUR[0])
    assert letter.size >= 2
    for beside in (letter.min() - 2, letter.max() + 2):
        assert pixels[beside] < 130


def saved(tmp_path):
    """Files of a pair and the transform that brings one onto the other."""
    matrix = np.eye(4)
    matrix[:3, 3] = MOVED_LPS - BALL_LPS
    for name, ball in (("F.nrrd", BALL_LPS), ("M.nrrd", MOVED_LPS)):
        sitk.WriteImage(volume(TURNED, ball).image, str(tmp_path / name))
    write_linear_transform(tmp_path / "T.h5", matrix)
    return {"--fixed": tmp_path / "F.nrrd", "--moving": tmp_path / "M.nrrd", "--transform": tmp_path / "T.h5"}


def arguments(options):
    return [str(part) for pair in options.items() for part in pair]


@pytest.mark.story("U36")
@pytest.mark.parametrize("mode", MODES)
def test_the_command_writes_a_png(tmp_path, mode):
    options = {**saved(tmp_path), "--mode": mode, "--output": tmp_path / "P.png"}
    at = ",".join(map(str, flip_points_lps_ras(BALL_LPS)))
    assert main(["picture", *arguments(options), f"--at={at}"]) == 0
    image = sitk.ReadImage(str(tmp_path / "P.png"))
    assert (image.GetSize()[0], image.GetNumberOfComponentsPerPixel()) == (1890, 3)
    fixed, moving = (volume(TURNED, ball) for ball in (BALL_LPS, MOVED_LPS))
    same = registration_picture(
        fixed, moving, SpatialTransform("T", sitk_from_matrix(np.eye(4))), mode=mode, center_lps=BALL_LPS
    )
    np.testing.assert_array_equal(panel_of(image, same, 0), panel_pixels(same, 0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["F.nrrd", "M.nrrd", "P.png", "T.h5"]


def panel_of(image, picture, number):
    panel = picture.panels[number]
    pixels = sitk.GetArrayFromImage(image)
    return pixels[panel.top : panel.top + panel.window.height, panel.left : panel.left + panel.window.width]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--output": "P.jpg"}, "this file type cannot be written"),
        ({"--at": "900,0,0"}, "R 900.0 mm, A 0.0 mm, S 0.0 mm is outside of the fixed volume"),
        ({"--at": "1,2"}, "'1,2' is not a point"),
        ({"--at": "1,2,nan"}, "'1,2,nan' is not a point"),
        ({"--field": "0"}, "--field: 0 mm"),
        ({"--transform": "none.h5"}, "no such file"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(tmp_path, capsys, changes, message):
    options = {**saved(tmp_path), "--output": tmp_path / "P.png"}
    before = sorted(tmp_path.iterdir())
    for name, value in changes.items():
        options[name] = tmp_path / value if name in ("--output", "--transform") else value
    assert main(["picture", *arguments(options)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_an_unknown_mode_is_refused():
    fixed = volume(np.eye(3), BALL_LPS)
    with pytest.raises(InputError, match="Use one of overlay"):
        registration_picture(fixed, fixed, mode="fade")


def test_no_display_and_no_plotting_package_is_needed(tmp_path):
    options = arguments({**saved(tmp_path), "--output": tmp_path / "P.png"})
    code = (
        "import sys; from MultimodalRegistrationLib.cli.main import main; "
        "code = main(sys.argv[1:]); "
        "print([m for m in ('matplotlib', 'vtk', 'qt') if m in sys.modules]); sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "picture", "--quiet", *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.strip() == "[]"


def test_writing_and_reading_a_picture_gives_the_same_pixels(tmp_path):
    fixed = volume(np.eye(3), BALL_LPS)
    picture = registration_picture(fixed, fixed)
    write_picture(tmp_path / "P.png", picture)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "P.png"))), picture.pixels)


def test_noise_has_no_edges_and_units_do_not_matter():
    """ITK's Canny filter takes every gradient far below one for an edge: planes come in any unit, or from 0 to 1."""
    noise = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    y, x = np.mgrid[:200, :200]
    ring = np.abs(np.hypot(x - 100, y - 100) - 60)
    disc = noise + np.float32(5) * (np.hypot(x - 100, y - 100) < 60)
    for unit in (1e-4, 1.0, 1e4):
        assert strong_edges(np.float32(unit) * noise).mean() < 0.002
        edges = strong_edges(np.float32(unit) * disc)
        assert (ring[edges] < 3).mean() > 0.95
        assert edges.sum() > 0.7 * 2 * np.pi * 60
