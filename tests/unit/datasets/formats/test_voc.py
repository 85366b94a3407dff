"""The PASCAL VOC reader on annotation files written by hand."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from dipr1.datasets.formats.voc import read
from dipr1.datasets.reading import Reading
from dipr1.datasets.sizes import sizes_and_faults
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import Layout, Scene, Thing, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

FOLDER = FIXTURES / "voc"


@pytest.fixture
def reading() -> Reading:
    return read(str(FOLDER), "JPEGImages")


def test_boxes_count_from_1_with_both_ends_inside(reading):
    assert boxes_of(reading)[0] == ("2007_000001", (0, 0, 349, 351), "person", False, None)
    one_pixel = boxes_of(reading)[2]
    assert one_pixel.box == (4, 5, 5, 6)


def test_sides_may_stand_in_any_order_and_have_decimals_and_difficult_is_ignored(reading):
    assert boxes_of(reading)[1] == ("2007_000001", (99.5, 299, 200, 400.25), "chair", True, None)


def test_parts_of_an_object_are_no_objects_and_lend_it_no_box(reading):
    assert "head" not in reading.labels
    assert [row[1] for row in rejects(reading)].count("object 4") == 1


def test_names_are_taken_without_windows_folders_and_a_size_of_0_is_unknown(reading):
    image = reading.images[reading.index["empty"]]
    assert image.image == "JPEGImages/empty.png"
    sizes, faults = sizes_and_faults(reading, {"empty": (7, 8)}, has_files=False)
    assert dict(zip(reading.index, sizes.tolist(), strict=True)) == {
        "2007_000001": [486, 500],
        "empty": [7, 8],
        "wrong_size": [0, 0],
    }
    assert faults == [None, None, "its declared size is not two positive whole numbers"]


def test_a_bad_file_spoils_its_image_only_and_entities_are_not_expanded(reading):
    assert image_ids(reading) == ["2007_000001", "empty", "wrong_size"]
    assert {(reject.record, reject.reason) for reject in reading.rejected_images} == {
        ("bomb.xml", "its file declares XML entities"),
        ("cut.xml", "its file is not XML"),
        ("other.xml", "its file is no annotation"),
    }


def document(encoding: str, label: str) -> str:
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><annotation><object><name>{label}</name>'
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax></bndbox></object>"
        "</annotation>"
    )


@pytest.mark.parametrize(
    ("declared", "written", "label"),
    [
        ("GBK", "gbk", "行人"),
        ("gb2312", "gbk", "行人朱镕基"),  # the fourth letter is not in GB 2312
        ("GB18030", "gb18030", "行人㐀"),
        ("Big5", "big5", "行人"),
        ("Shift_JIS", "shift_jis", "歩行者"),
        ("EUC-KR", "euc-kr", "보행자"),
        ("windows-1251", "cp1251", "пешеход"),
        ("ISO-8859-1", "latin-1", "piéton"),
        ("utf-8", "utf-8-sig", "行人"),
        ("gbk", "utf-8-sig", "行人"),  # the mark tells more than the declaration
        ("utf-16", "utf-16", "行人"),
        ("utf-16", "utf-16-be", "行人"),
        ("utf-16", "utf-8", "行人"),  # .NET writes it so
        ("utf-32", "utf-32", "行人"),
    ],
)
def test_encodings(tmp_path: Path, declared, written, label):
    (tmp_path / "a.xml").write_bytes(document(declared, label).encode(written))
    assert boxes_of(read(str(tmp_path))) == [("a", (0, 0, 2, 3), label, False, None)]


@pytest.mark.parametrize(
    ("declared", "written", "reason"),
    [
        ("no-such", "utf-8", "its file has an unknown encoding, no-such"),
        ("hex", "utf-8", "its file has an unknown encoding, hex"),
        ("utf-8", "gbk", "its file is not written in utf-8"),
        ("ascii", "gbk", "its file is not written in ascii"),
    ],
)
def test_an_encoding_that_is_none_spoils_its_image_only(tmp_path: Path, declared, written, reason):
    (tmp_path / "a.xml").write_bytes(document(declared, "行人").encode(written))
    (tmp_path / "b.xml").write_text(document("ascii", "person"))
    reading = read(str(tmp_path))
    assert [reject[:3] for reject in reading.rejected_images] == [
        (str(tmp_path / "a.xml"), "a.xml", reason)
    ]
    assert image_ids(reading) == ["b"]


def test_bad_objects_are_rejected_with_place_reason_and_text(reading):
    rows = [row for row in rejects(reading, size=(486, 500)) if row[1].startswith("object")]
    assert [row[:3] for row in rows] == [
        ("2007_000001.xml", "object 4", "bndbox is not xmin, ymin, xmax, ymax"),
        ("2007_000001.xml", "object 5", "no name"),
        ("2007_000001.xml", "object 6", "difficult is neither 0 nor 1"),
        ("2007_000001.xml", "object 7", "bbox lies outside its image"),
    ]
    assert "<difficult>maybe</difficult>" in rows[2][3]
    assert "<xmin>900</xmin>" in rows[3][3]


def test_copies_in_folders_below_are_not_read(tmp_path: Path, capsys):
    (tmp_path / "backup").mkdir()
    for name in ("a.xml", "backup/a.xml", "backup/b.xml"):
        (tmp_path / name).write_text(f"<annotation><filename>{name}.jpg</filename></annotation>")
    assert image_ids(read(str(tmp_path))) == ["a"]
    assert "2 files in folders below it are not read" in capsys.readouterr().err
    (tmp_path / "a.xml").unlink()
    assert image_ids(read(str(tmp_path))) == ["backup/a", "backup/b"]
    assert capsys.readouterr().err == ""


def test_a_folder_without_xml_files_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.xml file in this folder"):
        read(str(tmp_path))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    def element(thing: Thing) -> str:
        x1, y1, x2, y2 = thing.xyxy
        sides = zip(("xmax", "xmin", "ymax", "ymin"), (x2, x1 + 1, y2, y1 + 1), strict=True)
        box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        return (
            f"<object><name>{escape(thing.label)}</name><difficult>{int(thing.ignore)}</difficult>"
            f"<bndbox>{box}</bndbox></object>"
        )

    for name, things in scene.items():
        objects = "".join(map(element, things))
        text = f"<annotation><filename>{name}.jpg</filename>{objects}</annotation>"
        lines(folder / f"{name}.xml", [text])
    return str(folder), None


LAYOUTS = [Layout(write_scene, ["person", "R&D <robot>"], ["chair"], unit=0.25)]
