"""The CrowdHuman reader: every trap of the format, and the fast way equal to the careful one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from dipr1.datasets.formats import crowdhuman
from dipr1.datasets.formats.crowdhuman import read
from dipr1.datasets.reading import Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import QUARTERS, Layout, Scene, Thing, lines
from tests.unit.readings import boxes_of, rejects

CLEAN = [
    # The order of the keys differs between records, and the ID has a comma in it.
    '{"ID": "273271,c9db000d5146c15", "gtboxes": ['
    '{"fbox": [72, 202, 160, 500], "tag": "person", "hbox": [171, 208, 62, 83],'
    ' "extra": {"box_id": 0, "occ": 0}, "vbox": [72, 202, 80, 250],'
    ' "head_attr": {"ignore": 0, "occ": 0, "unsure": 0}},'
    '{"tag": "mask", "hbox": [220, 352, 27, 20], "head_attr": {}, "fbox": [220, 352, 27, 20],'
    ' "vbox": [220, 352, 27, 20], "extra": {"ignore": 1}}]}',
    '{"gtboxes": ['
    # The full body reaches outside the image; the head is not judged, which is not the body's.
    '{"tag": "person", "hbox": [0, 0, 20, 30], "head_attr": {"ignore": 1, "occ": 0, "unsure": 0},'
    ' "fbox": [-120, -40, 300, 900], "vbox": [0, 0, 180, 700], "extra": {"box_id": 0, "occ": 1}},'
    # A person to be ignored; the visible part is larger than the whole.
    '{"tag": "person", "hbox": [5, 6, 7, 8], "head_attr": {"ignore": 0}, "fbox": [5, 6, 10, 20],'
    ' "vbox": [4, 5, 12, 22], "extra": {"ignore": 1, "box_id": 1, "occ": 1}}], "ID": "a,b"}',
    "",
    '{"ID": "no one", "gtboxes": [], "width": 100, "height": 80}',
]


@pytest.fixture
def write(tmp_path: Path):
    def write_lines(lines: list[str], name: str = "a.odgt") -> str:
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return str(tmp_path / name)

    return write_lines


def carefully(path: str, monkeypatch, **options: str) -> Reading:
    """The file read line by line."""
    with monkeypatch.context() as patch:
        patch.setattr(crowdhuman, "_columns", lambda block, box: None)
        return read(path, **options)


def same(a: Reading, b: Reading) -> bool:
    columns = zip(a.boxes(), b.boxes(), strict=True)
    return (
        a.images == b.images
        and a.rejected_images == b.rejected_images
        and a.rejected_boxes == b.rejected_boxes
        and all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in columns)
    )


def with_values(**values: object) -> str:
    """A line with one person, some of whose values are replaced."""
    entry = {
        "tag": "person",
        "fbox": [1, 2, 30, 40],
        "vbox": [1, 2, 15, 40],
        "hbox": [5, 2, 6, 7],
        "extra": {"box_id": 0},
        "head_attr": {"ignore": 0},
    }
    entry |= values
    kept = {key: value for key, value in entry.items() if value != "absent"}
    return json.dumps({"ID": "x", "gtboxes": [kept]})


def test_full_boxes_are_xywh_of_fbox_even_outside_the_image(write):
    assert boxes_of(read(write(CLEAN))) == [
        ("273271,c9db000d5146c15", (72, 202, 232, 702), "person", False, 0.25),
        ("273271,c9db000d5146c15", (220, 352, 247, 372), "person", True, None),
        ("a,b", (-120, -40, 180, 860), "person", False, 0.4667),
        ("a,b", (5, 6, 15, 26), "person", True, 1.0),
    ]


def test_visible_boxes_are_vbox_with_the_same_flags(write):
    rows = boxes_of(read(write(CLEAN), box="visible"))
    assert [row.box for row in rows] == [
        (72, 202, 152, 452),
        (220, 352, 247, 372),
        (0, 0, 180, 700),
        (4, 5, 16, 27),
    ]
    assert [row.ignore for row in rows] == [False, True, False, True]


def test_heads_are_hbox_and_their_own_ignore_counts(write):
    rows = boxes_of(read(write(CLEAN), box="head"))
    assert [row.box for row in rows][2:] == [(0, 0, 20, 30), (5, 6, 12, 14)]
    assert [row.ignore for row in rows] == [False, True, True, True]
    assert {row.label for row in rows} == {"head"}


def test_images_are_named_by_the_id_and_may_be_empty(write):
    reading = read(write(CLEAN), "Images")
    assert [
        (image.image_id, image.image, image.size, image.record) for image in reading.images
    ] == [
        ("273271,c9db000d5146c15", "Images/273271,c9db000d5146c15.jpg", None, "line 1"),
        ("a,b", "Images/a,b.jpg", None, "line 2"),
        ("no one", "Images/no one.jpg", (100, 80), "line 4"),
    ]


@pytest.mark.parametrize("box", ["full", "visible", "head"])
def test_the_fast_way_is_taken_for_clean_lines_and_gives_the_same(write, monkeypatch, box):
    path = write(CLEAN)
    slowly = carefully(path, monkeypatch, box=box)
    monkeypatch.setattr(crowdhuman, "_add_lines", None)  # would raise where it is called
    blocks = [(block, columns) for block, columns in crowdhuman._parsed(path, box) if columns]
    assert len(blocks) == 1
    monkeypatch.undo()
    assert same(read(path, box=box), slowly)


@pytest.mark.parametrize("width", ["640", "640.0", '"640"', "null"])
def test_sizes_are_taken_where_records_have_them(write, monkeypatch, width):
    path = write([f'{{"ID": "a", "gtboxes": [], "width": {width}, "height": 480}}', CLEAN[0]])
    assert same(read(path), carefully(path, monkeypatch))
    assert [image.size for image in read(path).images] == [(json.loads(width), 480), None]


def test_blocks_that_end_in_the_middle_of_a_line_change_nothing(write, monkeypatch):
    path = write(CLEAN * 3)
    whole = read(path)
    monkeypatch.setattr(crowdhuman, "_BLOCK_BYTES", 100)
    assert same(read(path), whole)
    assert rejects(read(path)) == rejects(whole)


def test_a_decimal_is_read_like_an_integer(write, monkeypatch):
    path = write([with_values(fbox=[1.5, 2, 30.25, 40]), with_values(ID=2)])
    assert boxes_of(read(path))[0].box == (1.5, 2, 31.75, 42)
    assert same(read(path), carefully(path, monkeypatch))


NOT_FOUR = "fbox is not four numbers [x, y, width, height]"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"fbox": [1, 2, 3]}, NOT_FOUR),
        ({"fbox": [1, 2, 3, 4, 5]}, NOT_FOUR),
        ({"fbox": [1, 2, None, 4]}, NOT_FOUR),
        ({"fbox": ["1", 2, 3, 4]}, NOT_FOUR),
        ({"fbox": [True, 2, 3, 4]}, NOT_FOUR),
        ({"fbox": {"x": 1}}, NOT_FOUR),
        ({"fbox": None}, NOT_FOUR),
        ({"fbox": "absent"}, NOT_FOUR),
        ({"fbox": [1, 2, 0, 4]}, "bbox has no area"),
        ({"fbox": [1, 2, 3, -4]}, "bbox has no area"),
        ({"fbox": [1, 2, float("nan"), 4]}, "bbox is not finite or absurdly large"),
        ({"fbox": [1, 2, float("inf"), 4]}, "bbox is not finite or absurdly large"),
        ({"fbox": [1, 2, 1e300, 4]}, "bbox is not finite or absurdly large"),
        ({"fbox": [1, 2, 10**400, 4]}, "bbox is not finite or absurdly large"),
        ({"fbox": [2000, 2, 3, 4]}, "bbox lies outside its image"),
        ({"tag": "crowd"}, "tag is neither person nor mask"),
        ({"tag": "absent"}, "tag is neither person nor mask"),
        ({"tag": ["person"]}, "tag is neither person nor mask"),
        ({"extra": {"ignore": 2}}, "extra.ignore is neither 0 nor 1"),
        ({"extra": {"ignore": "yes"}}, "extra.ignore is neither 0 nor 1"),
        ({"extra": 1}, "extra is no object"),
    ],
)
def test_a_bad_box_is_rejected_as_it_was_and_the_others_are_kept(
    write, monkeypatch, values, reason
):
    line = with_values(**values)
    path = write([CLEAN[0], line, CLEAN[1]])
    reading = read(path)
    expected = json.dumps(json.loads(line)["gtboxes"][0])
    assert rejects(reading) == [("a.odgt", "line 2, gtboxes[0]", reason, expected)]
    assert len(reading.images) == 3
    assert same(reading, carefully(path, monkeypatch))


@pytest.mark.parametrize(
    ("values", "ignore", "visibility"),
    [
        ({"extra": "absent"}, False, 0.5),
        ({"extra": None}, False, 0.5),
        ({"extra": {"ignore": None}}, False, 0.5),
        ({"extra": {"ignore": True}}, True, 0.5),
        ({"extra": {"ignore": 1.0}}, True, 0.5),
        ({"head_attr": {"ignore": "odd"}}, False, 0.5),  # not asked for
        ({"vbox": "absent"}, False, None),
        ({"vbox": [1, 2, 3]}, False, None),
        ({"vbox": [1, 2, -3, 4]}, False, None),
        ({"vbox": [1, 2, 0, 0]}, False, 0.0),
    ],
)
def test_what_is_odd_but_no_fault(write, monkeypatch, values, ignore, visibility):
    path = write([with_values(**values)])
    (row,) = boxes_of(read(path))
    assert (row.ignore, row.visibility) == (ignore, visibility)
    assert same(read(path), carefully(path, monkeypatch))


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        (CLEAN[0][:200], ["not JSON"]),
        ("[1, 2]", ["not an object"]),
        (CLEAN[3] + CLEAN[3], ["not JSON"]),
        ('{"ID": "y"}', ["gtboxes is missing or no list"]),
        ('{"ID": "y", "gtboxes": null}', ["gtboxes is missing or no list"]),
        ('{"ID": 7, "gtboxes": [1]}', ["ID is missing or no text", "its image is rejected"]),
        ('{"ID": "", "gtboxes": []}', ["ID is missing or no text"]),
        ('{"ID": "y", "gtboxes": [7, null]}', ["not an object", "not an object"]),
        ('{"ID": "no one", "gtboxes": []}', ["its id is listed twice"]),
        ('{"ID": "\\ud800", "gtboxes": []}', ["its id or file name is no valid text"]),
        ("[" * 100_000, ["not JSON"]),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason(write, monkeypatch, line, faults):
    path = write([CLEAN[3], line, CLEAN[0]])
    reading = read(path)
    assert [reason for _, _, reason, _ in rejects(reading)] == faults
    assert {record.split(",")[0] for _, record, _, _ in rejects(reading)} == {"line 2"}
    assert len(boxes_of(reading)) == 2
    assert same(reading, carefully(path, monkeypatch))


def test_a_duplicate_image_takes_its_boxes_with_it(write):
    reading = read(write([CLEAN[0], CLEAN[0]]))
    assert [row[1:3] for row in rejects(reading)] == [
        ("line 2", "its id is listed twice"),
        ("line 2, gtboxes[0]", "its image is rejected"),
        ("line 2, gtboxes[1]", "its image is rejected"),
    ]


def test_bytes_that_are_no_text_reject_their_line_alone(tmp_path):
    path = tmp_path / "a.odgt"
    path.write_bytes(CLEAN[0].encode().replace(b"person", b"per\xffon") + b"\n" + CLEAN[1].encode())
    reading = read(str(path))
    assert [row[1:3] for row in rejects(reading)] == [("line 1", "not JSON")]
    assert len(boxes_of(reading)) == 2


def test_a_byte_order_mark_carriage_returns_and_no_last_newline(tmp_path, write):
    path = tmp_path / "b.odgt"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(CLEAN).encode())
    reading = read(str(path))
    assert boxes_of(reading) == boxes_of(read(write(CLEAN)))
    assert reading.images[2].record == "line 4"


@pytest.mark.parametrize("content", ["", "\n\n", "ID,boxes\n1,2\n", '{"images": []}'])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "a.odgt"
    path.write_text(content)
    with pytest.raises(UserError, match="no line is a CrowdHuman record") as caught:
        read(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read(str(tmp_path / "missing.odgt"))
    with pytest.raises(UserError, match="cannot be read"):
        read(str(tmp_path))


def test_mutated_lines_are_read_alike_the_fast_way_and_the_careful_one(tmp_path, monkeypatch):
    """Arrow's JSON and Python's differ in what they let pass; what is kept may not."""
    rng = random.Random(0)
    path = tmp_path / "a.odgt"
    num_fast = 0
    for _ in range(150):
        content = bytearray("\n".join(CLEAN * 2).encode())
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(content))
            content[at : at + rng.randrange(3)] = rng.choice(
                [b"", b"0", b"-", b".", b"e9", b'"', b"null", b"[", b"}", b" ", b"\t", b"1"]
            )
        path.write_bytes(bytes(content))
        num_fast += any(columns is not None for _, columns in crowdhuman._parsed(str(path), "full"))
        try:
            slowly = carefully(str(path), monkeypatch)
        except UserError:
            continue
        assert same(read(str(path)), slowly)
    assert num_fast > 10


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    def entry(thing: Thing) -> dict:
        tag = "mask" if thing.ignore else "person"
        boxes = {"fbox": thing.xywh, "vbox": thing.seen, "hbox": thing.xywh}
        return {"tag": tag, **boxes, "extra": {"ignore": int(thing.ignore)}, "head_attr": {}}

    rows = [
        json.dumps({"ID": name, "gtboxes": [entry(thing) for thing in things]})
        for name, things in scene.items()
    ]
    lines(folder / "train.odgt", rows)
    return str(folder / "train.odgt"), None


LAYOUTS = [
    Layout(
        write_scene,
        ignored=["person"],
        visibility=QUARTERS,
        unit=4,
        name=lambda number: f"{273271 + number},1a0d6000b9e1f5b7",
    )
]
