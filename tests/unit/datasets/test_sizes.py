"""Image sizes from headers: right, without decoding whole files, and total on broken ones."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dipr1.datasets import formats
from dipr1.datasets.sizes import (
    Header,
    an_example,
    image_headers,
    read_size_table,
    sizes_and_faults,
)
from dipr1.errors import UserError


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (31, 57, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_width_and_height(tmp_path: Path, picture, suffix):
    path = str(tmp_path / f"a.{suffix}")
    picture.save(path)
    assert image_headers([path]) == [((57, 31), 1)]


def coco(folder: Path, width: str, height: str) -> str:
    image = f'{{"id": 1, "file_name": "a.png", "width": {width}, "height": {height}}}'
    text = f'{{"images": [{image}], "annotations": [], "categories": [{{"id": 1, "name": "a"}}]}}'
    return write(folder / "a.json", text)


def crowdhuman(folder: Path, width: str, height: str) -> str:
    sides = f'"width": {width}, "height": {height}'
    return write(folder / "a.odgt", f'{{"ID": "1", "gtboxes": [], {sides}}}\n')


def eurocity(folder: Path, width: str, height: str) -> str:
    text = f'{{"imagewidth": {width}, "imageheight": {height}, "children": []}}'
    return write(folder / "1.json", text)


def citypersons(folder: Path, width: str, height: str) -> str:
    name = folder / "gt" / "bonn" / "bonn_1_gtBboxCityPersons.json"
    write(name, f'{{"imgWidth": {width}, "imgHeight": {height}, "objects": []}}')
    return str(folder / "gt")


def voc(folder: Path, width: str, height: str) -> str:
    sides = f"<width>{plain(width)}</width><height>{plain(height)}</height>"
    write(folder / "1.xml", f"<annotation><size>{sides}</size></annotation>")
    return str(folder)


def mot(folder: Path, width: str, height: str) -> str:
    info = f"[Sequence]\nseqLength=1\nimWidth={plain(width)}\nimHeight={plain(height)}\n"
    write(folder / "A" / "seqinfo.ini", info)
    return write(folder / "A" / "gt" / "gt.txt", "")


def pennfudan(folder: Path, width: str, height: str) -> str:
    text = (
        'Image filename : "set/PNGImages/a.png"\n'
        f"Image size (X x Y x C) : {plain(width)} x {plain(height)} x 3\n"
        "Objects with ground truth : 0\n"
    )
    write(folder / "1.txt", text)
    return str(folder)


def plain(side: str) -> str:
    """A side in a format that knows nothing but text."""
    return side.strip('"')


def write(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return str(path)


WRONG = "its declared size is not two positive whole numbers"
UNKNOWN = "its size is not known: give --images or --sizes"


@pytest.mark.parametrize("layout", [coco, crowdhuman, eurocity, citypersons, voc, mot, pennfudan])
@pytest.mark.parametrize(
    ("width", "height", "meaning"),
    [
        ("100", "80", (100, 80)),
        ("100.0", "80.0", (100, 80)),
        ('"100"', '"80.0"', (100, 80)),
        ("0", "0", UNKNOWN),
        ('"0"', "0.0", UNKNOWN),
        ("100", "0", WRONG),
        ("100.5", "80", WRONG),
        ("-100", "80", WRONG),
        ('"wide"', "80", WRONG),
        ("1e30", "80", WRONG),
    ],
)
def test_every_format_s_sizes_are_judged_in_one_way(tmp_path, layout, width, height, meaning):
    assert judged(layout, tmp_path, width, height) == meaning


@pytest.mark.parametrize(
    ("layout", "side"),
    [(coco, "null"), (crowdhuman, "null"), (eurocity, "null"), (citypersons, "null")]
    + [(voc, ""), (mot, "")],
)
def test_null_and_no_text_declare_nothing(tmp_path, layout, side):
    assert judged(layout, tmp_path, side, side) == UNKNOWN


def judged(layout, folder: Path, width: str, height: str) -> str | tuple[int, int]:
    """What becomes of the only image's declared size."""
    reading = formats.read(layout.__name__, layout(folder, width, height), None)
    sizes, (fault,) = sizes_and_faults(reading, {}, has_files=False)
    return fault or tuple(sizes[0].tolist())


def test_no_paths():
    assert image_headers([]) == []


