"""Where data sets come from: their makers' pages, files, licences and published checksums.

A fact is here only where we found a page that states it (`cited`); None means that nobody publishes
it, or that we have not found who does. Sets behind a form or a login have archives without a URL:
the user fetches them, accepting the licence, and puts them where ``dipr1 download`` looks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """One file as its makers offer it: an archive, or a bare annotation file.

    Attributes:
        name: its file name.
        url: where anyone can download it; None behind a form or a login.
        size: in bytes.
        sha256: in hexadecimal.
        cited: the page that states URL, size and checksum.
    """

    name: str
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    cited: str = ""


@dataclass(frozen=True)
class Source:
    """One split of a data set, ready to be read.

    Attributes:
        title: the data set's name.
        format: its annotations' format.
        annotations, images: where they lie once everything is unpacked, at the top or below one
            folder.
        archives: the files to get; empty where only the unpacked set can be taken.
        page: where its makers offer it.
        licence: in short, and the page that states it.
        hint: what else the user should know.
    """

    title: str
    format: str
    annotations: str
    images: str
    archives: tuple[Archive, ...]
    page: str
    licence: str
    hint: str = ""


# Sizes and SHA-256 of COCO's, VOC's and KITTI's archives: TensorFlow Datasets,
# tensorflow_datasets/url_checksums/{coco,voc,kitti}.txt. VOC's were taken from a mirror there;
# torchvision's prototype datasets (voc.py) list the same digests for the host below.
_TFDS = "https://github.com/tensorflow/datasets/tree/master/tensorflow_datasets/url_checksums"
_TORCHVISION = "https://github.com/pytorch/vision/blob/main/torchvision/prototype/datasets"

_COCO_ANNOTATIONS = Archive(
    "annotations_trainval2017.zip",
    "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
    252_907_541,
    "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    f"{_TFDS}/coco.txt",
)
_CITYSCAPES_IMAGES = Archive(
    "leftImg8bit_trainvaltest.zip", cited="https://www.cityscapes-dataset.com/downloads"
)
_CITYPERSONS_BOXES = Archive(
    "gtBbox_cityPersons_trainval.zip", cited="https://www.cityscapes-dataset.com/downloads"
)
_CALTECH_HINT = "its images are videos (.seq): write their frames as set06/V000/I00029.jpg first"


def _crowdhuman(split: str, images: tuple[str, ...]) -> Source:
    page = "https://www.crowdhuman.org/download.html"
    names = (f"annotation_{split}.odgt", *images)
    return Source(
        "CrowdHuman",
        "crowdhuman",
        f"annotation_{split}.odgt",
        "Images",
        tuple(Archive(name, cited=page) for name in names),
        page,
        f"non-commercial research and education, no redistribution ({page})",
    )


def _citypersons(split: str) -> Source:
    return Source(
        "CityPersons",
        "citypersons",
        f"gtBboxCityPersons/{split}",
        f"leftImg8bit/{split}",
        (_CITYPERSONS_BOXES, _CITYSCAPES_IMAGES),
        "https://www.cityscapes-dataset.com/downloads",
        "non-commercial, no redistribution (https://www.cityscapes-dataset.com/license)",
    )


def _wider(split: str) -> Source:
    return Source(
        "WIDER Pedestrian",
        "wider",
        f"{split}_annotations.txt",
        split,
        (),
        "https://wider-challenge.org (CodaLab competitions 19118 and 20132)",
        "academic research only (https://wider-challenge.org/terms_and_conditions_2019.html)",
        "put the ignore file beside the annotations",
    )


def _coco(split: str, size: int, sha256: str) -> Source:
    images = Archive(
        f"{split}.zip",
        f"http://images.cocodataset.org/zips/{split}.zip",
        size,
        sha256,
        f"{_TFDS}/coco.txt",
    )
    return Source(
        "COCO 2017",
        "coco",
        f"annotations/instances_{split}.json",
        split,
        (_COCO_ANNOTATIONS, images),
        "https://cocodataset.org/#download",
        "annotations CC BY 4.0, images as their owners on Flickr say"
        " (https://cocodataset.org/#termsofuse)",
    )


def _eurocity(split: str) -> Source:
    page = "https://eurocity-dataset.tudelft.nl"
    names = (f"ECP_day_labels_{split}.zip", f"ECP_day_img_{split}.zip")
    return Source(
        "EuroCity Persons (day)",
        "eurocity",
        f"day/labels/{split}",
        f"day/img/{split}",
        tuple(Archive(name, cited=page) for name in names),
        page,
        "research use by academic staff and students (https://github.com/SomeNeurons/ECPB)",
    )


def _mot(title: str, name: str) -> Source:
    # MOT17Det and MOT20Det are the detection tracks: each sequence once, not once per detector.
    return Source(
        title,
        "mot",
        "train",
        "train",
        (Archive(name, f"https://motchallenge.net/data/{name}", cited="https://motchallenge.net"),),
        "https://motchallenge.net",
        "CC BY-NC-SA 3.0 (https://motchallenge.net)",
    )


def _visdrone(split: str) -> Source:
    page = "https://github.com/VisDrone/VisDrone-Dataset"
    folder = f"VisDrone2019-DET-{split}"
    return Source(
        "VisDrone2019-DET",
        "visdrone",
        f"{folder}/annotations",
        f"{folder}/images",
        (Archive(f"{folder}.zip", cited=page),),
        page,
        f"not stated; ask its makers ({page})",
    )


def _voc(year: int, name: str, size: int, sha256: str) -> Source:
    folder = f"VOC{year}"
    host = "http://host.robots.ox.ac.uk/pascal/VOC"
    return Source(
        f"PASCAL VOC {year}",
        "voc",
        f"{folder}/Annotations",
        f"{folder}/JPEGImages",
        (Archive(name, f"{host}/voc{year}/{name}", size, sha256, f"{_TORCHVISION} (voc.py)"),),
        f"{host}/voc{year}",
        f"images as their owners on Flickr say ({host})",
    )


SOURCES: dict[str, Source] = {
    "caltech": Source(
        "Caltech Pedestrians",
        "caltech",
        "annotations",
        "images",
        (),
        "https://data.caltech.edu/records/f6rph-90m20",
        "not stated; ask its makers (https://data.caltech.edu/records/f6rph-90m20)",
        _CALTECH_HINT,
    ),
    "citypersons.train": _citypersons("train"),
    "citypersons.val": _citypersons("val"),
    "coco.train2017": _coco(
        "train2017",
        19_336_861_798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    ),
    "coco.val2017": _coco(
        "val2017",
        815_585_330,
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    ),
    "crowdhuman.train": _crowdhuman(
        "train", ("CrowdHuman_train01.zip", "CrowdHuman_train02.zip", "CrowdHuman_train03.zip")
    ),
    "crowdhuman.val": _crowdhuman("val", ("CrowdHuman_val.zip",)),
    "eurocity.train": _eurocity("train"),
    "eurocity.val": _eurocity("val"),
    "kitti": Source(
        "KITTI object detection",
        "kitti",
        "training/label_2",
        "training/image_2",
        (
            Archive(
                "data_object_label_2.zip",
                size=5_601_213,
                sha256="4efc76220d867e1c31bb980bbf8cbc02599f02a9cb4350effa98dbb04aaed880",
                cited=f"{_TFDS}/kitti.txt",
            ),
            Archive(
                "data_object_image_2.zip",
                size=12_569_945_557,
                sha256="351c5a2aa0cd9238b50174a3a62b846bc5855da256b82a196431d60ff8d43617",
                cited=f"{_TFDS}/kitti.txt",
            ),
        ),
        "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=2d",
        "CC BY-NC-SA 3.0 (https://www.cvlibs.net/datasets/kitti)",
    ),
    "mot15": _mot("MOT15", "MOT15.zip"),
    "mot16": _mot("MOT16", "MOT16.zip"),
    "mot17": _mot("MOT17", "MOT17Det.zip"),
    "mot20": _mot("MOT20", "MOT20Det.zip"),
    "pennfudan": Source(
        "Penn-Fudan pedestrians",
        "pennfudan",
        "PennFudanPed/Annotation",
        "PennFudanPed/PNGImages",
        (
            Archive(
                "PennFudanPed.zip",
                "https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip",
                53_723_336,  # the server's Content-Length, as logged by many who fetched it
                cited="https://www.cis.upenn.edu/~jshi/ped_html",
            ),
        ),
        "https://www.cis.upenn.edu/~jshi/ped_html",
        "none stated; its makers ask to be cited (https://www.cis.upenn.edu/~jshi/ped_html)",
    ),
    "uavdt": Source(
        "UAVDT (UAV-benchmark-M)",
        "uavdt",
        "UAV-benchmark-MOTD_v1.0/GT",
        "UAV-benchmark-M",
        (
            Archive(
                "UAV-benchmark-MOTD_v1.0.zip", cited="https://sites.google.com/view/grli-uavdt"
            ),
            Archive("UAV-benchmark-M.zip", cited="https://sites.google.com/view/grli-uavdt"),
        ),
        "https://sites.google.com/view/grli-uavdt",
        "not stated; ask its makers (https://sites.google.com/view/grli-uavdt)",
    ),
    "visdrone.train": _visdrone("train"),
    "visdrone.val": _visdrone("val"),
    "voc2007.test": _voc(
        2007,
        "VOCtest_06-Nov-2007.tar",
        451_020_800,
        "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
    ),
    "voc2007.trainval": _voc(
        2007,
        "VOCtrainval_06-Nov-2007.tar",
        460_032_000,
        "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
    ),
    "voc2012.trainval": _voc(
        2012,
        "VOCtrainval_11-May-2012.tar",
        1_999_639_040,
        "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    ),
    "wider.train": _wider("train"),
    "wider.val": _wider("val"),
}
