"""Further questions about a training image: in other words, for one label, for one that is absent.

Sampling, statistics and evaluation ask about every image once, with the prompt of the prompts
artifact. Only the training set is varied. A variation is a pair of tables like the prompts and the
variance artifact, so that whatever reads these reads it too.

The statistics of an object also hold for a question about its label alone. A phantom has no label,
so it is left out of such a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.columns import listed, narrowed, ragged, replaced
from dipr1.artifacts.prompts import reworded
from dipr1.artifacts.variance import places_of_objects, regions_by_image
from dipr1.errors import UserError
from dipr1.prompts import REQUESTS
from dipr1.responses import Form


def variations(
    prompts: pa.Table,
    variance: pa.Table | None,
    *,
    wordings: int = 1,
    ask: Literal["all", "each", "both"] = "all",
    absent_labels: Sequence[str] = (),
    form: Form = "steps",
    fixed: bool = False,
    seed: int = 0,
) -> Iterator[tuple[pa.Table, pa.Table | None]]:
    """Pairs of prompts and variance, each with every image once; by default the given pair alone.

    Args:
        prompts: the prompts artifact of a split; all rows ask for the same labels.
        variance: the variance artifact of the same images.
        wordings: how many wordings of each question: the usual one, then others, drawn for each
            image without repetition.
        ask: for all labels together, for each alone (where an image has none of it, the right
            answer is `[]`), or both.
        absent_labels: what is in no image of the split; each image is asked for one of them.
        form: of the responses that are asked for.
        fixed: the policy's frame is the same for every image; such a policy knows one wording.
        seed: of the draws.

    Raises:
        UserError: more wordings than there are, or than a policy with a fixed frame knows; an
            absent label is asked for anyway; the variance is about other boxes.
    """
    if prompts.num_rows == 0:
        yield prompts, variance
        return
    labels = prompts["labels"][0].as_py()
    if present := [label for label in absent_labels if label in labels]:
        raise UserError(f"absent_labels: {present[0]!r} is asked for anyway; take it out")
    known = 1 if fixed else len(REQUESTS)
    if wordings > known:
        raise UserError(f"wordings: the policy's prompt has {known} but {wordings} are wanted")
    rng = np.random.default_rng(seed)
    for asked in _label_sets(labels, ask, absent_labels, prompts.num_rows, rng):
        part = prompts, variance
        if asked[0] != labels:
            part = of_labels(prompts, variance, set(asked[0]) & set(labels))
        others = rng.permuted(np.tile(np.arange(1, len(REQUESTS)), (prompts.num_rows, 1)), axis=1)
        for turn in range(wordings):
            chosen = others[:, turn - 1] if turn else np.zeros(prompts.num_rows, np.int64)
            if turn == 0 and asked[0] == labels and form == "steps":
                yield part
                continue
            wording = chosen.tolist()
            again = reworded(part[0], fixed, asked=asked, wordings=wording, form=form)
            yield again, part[1]


def _label_sets(
    labels: list[str], ask: str, absent_labels: Sequence[str], num_rows: int, rng
) -> Iterator[list[list[str]]]:
    """What each image is asked for, question by question."""
    sets = [labels] if ask in ("all", "both") else []
    if ask in ("each", "both"):
        sets += [[label] for label in labels if [label] not in sets]
    for asked in sets:
        yield [asked] * num_rows
    if absent_labels:
        drawn = rng.integers(0, len(absent_labels), num_rows)
        yield [[absent_labels[index]] for index in drawn.tolist()]


def of_labels(
    prompts: pa.Table, variance: pa.Table | None, labels: set[str]
) -> tuple[pa.Table, pa.Table | None]:
    """The two artifacts as if only the objects of `labels` were annotated.

    Ignore regions stay, with the labels they have; phantoms go.

    Raises:
        UserError: the variance is about other boxes.
    """
    boxes, offsets = ragged(prompts["gt_boxes"])
    names = pc.list_flatten(prompts["gt_labels"].combine_chunks())
    kept = pc.is_in(names, pa.array(sorted(labels), pa.string())).to_numpy(zero_copy_only=False)
    new_offsets = narrowed(offsets, kept)
    changed = {
        "gt_boxes": listed(boxes.reshape(-1, 4)[kept], new_offsets),
        "gt_labels": listed(names.filter(kept), new_offsets),
    }
    restricted = replaced(prompts, changed)
    if variance is None:
        return restricted, None
    regions = regions_by_image(prompts, variance)
    rows, places = places_of_objects(prompts, regions, offsets)
    rows, places = rows[kept[places]], places[kept[places]]
    image = np.searchsorted(offsets, places, side="right") - 1
    renumbered = np.cumsum(kept)[places] - 1 - new_offsets[image]
    column = pa.array(renumbered, pa.int32())
    objects = replaced(regions.rows.take(rows), {"gt_index": column})
    return restricted, pa.concat_tables([objects, variance.filter(variance["region"].is_null())])