def test_answers_keep_the_order_of_the_paths(tmp_path: Path):
    paths = []
    for width in range(1, 40):
        paths.append(str(tmp_path / f"{width}.png"))
        Image.new("L", (width, 2)).save(paths[-1])
    assert image_headers(paths) == [((width, 2), 1) for width in range(1, 40)]


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_size_is_that_of_the_picture_as_it_is_seen(
    tmp_path: Path, picture, orientation, suffix, decode
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = str(tmp_path / f"turned.{suffix}")
    picture.save(path, exif=exif)
    (header,) = image_headers([path], decode=decode)
    assert header.size == ((31, 57) if orientation == 6 else (57, 31))
    if suffix != "tif":  # which Pillow turns whatever it is told
        assert image_headers([path], "ignore", decode=decode) == [Header((57, 31), orientation)]


@pytest.mark.parametrize("decode", [False, True])
def test_exif_after_the_pixels_of_a_png_counts(tmp_path: Path, picture, decode):
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[0x0112] = 6
    picture.save(path)
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + content
    chunk = len(content).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    written = path.read_bytes()
    path.write_bytes(written[:-12] + chunk + written[-12:])
    assert image_headers([str(path)], decode=decode) == [Header((31, 57), 6)]


def test_pixels_of_no_known_range_are_refused(tmp_path: Path):
    path = str(tmp_path / "a.tif")
    Image.new("F", (4, 3)).save(path)
    assert image_headers([path]) == ["image file has pixels without a known range (mode F)"]


def test_what_is_broken_inside_is_found_by_decoding(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.effect_noise((64, 64), 90).save(path)
    written = path.read_bytes()
    path.write_bytes(written[: len(written) // 2] + written[-12:])
    assert image_headers([str(path)]) == [Header((64, 64), 1)]
    (reason,) = image_headers([str(path)], decode=True)
    assert isinstance(reason, str) and reason.startswith("image file is broken: ")


@pytest.mark.parametrize("how", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_jpeg_that_was_cut_and_closed_again_is_broken(tmp_path: Path, how, mode, kept):
    path = tmp_path / "a.jpg"
    Image.effect_noise((200, 150), 90).convert(mode).save(path, **how)
    written = path.read_bytes()
    begin = written.rindex(b"\xff\xda") + 20
    content = written[: begin + int(kept * (len(written) - begin))].rstrip(b"\xff")
    path.write_bytes(content + b"\xff\xd9")
    assert image_headers([str(path)], decode=True) == [
        "image file is broken: it ends early, though with the mark of its end"
    ]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("how", [{}, {"progressive": True}])
def test_a_jpeg_that_is_gray_at_its_end_is_whole(tmp_path: Path, how, mode):
    path = tmp_path / "a.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    pixels[30:] = 128
    Image.fromarray(pixels).convert(mode).save(path, **how)
    assert image_headers([str(path)], decode=True) == [Header((90, 60), 1)]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_truncated_file_is_broken(tmp_path: Path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    picture.save(path)
    path.write_bytes(path.read_bytes()[:-400])
    (reason,) = image_headers([str(path)])
    assert isinstance(reason, str) and reason.startswith("image file is broken: ")
    assert str(tmp_path) not in reason


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_something_appended_is_no_fault(tmp_path: Path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    picture.save(path)
    path.write_bytes(path.read_bytes() + b"appended by a camera")
    assert image_headers([str(path)]) == [((57, 31), 1)]


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"no image at all" * 10])
def test_a_file_that_is_no_image_is_broken(tmp_path: Path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    (reason,) = image_headers([str(path)])
    assert isinstance(reason, str) and reason.startswith("image file is broken: ")
    assert str(tmp_path) not in reason


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path):
    folder, missing = image_headers([str(tmp_path), str(tmp_path / "missing.jpg")])
    assert folder.startswith("image file is broken: ")
    assert missing == "image file is missing"


@pytest.mark.parametrize(
    ("missing", "there"),
    [
        ("train/a.jpg", "a.jpg"),  # a folder too much
        ("a.jpeg", "a.jpg"),
        ("B.PNG", None),
    ],
)
def test_a_missing_file_is_shown_beside_the_most_similar_name(tmp_path: Path, missing, there):
    for name in ("a.jpg", ".a.jpg", "sub/other.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    hint = f"; there is {tmp_path / there}" if there else ""
    paths = [str(tmp_path / missing), "another.jpg"]
    assert an_example(paths, str(tmp_path)) == f", for example {paths[0]}{hint}"


def test_a_parquet_table_of_sizes(tmp_path: Path):
    path = tmp_path / "sizes.parquet"
    pq.write_table(pa.table({"image_id": [7, 8], "height": [30, 31], "width": [40.0, 41.0]}), path)
    assert read_size_table(str(path)) == {"7": (40, 30), "8": (41, 31)}


def test_ids_of_a_csv_stay_text(tmp_path: Path):
    path = tmp_path / "sizes.csv"
    path.write_text('width,image_id,height\n40,0012,30\n41,"a,b",31\n')
    assert read_size_table(str(path)) == {"0012": (40, 30), "a,b": (41, 31)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "expected a table of sizes named .json, .csv or .parquet but got '.txt'"),
        ("a.json", "[]", r"expected \{id: \[height, width\]\} but got list"),
        ("a.json", '{"x": [1, 2, 3]}', r"x: expected \[height, width\] or an object"),
        ("a.json", '{"x": [0, 2]}', "x: expected a positive width and height but got 2 and 0"),
        ("a.json", '{"x": [1.5, 2]}', "x: expected a positive width and height"),
        ("a.json", '{"x": {"width": 3}}', "x: expected a positive width and height"),
        ("a.json", "{", "not JSON"),
        ("a.csv", "image_id,w,h\nx,1,2\n", "expected the columns image_id, width, height but got"),
        ("a.csv", "", "not a table of sizes"),
        ("a.csv", "image_id,width,height\nx,1,2\nx,2,2\n", "x: has two different sizes"),
        ("a.csv", "image_id,width,height\nx,,2\n", "x: expected a positive width and height"),
        ("a.parquet", "no Parquet", "not a table of sizes"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_size_table(str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.parquet"])
def test_a_table_that_is_not_there(tmp_path: Path, name):
    with pytest.raises(UserError, match="no such file; give the table of sizes"):
        read_size_table(str(tmp_path / name))
