"""How many planted label errors `dipr1 audit` ranks first.

    python benchmarks/audit.py                                          # synthetic crowds
    python benchmarks/audit.py --annotations annotations.parquet \\
        --samples samples/*.parquet           # a policy's own samples

A share of the labels is removed, and as many boxes are added that label nothing: each as large as
some label of the set, where it overlaps no label by an IoU of more than 0.2. Of the k suspects
ranked first, k the number planted, how many are planted errors? A `missing_label` is one where its
box overlaps a removed label by an IoU of at least 0.5, an `unsupported_label` where its label is an
added one; where fewer than k of a kind are listed, the rest count as wrong. By chance it is the
share of planted ones among all regions.

And how far can `error_share` be trusted? It comes from errors of another kind, which `dipr1 audit`
plants in copies of these labels, as many: what it lets expect among the first suspects stands
beside how many are errors by the original labels.

Last, labels of the wrong class: the boxes are given three names, the samples name them as a policy
does that calls three of ten vans cars and errs one time in `--confusion`, and a share of the labels
has another's name. Of the k suspects of the kind `swapped_label` ranked first, k the number
swapped, how many are such?
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
from variance import write_split

from dipr1.artifacts import artifact_named
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.samples import SAMPLES
from dipr1.boxes import iou
from dipr1.cli import main as dipr1

LARGEST_OVERLAP = 0.2


def main() -> None:
    """Print a Markdown section with the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", help="annotations/*.parquet; synthetic ones if not given")
    parser.add_argument("--samples", nargs="+", help="samples/*.parquet of the same split")
    parser.add_argument("--num-images", type=int, default=1000, help="of synthetic crowds")
    parser.add_argument("--share", type=float, default=0.05, help="of the labels, of either error")
    parser.add_argument("--seeds", type=int, default=5, help="how often errors are planted anew")
    parser.add_argument(
        "--confusion", nargs="+", type=int, default=[20, 5, 2], help="one name in so many is wrong"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.annotations is None:
            annotations, samples = write_split(folder, args.num_images)
            args.annotations, args.samples = str(annotations), [str(samples)]
        figures = [_figures(args, seed, folder) for seed in range(args.seeds)]
        swapped = {
            often: np.mean([_of_names(args, seed, often, folder) for seed in range(args.seeds)], 0)
            for often in args.confusion
        }
    table = polars.DataFrame(figures)
    print("## Planted label errors")
    print(f"{args.share:.0%} of the labels removed, as many added; mean of {args.seeds} seeds")
    print()
    print("| | planted | precision of so many ranked first | of a tenth as many | by chance |")
    print("|---|---|---|---|---|")
    for kind in ("both", "missing_label", "unsupported_label"):
        mean = table.select(polars.col(f"{kind} {name}").mean() for name in COLUMNS)
        planted, precision, top, chance = mean.row(0)
        print(f"| {kind} | {planted:.0f} | {precision:.2f} | {top:.2f} | {chance:.3f} |")
    worst, any_error = table.select("worst images", "any image").mean().row(0)
    print()
    print(
        f"Of the tenth of the images ranked first {worst:.0%} hold a planted error, of all images "
        f"{any_error:.0%}."
    )

    print()
    print("| of the first | errors | expected |")
    print("|---|---|---|")
    for k in FIRSTS:
        of_first = table.select(polars.col(f"confirmed {k}", f"expected {k}").mean()).row(0)
        print("| {} | {:.1f} | {:.1f} |".format(k, *of_first))

    print()
    print("| a wrong name in | swapped | precision of so many | of a tenth as many | name told |")
    print("|---|---|---|---|---|")
    for often, (num, precision, top, named) in swapped.items():
        print(f"| {often} | {num:.0f} | {precision:.2f} | {top:.2f} | {named:.2f} |")


NAMES, SHARES = np.array(["bus", "car", "van"]), (0.1, 0.6, 0.3)
COLUMNS = ("planted", "precision", "top", "chance")
FIRSTS = (20, 50, 100, 200)


def _figures(args: argparse.Namespace, seed: int, folder: Path) -> dict[str, float]:
    """Plant errors, rank suspects and compare."""
    original = ANNOTATIONS.read(args.annotations)
    changed, removed, added = plant(original, np.random.default_rng(seed), args.share)
    paths = {name: str(folder / f"{name}.parquet") for name in ("labels", "regions", "audit", "i")}
    ANNOTATIONS.write(changed, paths["labels"])
    words = [*args.samples, "--annotations", paths["labels"], "--allow-missing"]
    outputs = ["--output", paths["audit"], "--images-output", paths["i"], "--rows", "1000000"]
    with contextlib.redirect_stderr(io.StringIO()):
        assert dipr1(["variance", *words, "--output", paths["regions"]]) == 0
        trust = ["--corrected", args.annotations, "--planted", str(2 * args.share)]
        assert dipr1(["audit", *words, *outputs, *trust]) == 0
    suspects = polars.read_parquet(paths["audit"])
    rows = zip(
        *(suspects[name].to_list() for name in ("image_id", "kind", "region", "box")), strict=True
    )
    right = np.array([_is_planted(*row, removed, added) for row in rows], dtype=bool)
    kinds = suspects["kind"].to_numpy()
    num_regions = polars.read_parquet(paths["regions"]).height
    num_removed, num_added = (sum(map(len, found.values())) for found in (removed, added))
    figures = {}
    for kind, k in [
        ("both", num_removed + num_added),
        ("missing_label", num_removed),
        ("unsupported_label", num_added),
    ]:
        hits = right if kind == "both" else right[kinds == kind]
        figures |= {
            f"{kind} planted": k,
            f"{kind} precision": hits[:k].sum() / k,
            f"{kind} top": hits[: k // 10].mean(),
            f"{kind} chance": k / num_regions,
        }
    images = polars.read_parquet(paths["i"])["image_id"].to_list()
    faulty = [bool(len(removed[name]) or added[name]) for name in images]
    against = suspects.filter(polars.col("kind") != "uncertain")
    for k in FIRSTS:
        first = against.head(k)
        figures |= {f"expected {k}": first["error_share"].sum()}
        figures |= {f"confirmed {k}": first["confirmed"].sum()}
    figures["worst images"] = np.mean(faulty[: len(faulty) // 10])
    figures["any image"] = np.mean(faulty)
    return figures


def _of_names(args: argparse.Namespace, seed: int, often: int, folder: Path) -> tuple[float, ...]:
    """How many labels were given another name; of the first so many suspects of that kind, and of
    the first tenth, the share that are such; and of those the share whose right name is told."""
    rng = np.random.default_rng(seed)
    original = ANNOTATIONS.read(args.annotations)
    truth = box_arrays(original["boxes"])
    right = [rng.choice(3, len(boxes), p=SHARES) for boxes in truth]
    swaps = [(rng.random(len(one)) < args.share) * rng.integers(1, 3, len(one)) for one in right]
    paths = {name: str(folder / f"{name}.parquet") for name in ("right", "given", "audit")}
    for name, changes in (("right", [0] * len(swaps)), ("given", swaps)):
        labels = [NAMES[(a + b) % 3].tolist() for a, b in zip(right, changes, strict=True)]
        place = original.schema.get_field_index("labels")
        ANNOTATIONS.write(original.set_column(place, "labels", pa.array(labels)), paths[name])
    place = {name: k for k, name in enumerate(original["image_id"].to_pylist())}
    shards = []
    for number, path in enumerate(args.samples):
        table = SAMPLES.read(path)
        rows = zip(table["image_id"].to_pylist(), box_arrays(table["boxes"]), strict=True)
        said = [
            None if boxes is None else _named(boxes, truth[place[k]], right[place[k]], often, rng)
            for k, boxes in rows
        ]
        names = pa.array(said, pa.list_(pa.string()))
        shards.append(str(folder / f"named{number}.parquet"))
        SAMPLES.write(table.append_column("labels", names), shards[-1])
    words = [*shards, "--annotations", paths["given"], "--allow-missing", "--planted", "0"]
    words += ["--corrected", paths["right"], "--output", paths["audit"], "--rows", "1000000"]
    with contextlib.redirect_stderr(io.StringIO()):
        assert dipr1(["audit", *words]) == 0
    found = polars.read_parquet(paths["audit"]).filter(polars.col("kind") == "swapped_label")
    num = sum(int((one > 0).sum()) for one in swaps)
    true = found.filter("confirmed")
    told = [
        suggested == NAMES[right[place[name]][iou([box], truth[place[name]])[0].argmax()]]
        for name, box, suggested in true.select("image_id", "box", "suggested_label").iter_rows()
    ]
    confirmed = found["confirmed"].to_numpy()
    return num, confirmed[:num].sum() / num, confirmed[: num // 10].mean(), np.mean(told)


def _named(
    boxes: np.ndarray, truth: np.ndarray, names: np.ndarray, often: int, rng: np.random.Generator
) -> list[str]:
    """What a policy calls its boxes, that confuses names."""
    said = np.ones(len(boxes), int)
    if len(truth) and len(boxes):
        overlaps = iou(boxes, truth)
        said = np.where(overlaps.max(axis=1) > 0.3, names[overlaps.argmax(axis=1)], said)
    said = np.where((said == 2) & (rng.random(len(said)) < 0.3), 1, said)
    errs = rng.random(len(said)) < 1 / often
    return NAMES[np.where(errs, (said + rng.integers(1, 3, len(said))) % 3, said)].tolist()


def plant(
    table: pa.Table, rng: np.random.Generator, share: float
) -> tuple[pa.Table, dict[str, np.ndarray], dict[str, set[int]]]:
    """Annotations with errors; of each image the boxes removed and the gt_index of those added."""
    ids = table["image_id"].to_pylist()
    boxes = box_arrays(table["boxes"])
    ignore = [np.array(row, dtype=bool) for row in table["ignore"].to_pylist()]
    frames = np.stack([table["width"].to_numpy(), table["height"].to_numpy()], axis=1)
    truth = [b[~i] for b, i in zip(boxes, ignore, strict=True)]
    all_sizes = np.concatenate([b[:, 2:] - b[:, :2] for b in truth])
    removed, added, columns = {}, {}, {"boxes": [], "ignore": []}
    for name, people, frame, every, ignored in zip(ids, truth, frames, boxes, ignore, strict=True):
        gone = rng.random(len(people)) < share
        new = [
            box
            for size in all_sizes[
                rng.integers(len(all_sizes), size=rng.binomial(len(people), share))
            ]
            if (box := _free_place(rng, size, frame, every)) is not None
        ]
        kept = people[~gone]
        removed[name] = people[gone]
        added[name] = set(range(len(kept), len(kept) + len(new)))
        columns["boxes"].append([*kept.tolist(), *new, *every[ignored].tolist()])
        columns["ignore"].append([False] * (len(kept) + len(new)) + [True] * int(ignored.sum()))
    schema = artifact_named("annotations").schema
    for name, values in columns.items():
        at = schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values, schema.field(name).type))
    return table, removed, added


def _free_place(rng: np.random.Generator, size: np.ndarray, frame: np.ndarray, taken: np.ndarray):
    """A box of that size in the frame that overlaps little of what is there; None in 20 tries."""
    for _ in range(20):
        corner = rng.uniform(0, 1, 2) * np.maximum(frame - size, 0)
        box = [*corner, *np.minimum(corner + size, frame)]
        if iou([box], taken).max(initial=0.0) <= LARGEST_OVERLAP:
            return box
    return None


def _is_planted(name: str, kind: str, region: int, box: list, removed: dict, added: dict) -> bool:
    if kind == "missing_label":
        return iou([box], removed[name]).max(initial=0.0) >= 0.5
    return kind == "unsupported_label" and region in added[name]


if __name__ == "__main__":
    main()
