"""Options of data sets: what does not go together is refused in one line, before any work."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser

import pytest
from pydantic import ValidationError

from dipr1.datasets.options import Conversion, Dataset, Draw, Files, Scenes, Style
from dipr1.options import add_options, flags, options

COCO = {"annotations": "a.json", "images": "images"}


def fault(split: dict, **dataset: object) -> str:
    with pytest.raises(ValidationError) as raised:
        Dataset(splits={"train": split}, **dataset)
    (error,) = raised.value.errors()
    return error["msg"].removeprefix("Value error, ")


def test_what_goes_together():
    Dataset(splits={"train": {"num_images": 4, "seed": 1}}, style="night")
    Dataset(splits={"train": {"source": "coco.val2017"}}, format="coco")
    Dataset(splits={"train": COCO}, format="coco")
    Dataset(splits={"train": COCO | {"url": "http://a/b.zip", "sha256": 64 * "0"}}, format="coco")
    Dataset(splits={"train": {"source": "crowdhuman.val"}}, format="crowdhuman", box="head")


@pytest.mark.parametrize(
    ("split", "dataset", "message"),
    [
        (
            COCO,
            {"format": "coco", "style": "night"},
            "style: means nothing for format coco; leave it out",
        ),
        (COCO | {"num_images": 9}, {"format": "coco"}, "num_images: means nothing for format coco"),
        (COCO | {"seed": 300}, {"format": "coco"}, "seed: means nothing for format coco"),
        (COCO, {}, "split 'train': annotations: means nothing for format scenes; leave it out"),
        ({"url": "http://a/b"}, {}, "split 'train': url: means nothing for format scenes"),
        ({}, {"format": "coco"}, "annotations: needed for format coco, or a source"),
        ({"annotations": "a"}, {"format": "coco"}, "images: needed for format coco"),
        (
            {"source": "coco.val2017"},
            {},
            "source coco.val2017 is of format coco but got scenes",
        ),
        (
            {"source": "coco.val2017"},
            {"format": "voc"},
            "split 'train': format: source coco.val2017 is of",
        ),
        ({"source": "coco.val"}, {"format": "coco"}, "source: no 'coco.val'; there are caltech, "),
        (
            {"source": "kitti"} | COCO,
            {"format": "kitti"},
            "annotations: source kitti knows",
        ),
        (COCO | {"sha256": 64 * "0"}, {"format": "coco"}, "sha256: needs the url of an archive"),
        (
            COCO,
            {"format": "coco", "box": "head"},
            "box: format coco has no head boxes",
        ),
        ({}, {"box": "visible"}, "box: format scenes has no visible boxes; it has full"),
        ({}, {"ignore_labels": ["person"]}, "ignore_labels: 'person' is among the labels"),
    ],
)
def test_what_means_nothing_is_refused(split, dataset, message):
    assert message in fault(split, **dataset)


@pytest.mark.parametrize(
    "dataset",
    [Dataset(splits={"a": {}}), Dataset(format="coco", splits={"a": COCO})],
    ids=lambda dataset: dataset.format,
)
def test_a_checked_configuration_can_be_checked_again(dataset):
    assert Dataset.model_validate(dataset.model_dump()) == dataset


def test_ignored_labels_need_one_to_be_ignored_for():
    with pytest.raises(ValidationError, match="ignore_labels: needs labels"):
        Conversion(ignore_labels=["rider"])


def test_a_label_counts_once():
    assert Conversion(labels=["a", "b", "a"]).labels == ["a", "b"]


@pytest.mark.parametrize(
    "section",
    [
        Conversion(),
        Conversion(labels=["traffic light", "cow"], ignore_labels=["x"], strict=True),
        Conversion(box="head", min_inside=0.25, min_size=1e-7),
        Scenes(style="night", num_images=3, seed=4),
        Files(annotations="my files/a.json", images="b"),
    ],
    ids=lambda section: type(section).__name__,
)
def test_flags_are_read_back_as_the_section(section):
    parser = ArgumentParser()
    add_options(parser, type(section))
    assert options(parser.parse_args(shlex.split(flags(section))), type(section)) == section


def test_the_flags_of_a_part_are_those_of_its_fields():
    dataset = Dataset(labels=["a b"], splits={"train": {"seed": 2}}, style="night")
    assert flags(dataset, Style) == "--style night --crowding 1.0 --occlusion 1.0"
    assert flags(dataset.splits["train"], Draw) == "--num-images 300 --seed 2 --wrong-labels 0.0"
    assert flags(dataset, Conversion) == (
        "--labels 'a b' --ignore-labels --box full --min-inside 0.0 --min-size 0.0 --exif turn"
        " --declared-sizes check --strict False"
    )
