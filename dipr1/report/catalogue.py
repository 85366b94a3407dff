"""What the metrics are called on the page, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes:
        name: in the metrics artifact.
        title: what a reader calls it.
        meaning: in plain words; {one} and {many} stand for what is looked for.
        better: "higher", "lower" or "" where neither is.
        form: format of a value.
    """

    name: str
    title: str
    meaning: str
    better: str = "higher"
    form: str = ".3f"


RANKED = (
    Metric(
        "AP",
        "AP",
        "COCO's average precision: 1 when every {one} is found with exact borders and no false box"
        " is thought likelier. Mean over ten overlap thresholds from 0.50 to 0.95.",
    ),
    Metric(
        "AP50",
        "AP50",
        "Average precision at overlap 0.50: found is enough, the borders need not be exact.",
    ),
    Metric("AP75", "AP75", "Average precision at overlap 0.75: borders must be good."),
    Metric(
        "AR",
        "AR",
        "COCO's average recall: share of the {many} found, mean over the ten thresholds.",
    ),
    Metric(
        "AP_crowdhuman",
        "AP (CrowdHuman)",
        "Average precision by CrowdHuman's official rules.",
    ),
    Metric(
        "MR",
        "MR⁻²",
        "CrowdHuman's log-average miss rate: {many} missed while false boxes are few.",
        "lower",
    ),
    Metric(
        "JI",
        "JI",
        "CrowdHuman's Jaccard index: matched pairs as a share of all boxes and {many}.",
    ),
)
AS_IT_IS = (
    Metric(
        "precision50",
        "Precision",
        "Share of the answered boxes that are right (overlap at least 0.50).",
    ),
    Metric("recall50", "Recall", "Share of the {many} that were found."),
    Metric(
        "f1_50",
        "F1",
        "Precision (share of boxes that are right) and recall (share of {many} found) in one"
        " number, their harmonic mean.",
    ),
    Metric("precision75", "Precision at 0.75", "Share of the answered boxes that overlap by 0.75."),
    Metric("recall75", "Recall at 0.75", "Share of the {many} found with an overlap of 0.75."),
    Metric("f1_75", "F1 at 0.75", "F1 where a box must overlap by 0.75: borders must be good."),
    Metric(
        "count_error",
        "Count error",
        "By how many the number of boxes differs from the number of {many}, mean per image.",
        "lower",
        ".2f",
    ),
)
RESPONSE = (
    Metric(
        "well_formed_rate",
        "Well-formed",
        "Share of responses exactly in the form think, look, answer.",
        "higher",
        ".1%",
    ),
    Metric(
        "parse_failure_rate",
        "Unreadable",
        "Share of responses from which no list of boxes can be read.",
        "lower",
        ".1%",
    ),
    Metric("mean_boxes", "Boxes", "Answered boxes per image.", "", ".2f"),
    Metric("mean_look_boxes", "Look regions", "Regions looked at per image.", "", ".2f"),
    Metric("mean_tokens", "Tokens", "Length of a response.", "", ".0f"),
)
LOOKING = (
    Metric("look_area_share", "Area looked at", "Share of the image's area.", "", ".1%"),
    Metric(
        "look_errors_caught",
        "Errors looked at",
        "Share of the answer's errors (missed {many} and false boxes) that lie where it looked.",
        "higher",
        ".1%",
    ),
    Metric(
        "look_errors_random",
        "The same by chance",
        "Share of the errors that look regions of the same sizes would hold anywhere else.",
        "",
        ".1%",
    ),
    Metric(
        "look_lift",
        "Lift",
        "Errors looked at, as a multiple of chance: 1 is blind, 2 is twice as many.",
        "higher",
        ".2f",
    ),
    Metric(
        "look_recall",
        "Uncertainty covered",
        "Share of the base policy's uncertain regions that is looked at.",
        "higher",
        ".1%",
    ),
    Metric("f1_50_looked", "F1 where it looked", "F1 of what lies in the look regions."),
    Metric("f1_50_elsewhere", "F1 elsewhere", "F1 of what lies outside of them."),
    Metric("precision50_looked", "Precision where it looked", "Share of right boxes in there."),
    Metric("precision50_elsewhere", "Precision elsewhere", "Share of right boxes outside."),
    Metric("recall50_looked", "Recall where it looked", "Share of the {many} in there found."),
    Metric("recall50_elsewhere", "Recall elsewhere", "Share of the {many} outside found."),
    Metric(
        "u_auc",
        "Uncertainty as a warning",
        "Probability that a region with an error is more uncertain (before training) than one"
        " without: 0.5 says nothing, 1 tells all.",
    ),
    Metric(
        "u_auc_objects",
        "The same, where annotated",
        "Among regions with an annotated {one}: is it missed where u is high?",
    ),
    Metric(
        "u_auc_phantoms",
        "The same, elsewhere",
        "Among places where nothing is annotated: is there a false box where u is high?",
    ),
    Metric(
        "u_ece",
        "Calibration error",
        "Mean distance between a region's uncertainty and how often the answer errs there.",
        "lower",
    ),
)
REWARDS = (
    Metric(
        "reward_reasoning",
        "Reasoning reward",
        "1 for a response in the three-step form, else 0.",
    ),
    Metric(
        "reward_looking",
        "Looking reward",
        "Do the look regions cover, and only cover, where the base policy's boxes vary?",
    ),
    Metric(
        "reward_accuracy",
        "Accuracy reward",
        "Weighted precision and recall of the boxes; {many} the base policy is unsure of weigh"
        " more.",
    ),
)
GROUPS = {
    "Ranked boxes: how well the boxes, most likely first, match the annotated {many}": RANKED,
    "The answer as it is: every box counts, none is ranked": AS_IT_IS,
    "The response": RESPONSE,
    "Looking: do the look regions lie where the answer errs?": LOOKING,
    "The three rewards, measured on these images": REWARDS,
}
METRICS = {metric.name: metric for metrics in GROUPS.values() for metric in metrics}
