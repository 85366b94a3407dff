"""The metrics: what each is called, what it means, how it is written, and what computes it.

`METRICS` is the only list of them: the rows of the metrics artifact, the comparison with its
intervals and the tables of the report go by it. To add a metric, write its function and its entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dipr1.boxes import in_unit_square
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.calibration import of_scores
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.ranked_labels import ResampledLabel
from dipr1.evaluation.tallies import (
    Sums,
    at_50,
    at_75,
    elsewhere,
    f1_sums,
    looked_at,
    precision_sums,
    recall_between,
    recall_sums,
)
from dipr1.rewards import REWARDS

RANKED = "Ranked boxes: how well the boxes, most likely first, match the annotated {many}"
AS_IT_IS = "The answer as it is: every box counts, none is ranked"
WRONG = "What is wrong with false boxes, and why {many} were missed"
RESPONSE = "The response"
LOOKING = "Looking: do the look regions lie where the answer errs?"
REWARD = "The rewards, measured on these images"
GROUPS = (RANKED, AS_IT_IS, WRONG, RESPONSE, LOOKING, REWARD)
"""The report's tables of metrics, in its order."""


@dataclass(frozen=True)
class Metric:
    """A figure of a set of predictions.

    Attributes:
        name: in the metrics artifact.
        title: what a reader calls it.
        meaning: in plain words; {one} and {many} stand for what is looked for.
        group: of the `GROUPS`; "" where the report does not show it.
        of: what computes it, of what the kind of metric says.
        better: "higher", "lower" or "" where neither is.
        form: format of a value.
        compared: arms are compared by it, with intervals.
        needs_variance: it is left out where the base policy's uncertainty is not given.
    """

    name: str
    title: str
    meaning: str
    group: str
    of: Callable[[Any], Any]
    better: str = "higher"
    form: str = ".3f"
    compared: bool = True
    needs_variance: bool = False


class Ranking(Metric):
    """A metric that depends on how the boxes are scored: the mean over the labels that occur.

    `of` takes a label's boxes in R resamples of the images and gives (R,).
    """

    of: Callable[[ResampledLabel], np.ndarray]


@dataclass(frozen=True)
class Ratio(Metric):
    """A ratio of two sums over images.

    `of` takes the images and gives (I,) above and (I,) below the line.

    Attributes:
        figure: of one image, where the columns that are kept of it do not tell what `of` needs: it
            is kept in a column of the metric's name, None as null.
    """

    figure: Callable[[AnsweredImage], float | None] | None = None


@dataclass(frozen=True)
class Whole(Metric):
    """A metric of all images together, which is not resampled: `of` takes them, gives a number."""

    of: Callable[[Images], float]
    compared: bool = False


def mean_of(name: str) -> Callable[[Images], Sums]:
    """The mean of a column over the images where it is defined."""
    return lambda images: defined(images[name])


def defined(values: np.ndarray) -> Sums:
    """What is summed for the mean of the (I,) values that are not NaN."""
    return np.nan_to_num(values), (~np.isnan(values)).astype(np.float64)


def count_error(images: Images) -> Sums:
    """By how many the number of boxes is wrong."""
    return defined(np.abs(images["num_counted"] - images["num_objects"]))


def errors_looked_at(images: Images) -> np.ndarray:
    """(I,) false boxes and missed objects in the look regions."""
    return images["look_false"] + images["look_missed"]


def unit_square(image: AnsweredImage) -> float | None:
    """Whether all boxes lie in 0..1 of the model frame; None without boxes."""
    answer = image.response.answer
    return None if answer is None or not len(answer.boxes) else float(in_unit_square(answer.boxes))


def outside_frame(image: AnsweredImage) -> float | None:
    """Whether a box reaches beyond twice the image's size; None without boxes."""
    return (
        float((image.boxes[:, 2:] > 2 * np.array(image.size)).any()) if len(image.boxes) else None
    )


def counted_wrong(name: str) -> Callable[[AnsweredImage], float]:
    """How many of an image's errors are of a kind."""
    return lambda image: float(image.wrong[name])


def share_of_false(name: str) -> Callable[[Images], Sums]:
    """The share of the false boxes that a metric's column counts."""
    return lambda images: (images[name], images["num_counted"] - images["hits50"])


def share_of_missed(name: str) -> Callable[[Images], Sums]:
    """The share of the missed objects that a metric's column counts."""
    return lambda images: (images[name], images["num_objects"] - images["hits50"])


def crops(image: AnsweredImage) -> float | None:
    """Windows that were looked at again; None for an answer of one view."""
    return None if image.num_crops is None else float(image.num_crops)


