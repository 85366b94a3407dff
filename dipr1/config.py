"""Every option with its default, bounds and meaning: the only place that knows them.

The models below check ``config.yaml``, make ``workflow/schemas/config.schema.yaml``
(``python -m dipr1.config``) and give the command line its flags.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dipr1.errors import UserError

Name = r"^[A-Za-z0-9_]+$"


class Section(BaseModel):
    """A part of the configuration; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class Split(Section):
    """One split of a data set."""

    num_images: int = Field(300, ge=1, description="Images to generate (format `scenes`).")
    seed: int = Field(0, ge=0, description="Seed of the generator (format `scenes`).")
    annotations: str | None = Field(None, description="Annotation file (formats read from disk).")
    images: str | None = Field(None, description="Folder of the images (formats read from disk).")
    source: str | None = Field(
        None,
        description="A known data set to fetch, such as `coco.val2017` (`dipr1 download --help`"
        " lists them); `annotations` and `images` are then not needed.",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="An archive to fetch; `annotations` and `images` are then paths in it.",
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="Of the archive under `url`."
    )


class Dataset(Section):
    """A data set: where its annotations come from and which labels are asked for."""

    format: Literal[
        "scenes",
        "caltech",
        "citypersons",
        "coco",
        "crowdhuman",
        "eurocity",
        "kitti",
        "mot",
        "pennfudan",
        "uavdt",
        "visdrone",
        "voc",
        "wider",
    ] = Field(
        "scenes", description="`scenes` generates built-in crowds; others read annotation files."
    )
    style: Literal["street", "night"] = Field("street", description="Look of the built-in scenes.")
    labels: list[str] = Field(
        ["person"], min_length=1, description="Labels that the prompt asks for."
    )
    ignore_labels: list[str] = Field(
        [], description="Labels whose boxes become ignore regions of the first of `labels`."
    )
    box: Literal["full", "visible", "head"] = Field(
        "full", description="Which of an object's boxes, where the format has several."
    )
    min_inside: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Boxes with less than this share of their area inside the image are rejected.",
    )
    min_size: float = Field(
        0.0, ge=0, description="Boxes whose longer side is under this many pixels are ignored."
    )
    strict: bool = Field(False, description="Stop where any record is rejected.")
    splits: dict[str, Split] = Field(min_length=1, description="Splits by name.")

    @model_validator(mode="after")
    def _files_are_given(self) -> Dataset:
        for name, split in self.splits.items():
            if split.source:
                _check_source(name, split.source, self.format)
            elif self.format != "scenes" and not (split.annotations and split.images):
                raise ValueError(
                    f"split {name!r} of format {self.format!r} needs `annotations` and `images`,"
                    " or a `source`"
                )
        return self


def _check_source(split: str, source: str, format_name: str) -> None:
    from dipr1.datasets.sources import SOURCES

    if source not in SOURCES:
        raise ValueError(f"split {split!r}: no source {source!r}; there are {', '.join(SOURCES)}")
    if SOURCES[source].format != format_name:
        raise ValueError(
            f"split {split!r}: source {source!r} is of format {SOURCES[source].format!r} but the"
            f" data set's is {format_name!r}"
        )


class Policy(Section):
    """The base MLLM."""

    model: str = Field("tiny", description="`tiny` (shipped), or a Hugging Face checkpoint folder.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Weights' type.")


class Sample(Section):
    """Responses sampled from the base policy, from which the variance is measured."""

    num_samples: int = Field(8, ge=1, description="Responses per image (N in the method).")
    temperature: float = Field(1.0, ge=0, description="Sampling temperature; 0 is greedy.")
    max_new_tokens: int = Field(160, ge=1, description="Longest response, in tokens.")
    batch_size: int = Field(128, ge=1, description="Responses generated together.")


class Variance(Section):
    """Box-variance statistics (docs: the method, section 4)."""

    match_iou: float = Field(0.5, gt=0, le=1, description="Least IoU of a matched pair.")
    v0: float = Field(0.01, gt=0, description="Box variance that multiplies certainty by 1/e.")
    audit_rows: int = Field(1000, ge=0, description="At most so many suspects of a split.")


