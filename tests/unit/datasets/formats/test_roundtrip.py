"""Every format: random annotations, written as the data set's makers write them, are read back."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
import pytest
from scipy.io import savemat

from dipr1.datasets.formats import READERS, eurocity, kitti, mot, uavdt, visdrone, wider
from dipr1.datasets.reading import ANY_LABEL
from dipr1.errors import UserError
from tests.unit.readings import Found, found, rejects

SEEDS = range(5)
WIDTH, HEIGHT = 1600, 1200


class Thing(NamedTuple):
    """A box as [x, y, width, height], and what it is."""

    xywh: tuple[float, float, float, float]
    label: str
    ignore: bool
    visibility: float | None

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        x, y, width, height = self.xywh
        return x, y, x + width, y + height

    @property
    def seen(self) -> tuple[float, float, float, float]:
        """The visible part: as much of the top as the visibility says."""
        x, y, width, height = self.xywh
        return x, y, width, height * (1.0 if self.visibility is None else self.visibility)


Scene = dict[str, list[Thing]]  # image id -> its boxes; some have none


@dataclass
class Layout:
    """How a format is written, and what it can say.

    Attributes:
        write: (folder, scene) -> annotations and images as the reader takes them.
        labels: of boxes that count.
        ignored: labels of boxes that are to be ignored.
        visibility: values that the format can hold for boxes that count.
        ignored_visibility: and for ignored ones.
        unit: coordinates are multiples of it.
        name: image id of the n-th image.
    """

    write: Callable[[Path, Scene], tuple[str, str | None]]
    labels: Sequence[str] = ("person",)
    ignored: Sequence[str] = ()
    visibility: Sequence[float | None] = (None,)
    ignored_visibility: Sequence[float | None] = (None,)
    unit: float = 1.0
    name: Callable[[int], str] = field(default=lambda number: f"{number:06d}")

    def scene(self, seed: int) -> Scene:
        """Pictures with 0 to 12 boxes each."""
        rng = random.Random(seed)
        return {
            self.name(number): [self._thing(rng) for _ in range(rng.choice((0, 1, 3, 12)))]
            for number in range(1, 9)
        }

    def _thing(self, rng: random.Random) -> Thing:
        steps = [round(side / self.unit) for side in (WIDTH, HEIGHT)]
        left, right, top, bottom = (
            value * self.unit
            for steps_of_side in steps
            for value in sorted(rng.sample(range(steps_of_side), 2))
        )
        ignore = bool(self.ignored) and rng.random() < 0.3
        return Thing(
            (left, top, right - left, bottom - top),
            rng.choice(self.ignored if ignore else self.labels),
            ignore,
            rng.choice(self.ignored_visibility if ignore else self.visibility),
        )


def lines(path: Path, rows: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def joined(separator: str, *values: object) -> str:
    return separator.join(map(str, values))


def write_kitti(folder: Path, scene: Scene) -> tuple[str, str | None]:
    def row(thing: Thing) -> str:
        if thing.ignore:
            return joined(" ", "DontCare -1 -1 -10", *thing.xyxy, "-1 -1 -1 -1000 -1000 -1000 -10")
        return joined(" ", thing.label, "0.00 0 -0.2", *thing.xyxy, "1.9 0.5 1.2 1.8 1.5 8.4 0.01")

    for name, things in scene.items():
        lines(folder / f"{name}.txt", [row(thing) for thing in things])
    return str(folder), None


def write_visdrone(folder: Path, scene: Scene) -> tuple[str, str | None]:
    names = (ANY_LABEL, *visdrone.LABELS)
    for name, things in scene.items():
        rows = [
            joined(
                ",", *map(int, thing.xywh), int(not thing.ignore), names.index(thing.label), 0, 1
            )
            for thing in things
        ]
        comma = "," if len(rows) % 2 else ""
        lines(folder / f"{name}.txt", [row + comma for row in rows])
    return str(folder), None


def write_uavdt(folder: Path, scene: Scene) -> tuple[str, str | None]:
    files: dict[str, list[str]] = {}
    for name, things in scene.items():
        sequence, frame = name.split("/img")
        (folder / "images" / sequence).mkdir(parents=True, exist_ok=True)
        (folder / "images" / f"{name}.jpg").touch()
        rows = {
            kind: files.setdefault(f"{sequence}_{kind}", []) for kind in ("gt_whole", "gt_ignore")
        }
        for number, thing in enumerate(things):
            place = joined(",", int(frame), number, *map(int, thing.xywh))
            if thing.ignore:
                rows["gt_ignore"].append(f"{place},1,-1,-1")
            else:
                category = uavdt.LABELS.index(thing.label) + 1
                rows["gt_whole"].append(f"{place},2,3,{category}")
    for name, rows in files.items():
        lines(folder / "GT" / f"{name}.txt", rows)
    return str(folder / "GT"), str(folder / "images")


def write_mot(folder: Path, scene: Scene) -> tuple[str, str | None]:
    numbers = {label: number for number, label in mot._CLASSES.items()}
    rows = []
    for name, things in scene.items():
        for number, (x, y, width, height) in enumerate(thing.xywh for thing in things):
            thing = things[number]
            place = joined(",", int(name.split("/")[1]), number, x + 1, y + 1, width, height)
            rows.append(
                joined(",", place, int(not thing.ignore), numbers[thing.label], thing.visibility)
            )
    lines(folder / "MOT20-01" / "gt" / "gt.txt", rows)
    info = {"imDir": "img1", "seqLength": len(scene), "imWidth": WIDTH, "imHeight": HEIGHT}
    pairs = [f"{key}={value}" for key, value in info.items()]
    lines(folder / "MOT20-01" / "seqinfo.ini", ["[Sequence]", *pairs])
    return str(folder), None


def write_pennfudan(folder: Path, scene: Scene) -> tuple[str, str | None]:
    for name, things in scene.items():
        boxes = [
            f'Bounding box for object {number} "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax) :'
            " ({}, {}) - ({}, {})".format(*map(int, (x + 1, y + 1, x + width, y + height)))
            for number, (x, y, width, height) in enumerate((t.xywh for t in things), start=1)
        ]
        head = [
            f'Image filename : "PennFudanPed/PNGImages/{name}.png"',
            f"Image size (X x Y x C) : {WIDTH} x {HEIGHT} x 3",
            f"Objects with ground truth : {len(things)} {{ }}",
        ]
        lines(folder / f"{name}.txt", head + boxes)
    return str(folder), None


def write_voc(folder: Path, scene: Scene) -> tuple[str, str | None]:
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


def write_wider(folder: Path, scene: Scene) -> tuple[str, str | None]:
    rows, ignored = [], []
    for name, things in scene.items():
        words: list[object] = [name]
        for thing in things:
            if not thing.ignore:
                words += [wider.LABELS.index(thing.label) + 1, *map(int, thing.xywh)]
        rows.append(joined(" ", *words))
        regions = [int(value) for thing in things if thing.ignore for value in thing.xywh]
        if regions:
            ignored.append(joined(" ", name, *regions))
    lines(folder / "val_annotations.txt", rows)
    lines(folder / "pedestrian_ignore_part_val.txt", ignored)
    return str(folder / "val_annotations.txt"), None


def write_eurocity(folder: Path, scene: Scene) -> tuple[str, str | None]:
    groups = {label: group for group, label in eurocity._GROUPS.items()}

    def child(thing: Thing) -> dict:
        identity, tags = thing.label, []
        if thing.ignore:
            identity = groups[thing.label]
        elif thing.visibility is not None and thing.visibility < 1:
            tags = [f"occluded>{round(100 - 100 * thing.visibility)}"]
        corners = dict(zip(("x0", "y0", "x1", "y1"), thing.xyxy, strict=True))
        return {"identity": identity, "tags": tags, "children": [], **corners}

    for name, things in scene.items():
        children = [child(thing) for thing in things]
        while len(children) > 5:  # a rider's vehicle is a child of the rider
            children[0]["children"].append(children.pop())
        frame = {"identity": "frame", "imagewidth": WIDTH, "imageheight": HEIGHT}
        lines(folder / f"{name}.json", [json.dumps({**frame, "children": children})])
    return str(folder), None


def coco_document(scene: Scene, labels: Sequence[str], file_name: str, boxes: Callable) -> dict:
    return {
        "images": [{"id": name, file_name: f"{name}.jpg"} for name in scene],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels)],
        "annotations": [
            {
                "image_id": name,
                "category_id": labels.index(thing.label),
                "bbox": thing.xywh,
                "ignore": int(thing.ignore),
                **boxes(thing),
            }
            for name, things in scene.items()
            for thing in things
        ],
    }


def write_coco(folder: Path, scene: Scene) -> tuple[str, str | None]:
    def visibility(thing: Thing) -> dict:
        return {"visibility": thing.visibility}

    document = coco_document(scene, ["person", "rider"], "file_name", visibility)
    lines(folder / "coco.json", [json.dumps(document)])
    return str(folder / "coco.json"), None


def write_caltech_json(folder: Path, scene: Scene) -> tuple[str, str | None]:
    document = coco_document(scene, ["person"], "im_name", lambda thing: {"vis_bbox": thing.seen})
    lines(folder / "train.json", [json.dumps(document)])
    return str(folder / "train.json"), None


def cells(values: Sequence[object]) -> np.ndarray:
    row = np.empty((1, len(values)), object)
    row[0, :] = values
    return row


def write_vbb(folder: Path, scene: Scene) -> tuple[str, str | None]:
    labels = ["person", "people", "person?", "person-fa"]
    by_frame = {int(name.rpartition("I")[2]): things for name, things in scene.items()}
    fields = ("id", "pos", "occl", "lock", "posv")
    frames = []
    for frame in range(max(by_frame) + 1):
        things = by_frame.get(frame, [])
        content = np.empty((1, len(things)), [(name, object) for name in fields])
        for position, thing in enumerate(things):
            label = labels.index("people" if thing.ignore else thing.label) + 1
            hidden = thing.visibility != 1
            offset = np.array([1, 1, 0, 0])
            seen = np.add(thing.seen, offset) if hidden else np.zeros(4)
            values = (label, np.add(thing.xywh, offset), int(hidden), 0, seen)
            content[0, position] = tuple(np.atleast_2d(value) for value in values)
        frames.append(content if things else np.zeros((0, 0)))
    for name in scene:
        path = folder / "images" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    annotation = {"nFrame": len(frames), "objLists": cells(frames), "objLbl": cells(labels)}
    (folder / "set00").mkdir(parents=True)
    with (folder / "set00" / "V000.vbb").open("wb") as file:
        savemat(file, {"A": annotation, "vers": 1.4})
    return str(folder), str(folder / "images")


def write_crowdhuman(folder: Path, scene: Scene) -> tuple[str, str | None]:
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


def write_citypersons(folder: Path, scene: Scene) -> tuple[str, str | None]:
    classes = {"pedestrian": 1, "rider": 2, "sitting person": 3, "person (other)": 4}
    images = []
    for name, things in scene.items():
        rows = [
            [0 if thing.ignore else classes[thing.label], *thing.xywh, 24000, *thing.seen]
            for thing in things
        ]
        boxes = np.array(rows, np.uint16) if rows else np.zeros((0, 10), np.uint8)
        name = f"{name}_leftImg8bit.png"
        images.append({"cityname": name.partition("_")[0], "im_name": name, "bbs": boxes})
    folder.mkdir(parents=True)
    savemat(folder / "anno_val.mat", {"anno_val_aligned": cells(images)})
    return str(folder / "anno_val.mat"), None


QUARTERS = (0.25, 0.5, 0.75, 1.0)
LAYOUTS = {
    "caltech": Layout(
        write_caltech_json,
        ignored=["person"],
        visibility=QUARTERS,
        ignored_visibility=QUARTERS,
        unit=4,
    ),
    "caltech vbb": Layout(
        write_vbb,
        ["person", "person-fa"],
        ["person"],
        visibility=QUARTERS,
        ignored_visibility=[1.0],
        unit=0.5,
        name=lambda number: f"set00/V000/I{30 * number - 1:05d}",
    ),
    "citypersons": Layout(
        write_citypersons,
        ["pedestrian", "rider", "sitting person", "person (other)"],
        [ANY_LABEL],
        visibility=QUARTERS,
        unit=4,
        name=lambda number: f"frankfurt_000000_{number:06d}",
    ),
    "coco": Layout(
        write_coco,
        ["person", "rider"],
        ["person", "rider"],
        visibility=[None, *QUARTERS],
        unit=0.25,
    ),
    "crowdhuman": Layout(
        write_crowdhuman,
        ignored=["person"],
        visibility=QUARTERS,
        unit=4,
        name=lambda number: f"{273271 + number},1a0d6000b9e1f5b7",
    ),
    "eurocity": Layout(
        write_eurocity,
        eurocity.LABELS[:9],
        eurocity.LABELS[:8],
        visibility=[1, 0.9, 0.6, 0.2],
        unit=0.25,
        name=lambda number: f"roma/roma_{number:05d}",
    ),
    "kitti": Layout(write_kitti, kitti.LABELS, [ANY_LABEL], unit=0.25),
    "mot": Layout(
        write_mot,
        mot.LABELS,
        mot.LABELS,
        visibility=QUARTERS,
        ignored_visibility=QUARTERS,
        unit=0.25,
        name=lambda number: f"MOT20-01/{number:06d}",
    ),
    "pennfudan": Layout(write_pennfudan, name=lambda number: f"FudanPed{number:05d}"),
    "uavdt": Layout(
        write_uavdt,
        uavdt.LABELS,
        [ANY_LABEL],
        name=lambda number: f"M010{number % 3}/img{number:06d}",
    ),
    "visdrone": Layout(write_visdrone, visdrone.LABELS, [ANY_LABEL, *visdrone.LABELS]),
    "voc": Layout(write_voc, ["person", "R&D <robot>"], ["chair"], unit=0.25),
    "wider": Layout(
        write_wider, wider.LABELS, [ANY_LABEL], name=lambda number: f"img{number:05d}.jpg"
    ),
}


def test_every_registered_format_is_here():
    assert {name.split()[0] for name in LAYOUTS} == set(READERS)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_written_is_read_back(name, seed, tmp_path):
    layout = LAYOUTS[name]
    scene = layout.scene(seed)
    annotations, images = layout.write(tmp_path / "data", scene)
    reading = READERS[name.split()[0]].read(annotations, images)

    assert {image.image_id for image in reading.images} == set(scene)
    expected = Counter(
        Found(image_id, thing.xyxy, thing.label, thing.ignore, thing.visibility)
        for image_id, things in scene.items()
        for thing in things
    )
    assert Counter(found(reading)) == expected
    assert rejects(reading, size=(WIDTH, HEIGHT)) == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_rejected_box_is_told_by_its_own_record(name, tmp_path):
    layout = LAYOUTS[name]
    scene = layout.scene(seed=7)
    annotations, images = layout.write(tmp_path / "data", scene)
    reading = READERS[name.split()[0]].read(annotations, images)
    rows = rejects(reading, size=(1, 1))
    outside = [thing for things in scene.values() for thing in things if max(thing.xywh[:2]) >= 1]
    assert len(rows) == len(outside) > 0
    texts = [{float(word) for word in re.findall(r"\d+(?:\.\d+)?", row[3])} for row in rows]
    for thing in outside:  # its sizes or its far corner are in the text, as the format has it
        assert any(text >= {*thing.xywh[2:]} or text >= {*thing.xyxy[2:]} for text in texts)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_files_give_rejects_or_one_error(name, seed, tmp_path):
    layout, rng = LAYOUTS[name], random.Random(seed)
    annotations, images = layout.write(tmp_path / "data", layout.scene(seed))
    for path in sorted(file for file in Path(tmp_path).rglob("*") if file.is_file()):
        damage(path, rng)
    try:
        reading = READERS[name.split()[0]].read(annotations, images)
    except UserError as error:
        assert str(error).count("\n") == 0
    else:
        rejects(reading)  # which checks that nothing is lost


def damage(path: Path, rng: random.Random) -> None:
    """Overwrite, insert or cut some bytes; MATLAB files are only cut: others may crash SciPy."""
    content = bytearray(path.read_bytes())
    for _ in range(0 if content.startswith(b"MATLAB") else rng.randrange(4)):
        start = rng.randrange(len(content) + 1)
        end = start + rng.choice((0, 1, 1, 7))
        content[start:end] = rng.choice((b"", b"-", b"\xff", b"nan", b"1e999", b"{", b"\0\n"))
    path.write_bytes(content[: rng.choice((None, None, None, len(content) // 2))])


def test_the_format_in_the_contributors_guide_works(root, tmp_path):
    guide = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide[guide.index("## A new annotation format") :]
    module: dict = {}
    exec(section.split("```python\n")[1].split("```")[0], module)
    lines(tmp_path / "a.csv", ["a.jpg,person,1,2,3,4", "a.jpg,dog,5,6,7,8", "b.jpg,person,1,2,3"])
    reading = module["read"](str(tmp_path / "a.csv"), "images")
    assert found(reading) == [
        ("a.jpg", (1, 2, 3, 4), "person", False, None),
        ("a.jpg", (5, 6, 7, 8), "dog", False, None),
    ]
    assert rejects(reading) == [
        ("a.csv", "line 3", "not image,label and four numbers", "b.jpg,person,1,2,3")
    ]