# fmt: off
_METRICS = (
    Ranking("AP", "AP",
            "COCO's average precision: 1 when every {one} is found with exact borders and no false"
            " box is thought likelier. Mean over ten overlap thresholds from 0.50 to 0.95.",
            RANKED, ResampledLabel.mean_coco_ap),
    Ranking("AP50", "AP50",
            "Average precision at overlap 0.50: found is enough, the borders need not be exact.",
            RANKED, lambda label: label.coco_ap(0)),
    Ranking("AP75", "AP75", "Average precision at overlap 0.75: borders must be good.",
            RANKED, lambda label: label.coco_ap(5)),
    Ranking("AR", "AR",
            "COCO's average recall: share of the {many} found, mean over the ten thresholds.",
            RANKED, ResampledLabel.mean_recall),
    Ranking("AP_crowdhuman", "AP (CrowdHuman)",
            "Average precision by CrowdHuman's official rules.",
            RANKED, ResampledLabel.crowdhuman_ap),
    Ranking("MR", "MR⁻²",
            "CrowdHuman's log-average miss rate: {many} missed while false boxes are few.",
            RANKED, ResampledLabel.miss_rate, "lower"),
    Ranking("JI", "JI",
            "CrowdHuman's Jaccard index: matched pairs as a share of all boxes and {many}.",
            RANKED, ResampledLabel.jaccard_index),
    Whole("score_ece", "Calibration error of the scores",
          "Mean distance between a box's score and how often boxes of such scores are right"
          " (overlap 0.50).",
          RANKED, lambda images: of_scores(images.labels).expected_error, "lower"),
    Ratio("precision50", "Precision",
          "Share of the answered boxes that are right (overlap at least 0.50).",
          AS_IT_IS, precision_sums(at_50)),
    Ratio("recall50", "Recall", "Share of the {many} that were found.",
          AS_IT_IS, recall_sums(at_50)),
    Ratio("f1_50", "F1",
          "Precision (share of boxes that are right) and recall (share of {many} found) in one"
          " number, their harmonic mean.",
          AS_IT_IS, f1_sums(at_50)),
    Ratio("precision75", "Precision at 0.75", "Share of the answered boxes that overlap by 0.75.",
          AS_IT_IS, precision_sums(at_75)),
    Ratio("recall75", "Recall at 0.75", "Share of the {many} found with an overlap of 0.75.",
          AS_IT_IS, recall_sums(at_75)),
    Ratio("f1_75", "F1 at 0.75", "F1 where a box must overlap by 0.75: borders must be good.",
          AS_IT_IS, f1_sums(at_75)),
    *(Ratio(f"recall_{name}", f"Recall, {name}", f"Share found of the {{many}} {words}.",
            AS_IT_IS, recall_between(quantity, low, high))
      for name, quantity, low, high, words in (
          ("small", "height", 0.0, 0.15, "under 15 % of the image's height"),
          ("medium", "height", 0.15, 0.3, "of 15 to 30 % of the image's height"),
          ("tall", "height", 0.3, np.inf, "of 30 % of the image's height and more"),
          ("hidden", "visibility", 0.0, 0.65, "of which less than 65 % is visible"),
          ("partly", "visibility", 0.65, 0.9, "of which 65 to 90 % is visible"),
          ("free", "visibility", 0.9, np.inf, "of which 90 % and more is visible"))),
    Ratio("count_error", "Count error",
          "By how many the number of boxes differs from the number of {many}, mean per image.",
          AS_IT_IS, count_error, "lower", ".2f"),
    *(Ratio(f"false_{name}", f"False: {name}", f"Share of the false boxes that {words}.",
            WRONG, share_of_false(f"false_{name}"), "", ".1%", False,
            figure=counted_wrong(f"false_{name}"))
      for name, words in (
          ("classification", "lie on a {one} of another label"),
          ("duplicate", "lie on a {one} whom another box has found"),
          ("localisation", "lie beside a {one}, at an overlap of 0.1 to 0.5"),
          ("background", "lie on nobody"))),
    Ratio("swallowing", "Boxes that swallow several",
          "Share of the boxes that hold several {many} and are the box of none.",
          WRONG, lambda images: (images["swallowing"], images["num_boxes"]), "lower", ".1%", False,
          figure=counted_wrong("swallowing")),
    *(Ratio(f"missed_{name}", f"Missed: {name.replace('_', ' ')}",
            f"Share of the missed {{many}} {words}.",
            WRONG, share_of_missed(f"missed_{name}"), "", ".1%", False,
            figure=counted_wrong(f"missed_{name}"))
      for name, words in (
          ("cut_off", "where the answer breaks off or cannot be read"),
          ("merged", "whom a box holds together with others"),
          ("repeated", "beside whom another one's box is repeated"),
          ("misplaced", "whom a false box overlaps by 0.1 to 0.5"),
          ("unseen", "near whom there is no box"))),
    Ratio("well_formed_rate", "Well-formed",
          "Share of responses exactly in the form think, look, answer.",
          RESPONSE, mean_of("well_formed"), form=".1%"),
    Ratio("parse_failure_rate", "Unreadable",
          "Share of responses from which no list of boxes can be read.",
          RESPONSE, lambda images: defined(1.0 - images["readable"]), "lower", ".1%", False),
    Ratio("unit_square_rate", "In the unit square",
          "Share of answers whose boxes all lie in 0..1: shares of the image, where the policy's"
          " frame has larger numbers.",
          RESPONSE, mean_of("unit_square_rate"), "lower", ".1%", False, figure=unit_square),
    Ratio("outside_frame_rate", "Far outside",
          "Share of answers with a box beyond twice the image's size: numbers of a larger frame.",
          RESPONSE, mean_of("outside_frame_rate"), "lower", ".1%", False, figure=outside_frame),
    *(Ratio(f"reward_{name}", f"{name.capitalize()} reward", reward.meaning,
            REWARD, mean_of(f"reward_{name}"),
            needs_variance="region_boxes" in reward.make().needs)
      for name, reward in REWARDS.items()),
    Ratio("look_area_share", "Area looked at", "Share of the image's area.",
          LOOKING, mean_of("look_share"), "", ".1%"),
    Ratio("look_recall", "Uncertainty covered",
          "Share of the base policy's uncertain regions that is looked at.",
          LOOKING, mean_of("look_recall"), form=".1%", needs_variance=True),
    Ratio("look_errors_caught", "Errors looked at",
          "Share of the answer's errors (missed {many} and false boxes) that lie where it looked.",
          LOOKING, lambda images: (errors_looked_at(images), images["errors"]), form=".1%"),
    Ratio("look_errors_random", "The same by chance",
          "Share of the errors that look regions of the same sizes would hold anywhere else.",
          LOOKING, lambda images: (images["look_by_chance"], images["errors"]), "", ".1%", False),
    Ratio("look_lift", "Lift",
          "Errors looked at, as a multiple of chance: 1 is blind, 2 is twice as many.",
          LOOKING, lambda images: (errors_looked_at(images), images["look_by_chance"]), form=".2f"),
    *(Ratio(f"{name}_{where}", f"{title} {place}", meaning, LOOKING, of, compared=False)
      for where, place, there, tally in (
          ("looked", "where it looked", "in the look regions", looked_at),
          ("elsewhere", "elsewhere", "outside the look regions", elsewhere))
      for name, title, meaning, of in (
          ("precision50", "Precision", f"Share of right boxes {there}.", precision_sums(tally)),
          ("recall50", "Recall", f"Share of the {{many}} {there} found.", recall_sums(tally)),
          ("f1_50", "F1", f"F1 of what lies {there}.", f1_sums(tally)))),
    Whole("u_auc", "Uncertainty as a warning",
          "Probability that a region with an error is more uncertain (before training) than one"
          " without: 0.5 says nothing, 1 tells all.",
          LOOKING, lambda images: images.regions.auc(), needs_variance=True),
    Whole("u_auc_objects", "The same, where annotated",
          "Among regions with an annotated {one}: is it missed where u is high?",
          LOOKING, lambda images: images.regions.auc(images.regions.is_object),
          needs_variance=True),
    Whole("u_auc_phantoms", "The same, elsewhere",
          "Among places where nothing is annotated: is there a false box where u is high?",
          LOOKING, lambda images: images.regions.auc(~images.regions.is_object),
          needs_variance=True),
    Whole("u_ece", "Calibration error of the uncertainty",
          "Mean distance between a region's uncertainty and how often the answer errs there.",
          LOOKING, lambda images: images.regions.calibration_error(), "lower",
          needs_variance=True),
    Ratio("mean_boxes", "Boxes", "Answered boxes per image.",
          RESPONSE, mean_of("num_boxes"), "", ".2f", False),
    Ratio("mean_look_boxes", "Look regions", "Regions looked at per image.",
          RESPONSE, mean_of("num_looks"), "", ".2f", False),
    Ratio("mean_tokens", "Tokens", "Tokens written about an image, in all views and samples of it.",
          RESPONSE, mean_of("num_tokens"), "", ".0f", False),
    Ratio("mean_crops", "Crops", "Windows of an image that were looked at again, enlarged.",
          RESPONSE, mean_of("mean_crops"), "", ".2f", False, figure=crops),
    Whole("num_images", "Images", "How many were measured.", "", len, ""),
    Whole("num_objects", "Objects", "How many {many} were to be found.",
          "", lambda images: images["num_objects"].sum(), ""),
)
# fmt: on
METRICS = {metric.name: metric for metric in _METRICS}
"""The metrics by name, in the order of the metrics artifact."""


def by_group() -> dict[str, list[Metric]]:
    """The metrics that the report shows, table by table."""
    return {
        group: [metric for metric in METRICS.values() if metric.group == group] for group in GROUPS
    }


def shown() -> list[Metric]:
    """All of these metrics, in that order."""
    return [metric for metrics in by_group().values() for metric in metrics]