class Training(Section):
    """What all trained arms share."""

    dataset: str = Field("crowdscenes", description="Data set that is trained on.")
    split: str = Field("train", description="Its split.")
    wordings: int = Field(
        1,
        ge=1,
        le=4,
        description="Wordings of a question about an image: the usual one, and others drawn for"
        " each image. Sampling and evaluation always use the usual one.",
    )
    ask: Literal["all", "each", "both"] = Field(
        "all",
        description="Ask for all labels together, for each alone (also where an image has none of"
        " it), or both.",
    )
    absent_labels: list[str] = Field(
        [],
        description="Labels that no image of the split has: each image is asked for one of them as"
        " well, and the right answer is `[]`.",
    )
    updates: int = Field(50, ge=1, description="Optimiser steps, the same for every arm.")
    prompts_per_update: int = Field(16, ge=1, description="Different prompts in one update.")
    group_size: int = Field(8, ge=2, description="Responses per prompt (GRPO).")
    micro_batch_size: int = Field(
        64, ge=1, description="Responses in one forward and backward pass."
    )
    learning_rate: float = Field(3e-5, gt=0, description="GRPO learning rate, constant.")
    sft_learning_rate: float = Field(3e-5, gt=0, description="SFT learning rate, constant.")
    sft_think: str = Field(
        "{count} objects.",
        min_length=1,
        description="SFT: what the teacher thinks; {count} is the number of objects.",
    )
    sft_why: str | None = Field(None, description="SFT: the teacher's `why` of every look.")
    max_grad_norm: float = Field(0.2, gt=0, description="Gradient norm is clipped to this.")
    max_completion_length: int = Field(160, ge=1, description="Longest response, in tokens.")
    temperature: float = Field(1.0, gt=0, description="Temperature of the rollouts.")
    loss_type: Literal["dapo", "bnpo", "grpo", "dr_grpo"] = Field(
        "dapo",
        description="TRL's name of the loss; `bnpo` with one group per micro-batch is the sum over"
        " the group's tokens divided by their number.",
    )
    beta: float = Field(0.0, ge=0, description="Weight of the KL term; 0 keeps no reference model.")
    bias_correction_kl: bool = Field(
        False, description="TRL's importance-corrected KL; false is the plain k3 estimator."
    )
    freeze_vision: bool = Field(True, description="Train the language model only.")
    gradient_checkpointing: bool = Field(
        False, description="Trade time for memory: needed for models of billions of parameters."
    )
    save_every: int = Field(10, ge=1, description="Updates between checkpoints.")


class Arm(Section):
    """One way to train, compared with the others."""

    method: Literal["none", "sft", "grpo"] = Field(description="`none` is the base policy itself.")
    rewards: dict[Literal["reasoning", "looking", "accuracy"], float] = Field(
        {}, description="GRPO: weight of each reward."
    )
    looking_source: Literal["precomputed", "group"] = Field(
        "precomputed",
        description="Looking: whose boxes vary, those of the base policy, measured beforehand, or"
        " those of the prompt's other responses (docs/method.md, section 5).",
    )
    quality: Literal["soft", "hard"] = Field("soft", description="Accuracy: c = IoU or c = 1.")
    aggregate: Literal["fbeta", "mean", "precision", "recall"] = Field(
        "fbeta", description="Accuracy: how precision and recall become one number."
    )
    uncertainty_weight: float = Field(
        1.0, ge=0, description="Accuracy: lambda in w = 1 + lambda * u; 0 weighs all people alike."
    )

    @model_validator(mode="after")
    def _grpo_has_rewards(self) -> Arm:
        if self.method == "grpo" and not any(self.rewards.values()):
            raise ValueError("an arm of method 'grpo' needs at least one reward with a weight")
        return self


class Evaluation(Section):
    """What the arms are measured on."""

    sets: list[str] = Field(
        ["crowdscenes.validation"],
        min_length=1,
        description="`dataset.split`; the first one is the report's headline.",
    )
    score: Literal["confidence", "likelihood", "order", "constant"] = Field(
        "confidence",
        description="What ranks the boxes for AP, MR and JI, as MLLMs print no score: the mean"
        " probability of a box's number tokens, their geometric mean, the place in the answer, or"
        " nothing.",
    )


class Report(Section):
    """The page."""

    num_images: int = Field(
        60,
        ge=0,
        description="Images in the page's viewer per evaluation set; at most 200 in all.",
    )
    num_suspects: int = Field(24, ge=0, description="Likely label errors shown as crops.")
    resamples: int = Field(
        1000, ge=100, description="Times that images and seeds are drawn again for the intervals."
    )


