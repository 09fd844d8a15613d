"""Landmark files as Slicer and others write them, and what is refused in them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.io.landmarks import OUTPUT_LANDMARK_SUFFIXES, read_landmarks, write_landmarks

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"

SLICER_5_JSON = """{
    "@schema": "SCHEMA",
    "markups": [
        {
            "type": "Fiducial",
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "locked": false,
            "fixedNumberOfControlPoints": false,
            "labelFormat": "%N-%d",
            "lastUsedControlPointNumber": 4,
            "controlPoints": [
                {
                    "id": "1",
                    "label": "Nasion, \\"left\\"",
                    "description": "",
                    "associatedNodeID": "vtkMRMLScalarVolumeNode1",
                    "position": [-12.5, -80.25, 33.0],
                    "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
                    "selected": true,
                    "locked": true,
                    "visibility": false,
                    "positionStatus": "defined"
                },
                {
                    "id": "2",
                    "label": "Tragus",
                    "position": [68.5, 4.0, -7.75],
                    "selected": false,
                    "positionStatus": "defined"
                },
                { "id": "3", "label": "later", "position": "", "selected": true, "positionStatus": "undefined" },
                { "id": "4", "label": "skipped", "position": "", "positionStatus": "missing" },
                { "id": "5", "label": "moving", "position": [1, 2, 3], "positionStatus": "preview" }
            ],
            "measurements": [],
            "display": { "visibility": true, "opacity": 1.0 }
        }
    ]
}
""".replace("SCHEMA", SCHEMA)


SLICER_5_FCSV = '''\
# Markups fiducial file version = 5.6
# CoordinateSystem = LPS
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
1,-12.5,-80.25,33.0,0,0,0,1,0,1,1,"Nasion, ""left""",,vtkMRMLScalarVolumeNode1,2,0
2,68.5,4.0,-7.75,0,0,0,1,1,0,0,Tragus,on the cartilage,,2,0
3,0,0,0,0,0,0,1,1,1,0,later,,,0,0
4,0,0,0,0,0,0,1,1,1,0,skipped,,,3,0
5,1,2,3,0,0,0,1,1,1,0,moving,,,1,0
'''

SLICER_TABLE = '''\
"label","l","p","s","defined","selected","visible","locked","description"
"Nasion, ""left""",-12.5,-80.25,33,1,1,0,1,""
"Tragus",68.5,4,-7.75,1,0,1,0,"on the cartilage"
"later",0,0,0,0,1,1,0,""
"skipped",0,0,0,0,1,1,0,""
"moving",1,2,3,0,1,1,0,""
'''

AS_SLICER_SHOWS_IT = (
    Landmark('Nasion, "left"', (-12.5, -80.25, 33.0)),
    Landmark("Tragus", (68.5, 4.0, -7.75), selected=False),
    Landmark("later", None),
    Landmark("skipped", None),
    Landmark("moving", None),
)
TWO_LPS = (Landmark("A", (-1.5, -2.25, 3.0)), Landmark("B", (40.0, -50.5, -6.125)))


@pytest.fixture
def saved(tmp_path):
    """Write a file and give its path."""

    def save(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return save


def refused(path, *found, **options):
    """Read a file that must be refused, in words that hold ``found``; every message names the file and a remedy."""
    with pytest.raises(InputError) as caught:
        read_landmarks(path, **options)
    assert caught.value.subject == str(path)
    for text in found:
        assert text in caught.value.found
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("F.mrk.json", SLICER_5_JSON),
        ("F.json", SLICER_5_JSON),
        ("F.fcsv", SLICER_5_FCSV),
        ("F.FCSV", SLICER_5_FCSV.replace("\n", "\r\n")),
        ("F.csv", SLICER_TABLE),
        ("F.tsv", SLICER_TABLE.replace(",", "\t").replace("Nasion\t", "Nasion,")),
    ],
)
def test_files_as_slicer_writes_them(saved, name, content):
    path = saved(name, content)
    landmarks = read_landmarks(path)
    assert landmarks.landmarks == AS_SLICER_SHOWS_IT
    assert landmarks.name == str(path)
    assert read_landmarks(path, space="LPS").landmarks == AS_SLICER_SHOWS_IT
    error = refused(path, "LPS", "RAS", space="RAS")
    assert "Leave" in error.remedy


@pytest.mark.parametrize("coding", ["0", "RAS"])
def test_ras_files_of_slicer_4_and_5(saved, coding):
    path = saved(
        "F.fcsv",
        f"# Markups fiducial file version = 4.7\n# CoordinateSystem = {coding}\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        "vtkMRMLMarkupsFiducialNode_0,1.5,2.25,3,0,0,0,1,1,1,0,A,,vtkMRMLModelNode9\n"
        "vtkMRMLMarkupsFiducialNode_2,-40,50.5,-6.125,0,0,0,1,1,1,0,B,,\n",
    )
    assert read_landmarks(path).landmarks == TWO_LPS
    refused(path, "RAS, not LPS", space="LPS")


@pytest.mark.parametrize("coding", ["1", "LPS"])
def test_lps_files_of_slicer_4_and_5(saved, coding):
    text = f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {coding}\n1,-1.5,-2.25,3,0,0,0,1,1,1,0,A,,\n"
    assert read_landmarks(saved("F.fcsv", text)).landmarks == TWO_LPS[:1]


def test_slicer_3_files_state_no_convention(saved):
    path = saved(
        "midsag.fcsv",
        "# Fiducial List file midsag.fcsv\n# name = midsag\n# numPoints = 2\n# color = 0.4,1,1\n"
        "# columns = label,x,y,z,sel,vis\nA,1.5,2.25,3,1,1\nB,-40,50.5,-6.125,0,1\n",
    )
    error = refused(path, "LPS or RAS")
    for way in ("--fixed-space", "--moving-space", "`space`"):
        assert way in error.remedy
    first, second = read_landmarks(path, space="RAS").landmarks
    assert first == TWO_LPS[0]
    assert not second.selected


def test_unknown_columns_and_conventions_of_fcsv_are_refused(saved):
    refused(saved("a.fcsv", "# CoordinateSystem = 2\n# columns = id,x,y,z\n1,1,2,3\n"), "'2' is neither LPS nor RAS")
    refused(saved("b.fcsv", "# CoordinateSystem = LPS\n# columns = id,u,v,w\n1,1,2,3\n"), "id,u,v,w")
    few = saved("c.fcsv", "# CoordinateSystem = LPS\n# columns = id,x,y,z,label\n1,1.1,1.2,1.3,A\n2,1.1,1.2,1.3\n")
    assert [landmark.label for landmark in read_landmarks(few).landmarks] == ["A", ""]


def ras_json(coding):
    points = '[{"label": "A", "position": [1.5, 2.25, 3]}, {"label": "B", "position": [-40, 50.5, -6.125]}]'
    return (
        f'{{"@schema": "{SCHEMA}", "markups": '
        f'[{{"type": "Line", "coordinateSystem": {coding}, "controlPoints": {points}}}]}}'
    )


@pytest.mark.parametrize("coding", ['"RAS"', '"0"', "0"])
def test_ras_markups(saved, coding):
    assert read_landmarks(saved("L.mrk.json", ras_json(coding))).landmarks == TWO_LPS


def test_markups_without_a_statement_are_lps_as_the_schema_says(saved):
    path = saved("F.mrk.json", ras_json('"RAS"').replace('"coordinateSystem": "RAS",', ""))
    np.testing.assert_array_equal(read_landmarks(path).points_lps[0], [1.5, 2.25, 3])
    refused(saved("G.mrk.json", ras_json('""')), "LPS or RAS")
    refused(saved("H.mrk.json", ras_json('"IJK"')), "'IJK'")


@pytest.mark.parametrize(
    ("units", "mm"), [('"mm"', 1), ('"um"', 1e-3), ('["cm", "UCUM", "centimeter"]', 10), ('"m"', 1000)]
)
def test_units_are_converted(saved, units, mm):
    path = saved(
        "F.mrk.json",
        ras_json('"LPS"')
        .replace('"type"', f'"coordinateUnits": {units}, "type"')
        .replace("-40, 50.5, -6.125", "0, 0, 0"),
    )
    np.testing.assert_allclose(read_landmarks(path).points_lps[0], np.array([1.5, 2.25, 3]) * mm, rtol=1e-12)


def test_unknown_units_are_refused(saved):
    path = saved("F.mrk.json", ras_json('"LPS"').replace('"type"', '"coordinateUnits": "voxel", "type"'))
    assert "mm" in refused(path, "voxel").remedy


def test_several_markups_are_chosen_by_name(saved):
    content = json.loads(ras_json('"RAS"'))
    other = {"type": "Curve", "coordinateSystem": "LPS", "controlPoints": [{"label": "C", "position": [7, 8, 9]}]}
    content["markups"] = [content["markups"][0] | {"name": "CT"}, other | {"name": "MR"}, other, other | {"name": "MR"}]
    path = saved("all.mrk.json", json.dumps(content))
    refused(path, "4 markups", "'CT', 'MR', '3', 'MR'")
    chosen = read_landmarks(path, node_name="CT")
    assert chosen.landmarks == TWO_LPS
    assert chosen.name == f"{path} (CT)"
    assert read_landmarks(path, node_name="3").landmarks == (Landmark("C", (7.0, 8.0, 9.0)),)
    refused(path, "no markups called 'PET'", "'CT'", node_name="PET")
    refused(path, "2 markups called 'MR'", node_name="MR")
    refused(saved("F.fcsv", SLICER_5_FCSV), "one list", node_name="CT")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("[68.5, 4.0, -7.75]", "[68.5, 4.0]", ("point 2 'Tragus'", "[68.5, 4.0]")),
        ("[68.5, 4.0, -7.75]", '[68.5, "4,0", 1]', ("point 2 'Tragus'", "4,0")),
        ("[68.5, 4.0, -7.75]", "[68.5, true, 1]", ("point 2 'Tragus'",)),
        ("[68.5, 4.0, -7.75]", "[68.5, NaN, 1]", ("point 2 'Tragus'", "nan")),
        ("[68.5, 4.0, -7.75]", "[68.5, -Infinity, 1]", ("point 2 'Tragus'", "-inf")),
        ("[68.5, 4.0, -7.75]", f"[1{'0' * 400}, 1, 1]", ("point 2 'Tragus'", "too large")),
        ("[68.5, 4.0, -7.75]", "[68.5, 10000.5, 1]", ("point 2 'Tragus'", "10000.5 mm")),
        ('"preview"', '"somewhere"', ("point 5 'moving'", "somewhere")),
        ('"selected": false', '"selected": "maybe"', ("point 2 'Tragus'", "maybe")),
        ("schema-v1.0.3", "schema-v2.0.0", ("schema-v2.0.0",)),
        ('"measurements": [],', '"measurements": [}', ("line", "not valid JSON")),
    ],
)
def test_faults_in_markups_are_told_with_their_place(saved, old, new, found):
    assert old in SLICER_5_JSON
    refused(saved("F.mrk.json", SLICER_5_JSON.replace(old, new)), *found)


def test_plain_json(saved):
    points = [{"label": "A", "position": [-1.5, -2.25, 3]}, {"name": "B", "position": [40, -50.5, -6.125]}]
    assert read_landmarks(saved("a.json", json.dumps({"points": points, "coordinate_system": "LPS"}))).landmarks == (
        TWO_LPS
    )
    bare = saved("b.json", json.dumps([[1.5, 2.25, 3], {"label": "B", "position": None}]))
    refused(bare, "LPS or RAS")
    assert read_landmarks(bare, space="RAS").landmarks == (Landmark("", TWO_LPS[0].position_lps), Landmark("B", None))
    refused(saved("c.json", '{"landmarks": []}'), "neither Slicer markups nor a list of points")
    refused(saved("d.json", "[1, 2, 3]"), "point 1 is 1", space="LPS")
    refused(saved("e.json", "[" * 100_000), "JSON")


TABLES = {
    "plain": "label,l,p,s\nA,-1.5,-2.25,3\nB,40,-50.5,-6.125\n",
    "ras": "name,r,a,s\nA,1.5,2.25,3\nB,-40,50.5,-6.125\n",
    "decimal-comma": "Name;L;P;S\nA;-1,5;-2,25;3\nB;40;-50,5;-6,125\n",
    "tab-decimal-comma": "label\tr\ta\ts\nA\t1,5\t2,25\t3\nB\t-40\t50,5\t-6,125\n",
    "excel": "sep=;\nlabel;L [mm];P [mm];S [mm];;\nA;-1.5;-2.25;3;;\n;;;;;\nB;40;-50.5;-6.125;;\n",
    "comments": "# made by hand\n\nlabel, l, p, s\n# the nose\nA, -1.5, -2.25, 3\n\nB, 4e1, -50.5, -6.125",
    "frame and unit in the names": "x_ras_mm,y_ras_mm,z_ras_mm,label\n1.5,2.25,3,A\n-40,50.5,-6.125,B\n",
    "stated": "# CoordinateSystem = RAS\nx,y,z,label\n1.5,2.25,3,A\n-40,50.5,-6.125,B\n",
}


@pytest.mark.parametrize("content", TABLES.values(), ids=TABLES.keys())
def test_tables(saved, content):
    assert read_landmarks(saved("a.csv", content)).landmarks == TWO_LPS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(saved, encoding, line_end):
    content = "label,l,p,s\nÄ 右,-1.5,-2.25,3\n".replace("\n", line_end).encode(encoding)
    assert read_landmarks(saved("a.csv", content)).landmarks == (Landmark("Ä 右", (-1.5, -2.25, 3.0)),)


def test_x_y_z_needs_a_statement(saved):
    path = saved("a.csv", "label,x,y,z,selected\nA,1.5,2.25,3,1\nB,-40,50.5,-6.125,true\nC,,,,0\n")
    refused(path, "LPS or RAS")
    assert read_landmarks(path, space="RAS").landmarks == (*TWO_LPS, Landmark("C", None, selected=False))
    refused(path, "'ras'", space="ras")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("A,1,2,3\nB,1,2,3\n", ("line 1 names no coordinate columns",)),
        ("label,l,p,s\nA,1,2,3\nB,1,2\n", ("line 3", "'B'", "3 values under 4 columns")),
        ("label,l,p,s\nA,1,2,3\nB,1,5,2,3\n", ("line 3", "'B'", "5 values")),
        ("label,l,p,s\nA,1,2,3\nB,1,2,three\n", ("line 3", "'B'", "'three' is not a number")),
        ("label,l,p,s\nA,1,2,3\nB,1,2,\n", ("line 3", "'B'", "'' is not a number")),
        ("label,l,p,s\nA,1,2,3\nB,1,2,1_0\n", ("line 3", "1_0")),
        ("label,l,p,s\nA,1,2,3\nB,1,nan,3\n", ("line 3", "'B'", "nan")),
        ("label,l,p,s\nA,1,2,3\nB,1,-inf,3\n", ("line 3", "'B'", "-inf")),
        ("label,l,p,s\nA,1,2,3\nB,1,25000,3\n", ("line 3", "'B'", "25000 mm")),
        ("label;l;p;s\nA;1.234,5;2;3\n", ("decimal points and with commas",)),
        ("label,l,p,s,selected\nA,1,2,3,perhaps\n", ("line 2", "'A'", "perhaps")),
        ("label,l,p,s,r,a\nA,1,2,3,4,5\n", ("several conventions",)),
        ("label,l,p,s,l\nA,1,2,3,4\n", ("'l' twice",)),
        ("# coordinate_system: RAS\nlabel,l,p,s\nA,1,2,3\n", ("RAS", "LPS")),
        ("# CoordinateSystem = RAS\n# CoordinateSystem = LPS\nlabel,x,y,z\nA,1,2,3\n", ("both",)),
        ('label,l,p,s\n"a "b" c",1,2,3\n', ("line 2",)),
        ('label,l,p,s\n"a,1,2,3\n', ("line 2",)),
        ("label,l,p,s\n", ("no points",)),
        ("", ("no points",)),
    ],
)
def test_faults_in_tables_are_told_with_their_place(saved, content, found):
    refused(saved("a.csv", content), *found)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("2,1,5,2,5,3,5,0,0,0,1,1,1,0,B,,,2,0", ("line 5", "19 values")),
        ("2,1,2", ("line 5", "3 values")),
        ("2,1,two,3,0,0,0,1,1,1,0,B,,,2,0", ("line 5, point 'B'", "'two'")),
        ("2,1,inf,3,0,0,0,1,1,1,0,B,,,2,0", ("line 5, point 'B'", "inf")),
        ("2,1,2,3,0,0,0,1,1,1,0,B,,,9,0", ("line 5, point 'B'", "'9'")),
        ("2,1,2,3,0,0,0,1,1,x,0,B,,,2,0", ("line 5, point 'B'", "'x'", "sel")),
    ],
)
def test_faults_in_fcsv_are_told_with_their_place(saved, row, found):
    head = "".join(SLICER_5_FCSV.splitlines(keepends=True)[:4])
    refused(saved("a.fcsv", f"{head}{row}\n"), *found)


TEXTS = {
    "label-first": "A -1.5 -2.25 3\nB 40 -50.5 -6.125\n",
    "label-last": "-1.5\t-2.25\t3\tA\n40\t-50.5\t-6.125\tB\n",
    "header": "Exported points\n\nNumber of points: 2\nLabel L P S\nA -1.5 -2.25 3\n% middle\nB 40 -50.5 -6.125\n",
    "commas": "A, -1.5, -2.25, 3\n'B', 40, -50.5, -6.125\n",
    "decimal-comma": "// station\nA  -1,5  -2,25  3\nB  40  -50,5  -6,125\n",
    "semicolons": "A;-1,5;-2,25;3;\nB;40;-50,5;-6,125;\n",
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS.keys())
def test_plain_text(saved, content):
    assert read_landmarks(saved("a.txt", content), space="LPS").landmarks == TWO_LPS


def test_plain_text_that_states_its_convention(saved):
    for header in ("name R A S", "# CoordinateSystem = RAS", "! (r, a, s) in mm"):
        path = saved("a.txt", f"{header}\nA 1.5 2.25 3\nB -40 50.5 -6.125\n")
        assert read_landmarks(path).landmarks == TWO_LPS
        refused(path, "RAS, not LPS", space="LPS")
    refused(saved("b.txt", TEXTS["label-first"]), "LPS or RAS")
    refused(saved("c.txt", "# l p s\n# CoordinateSystem = RAS\nA 1 2 3\n"), "both")


def test_numbers_as_labels_of_plain_text(saved):
    first = read_landmarks(saved("a.txt", "7 1.5 2 3\n8 4 5 6\n"), space="LPS")
    last = read_landmarks(saved("b.txt", "1.5 2 3 1\n4 5 6 2\n"), space="LPS")
    for landmarks, labels in ((first, ["7", "8"]), (last, ["1", "2"])):
        assert [landmark.label for landmark in landmarks.landmarks] == labels
        np.testing.assert_array_equal(landmarks.points_lps, [[1.5, 2, 3], [4, 5, 6]])
    refused(saved("c.txt", "1 2 3 1\n2 5 6 2\n"), "line 1", "four numbers", space="LPS")
    refused(saved("d.txt", "1.5 2 3 0.1\n4 5 6 0.2\n"), "line 1", "four numbers", space="LPS")
    unlabelled = read_landmarks(saved("e.txt", "1.5 2 3\n4 5 6\n"), space="LPS")
    assert [landmark.label for landmark in unlabelled.landmarks] == ["", ""]
    words = read_landmarks(saved("f.txt", '"left eye" 1 2 3\nright eye 4 5 6\n'), space="LPS")
    assert [landmark.label for landmark in words.landmarks] == ["left eye", "right eye"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("A 1 2 3\nB 1 2\n", ("line 2", "B 1 2")),
        ("A 1 2 x\nB 1 2 3\n", ("line 1", "A 1 2 x")),
        ("A 1 2 3 0.5\n", ("line 1",)),
        ("A 1 2 3\nthe end\n", ("line 2", "the end")),
        ("A 1 2 3\nB 1 nan 3\n", ("line 2", "'B'", "nan")),
        ("A 1 2 3\nB 1 inf 3\n", ("line 2", "'B'", "inf")),
        ("A 1 2 3\nB 1 99000 3\n", ("line 2", "'B'", "99000 mm")),
        ("1,234 567.8 901.2\n", ("decimal points and with commas",)),
        ("1,234 5,678 9,012\n1.5 2.5 3.5\n", ("decimal points and with commas",)),
        ("Spacing 0.5 0.5 1\nName X Y Z\nA 1 2 3\n", ("line 2", "Name X Y Z")),
        ("nothing here\n", ("no points",)),
    ],
)
def test_faults_in_plain_text_are_told_with_their_place(saved, content, found):
    refused(saved("a.txt", content), *found, space="LPS")


def test_files_that_cannot_be_read(saved, tmp_path):
    refused(tmp_path / "none.fcsv", "no such file")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "folder")
    refused(saved("a.xlsx", "PK"), "not a type")
    refused(saved("latin.csv", "label,l,p,s\nÄ,1,2,3\n".encode("latin-1")), "byte 13 is not UTF-8")
    refused(saved("odd.csv", b"\xff\xfel\x00a" + b"\x00" + b"b"), "not UTF-16")
    refused(saved("zero.txt", b"A 1 2 3\x00\n"), "zero bytes", space="LPS")
    large = saved("large.csv", b"label,l,p,s\n" + b"#" * 10_000_000)
    refused(large, "10.0 MB")


def test_a_large_table_below_the_limit_is_read(saved):
    rows = "".join(f"P{n},{n % 97}.5,{n % 89},-{n % 83}\n" for n in range(20_000))
    landmarks = read_landmarks(saved("many.csv", f"label,l,p,s\n{rows}"))
    assert landmarks.points_lps.shape == (20_000, 3)


same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
VOCABULARY = (
    "label|name|l|p|s|x|y|z|,|;|\t| |\n|A|é|1|-2.5|3,5|nan|1e400|#|=|sep=;|LPS|RAS|0|id,x,y,z|label,l,p,s\n|"
    '{|}|[|]|:|"|null|"points"|"markups"|"position"|"controlPoints"|# CoordinateSystem = |# columns = |\x85|\x1d|\ufeff'
)


@pytest.mark.parametrize("suffix", [".json", ".fcsv", ".csv", ".txt"])
@same_folder
@given(
    fragments=st.lists(st.sampled_from(VOCABULARY.split("|")), max_size=30), space=st.sampled_from([None, "LPS", "RAS"])
)
def test_whatever_is_in_a_file_it_is_read_or_refused(tmp_path, suffix, fragments, space):
    path = tmp_path / f"points{suffix}"
    path.write_text("".join(fragments), encoding="utf-8", newline="")
    try:
        landmarks = read_landmarks(path, space=space)
    except InputError as error:
        assert error.remedy
    else:
        assert landmarks.landmarks
        assert np.nanmax(np.abs(landmarks.points_lps), initial=0) <= 10_000


coordinates = st.floats(-9999, 9999)
labels = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=12) | st.sampled_from(
    ['"', '""', '",', "a,b", "#1", " a ", "'", 'é, "右"', "sep=;", "1,5"]
)
lists = st.lists(
    st.builds(Landmark, labels, st.none() | st.tuples(coordinates, coordinates, coordinates), st.booleans()),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("suffix", OUTPUT_LANDMARK_SUFFIXES)
@same_folder
@given(landmarks=lists)
def test_what_is_written_is_read_back_to_the_last_digit(tmp_path, suffix, landmarks):
    path = tmp_path / f"points{suffix}"
    write_landmarks(path, LandmarkList("list", tuple(landmarks)))
    assert read_landmarks(path).landmarks == tuple(landmarks)


def test_what_cannot_be_written(tmp_path):
    landmarks = LandmarkList("list", (Landmark("two\nlines", (1.0, 2.0, 3.0)),))
    for name, what in {"a.txt": "type", "a.json": "type", "a.fcsv": "line break", "a.csv": "line break"}.items():
        with pytest.raises(InputError, match=what):
            write_landmarks(tmp_path / name, landmarks)
    with pytest.raises(InputError, match="no points"):
        write_landmarks(tmp_path / "a.fcsv", LandmarkList("list", ()))
    half = LandmarkList("list", (Landmark("\ud800", (1.0, 2.0, 3.0)),))
    with pytest.raises(InputError, match="half a character"):
        write_landmarks(tmp_path / "a.csv", half)
    assert not list(tmp_path.iterdir())
    write_landmarks(tmp_path / "a.mrk.json", landmarks)
    assert read_landmarks(tmp_path / "a.mrk.json").landmarks == landmarks.landmarks


def test_written_markups_follow_the_schema(tmp_path):
    path = tmp_path / "points.mrk.json"
    write_landmarks(path, LandmarkList("list", AS_SLICER_SHOWS_IT))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["@schema"] == SCHEMA
    markup = content["markups"][0]
    assert (markup["type"], markup["coordinateSystem"], markup["coordinateUnits"]) == ("Fiducial", "LPS", "mm")
    for point in markup["controlPoints"]:
        assert point["positionStatus"] in ("undefined", "preview", "defined")
        position = point.get("position", [0.0, 0.0, 0.0])
        assert len(position) == 3
        assert all(isinstance(value, float) and math.isfinite(value) for value in position)