class Config(Section):
    """The whole experiment."""

    seeds: list[int] = Field([0], min_length=1, description="One training run per arm and seed.")
    num_shards: int = Field(2, ge=1, description="Parts in which a split is sampled.")
    datasets: dict[str, Dataset] = Field(min_length=1, description="Data sets by name.")
    policy: Policy = Field(Policy(), description="The base MLLM.")
    sample: Sample = Field(Sample(), description="Responses of the base policy.")
    variance: Variance = Field(Variance(), description="Box-variance statistics.")
    training: Training = Field(Training(), description="Training.")
    arms: dict[str, Arm] = Field(min_length=1, description="Arms of the comparison by name.")
    evaluation: Evaluation = Field(Evaluation(), description="Evaluation.")
    report: Report = Field(Report(), description="The report.")

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        known = [f"{name}.{split}" for name, data in self.datasets.items() for split in data.splits]
        trained = f"{self.training.dataset}.{self.training.split}"
        for where, wanted in [("training", trained)] + [
            ("evaluation.sets", name) for name in self.evaluation.sets
        ]:
            if wanted not in known:
                raise ValueError(f"{where}: no data set {wanted!r}; there are {', '.join(known)}")
        for kind, names in (("datasets", self.datasets), ("arms", self.arms)):
            for name in names:
                if not name.replace("_", "").isalnum():
                    raise ValueError(f"{kind}: name {name!r} may hold letters, digits and _ only")
        return self


def check(values: dict[str, Any], source: str = "config.yaml") -> Config:
    """Check a configuration and fill in the defaults.

    Args:
        values: the parsed YAML.
        source: the file's name, for the message.

    Raises:
        UserError: one line with the key, the value found and what is allowed.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {explain(error, Config)}") from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation, as one line: key, value, what is allowed."""
    fault = error.errors(include_url=False)[0]
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    key = ".".join(path) or "(top level)"
    if fault["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(model, path[:-1]))
        near = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key {key!r}; {hint}allowed here: {', '.join(allowed)}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if fault["type"] in ("missing", "value_error"):
        return f"{key}: {message}" if path else message
    return f"{key}: found {fault['input']!r}; {message}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the model that `path` leads to, through dictionaries too."""
    for part in path:
        if part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inner = getattr(annotation, "__args__", (annotation,))[-1]
            model = inner if isinstance(inner, type) else model
    return list(model.model_fields)


def json_schema() -> dict[str, Any]:
    """The JSON schema of ``config.yaml``, generated from the models."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def schema_text() -> str:
    """The text of ``workflow/schemas/config.schema.yaml``."""
    import yaml

    head = "# Generated by `python -m dipr1.config` from dipr1/config.py; do not edit.\n"
    return head + yaml.safe_dump(json_schema(), sort_keys=False, width=100)


def load(path: str | Path) -> Config:
    """Read and check a configuration file.

    Raises:
        UserError: it is missing, is not YAML, or has a wrong key or value.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys and values but got {type(values).__name__}")
    return check(values, str(path))


def options_page() -> str:
    """The text of ``docs/configuration.md``: a table of every section's options."""
    lines = [
        "# Configuration",
        "",
        "Generated by `python -m dipr1.config` from `dipr1/config.py`; do not edit. A wrong key or",
        "value is answered with one line that names it and what is allowed.",
    ]
    sections: list[tuple[str, type[Section]]] = [
        ("(top level)", Config),
        ("datasets.NAME", Dataset),
        ("datasets.NAME.splits.NAME", Split),
        ("policy", Policy),
        ("sample", Sample),
        ("variance", Variance),
        ("training", Training),
        ("arms.NAME", Arm),
        ("evaluation", Evaluation),
        ("report", Report),
    ]
    for key, model in sections:
        title = (model.__doc__ or "").splitlines()[0]
        lines += ["", f"## {key}", title, "", "| option | allowed | default | meaning |"]
        lines += ["|---|---|---|---|"]
        schema = model.model_json_schema()
        for name, field in model.model_fields.items():
            shown = "required" if field.is_required() else _default_text(field.default)
            allowed = _allowed_text(schema["properties"][name])
            lines.append(f"| `{name}` | {allowed} | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def _default_text(default: Any) -> str:
    return "see below" if isinstance(default, Section) else f"`{default!r}`"


def _allowed_text(schema: dict[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_allowed_text(option) for option in schema["anyOf"])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[name]:g}" for name, sign in signs.items() if name in schema]
    kind = {"array": "list", "object": "mapping", "null": "nothing"}.get(
        schema.get("type", ""), schema.get("type", "section")
    )
    return " ".join([kind, *bounds])


if __name__ == "__main__":
    root = Path(__file__).parents[1]
    schema_file = root / "workflow" / "schemas" / "config.schema.yaml"
    schema_file.write_text(schema_text(), encoding="utf-8")
    (root / "docs" / "configuration.md").write_text(options_page(), encoding="utf-8")
