"""The experiment's configuration: the sections that the rooms own, put together and checked.

``python -m dipr1.config`` makes ``workflow/schemas/config.schema.yaml`` and the tables of
``docs/configuration.md`` and ``docs/datasets.md`` from them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from dipr1.datasets.options import Dataset, Split
from dipr1.datasets.page import filled
from dipr1.errors import UserError
from dipr1.evaluation.options import Evaluation
from dipr1.options import Section, explain, flags, members, without
from dipr1.policies.options import BasePolicy, Crop, NamedLook, Sample
from dipr1.report.options import Report
from dipr1.training.options import (
    Arm,
    Seeds,
    Training,
    of_machine,
    settled,
    shared_options,
    without_meaning,
)

SHARED = "shared"  # in place of a name: what experiments have in common


class Variance(Section):
    """Box-variance statistics (docs: the method, section 4)."""

    match_iou: float = Field(0.5, gt=0, le=1, description="Least IoU of a matched pair.")
    v0: float = Field(0.01, gt=0, description="Box variance that multiplies certainty by 1/e.")
    least_readable: float = Field(
        0.5, ge=0, le=1, description="Least share of readable responses; below it is an error."
    )


class Audit(Section):
    """The search for label errors."""

    without_flag = frozenset({"corrected"})

    rows: int = Field(1000, ge=0, description="Suspects that are listed per split, at most.")
    planted: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of the labels that are changed in a copy, to find out how far suspects"
        " can be trusted if as many are wrong; 0 leaves it out.",
    )
    corrected: dict[str, str] = Field(
        {},
        description="By a set, `DATASET.SPLIT`, another one of the same image ids whose labels"
        " somebody has corrected: it is searched too, and told which suspects are errors.",
    )


class Config(Section):
    """The whole experiment."""

    name: str = Field(
        "experiment",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        description="Its results lie in `results/NAME`; without it, NAME is that of the"
        " configuration file, without its suffix.",
    )
    seeds: Seeds = Field([0], min_length=1, description="One training run per arm and seed.")
    num_shards: int = Field(2, ge=1, description="Shards in which a split is sampled.")
    datasets: dict[str, Dataset] = Field(min_length=1, description="Data sets by name.")
    policy: BasePolicy = Field(BasePolicy(), description="The base MLLM.")
    sample: Sample = Field(Sample(), description="Responses of the base policy.")
    variance: Variance = Field(Variance(), description="Box-variance statistics.")
    audit: Audit = Field(Audit(), description="The search for label errors.")
    crop: Crop = Field(
        Crop(), description="Crops of uncertain regions: for training, and for what looking gains."
    )
    training: Training = Field(Training(), description="Training.")
    arms: dict[str, Arm] = Field(min_length=1, description="Arms of the comparison by name.")
    evaluation: Evaluation = Field(Evaluation(), description="Evaluation.")
    report: Report = Field(Report(), description="The report.")

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name == SHARED:
            raise ValueError(f"{name!r} is where experiments share results; give another name")
        return name

    def seeds_of(self, arm: str) -> list[int]:
        """The seeds of an arm; one that is not trained is the same for all, and runs once."""
        section = self.arms[arm]
        if section.method == "none":
            return self.seeds[:1]
        return section.seeds or self.seeds

    @model_validator(mode="before")
    @classmethod
    def _audit_rows_had_another_place(cls, values: Any) -> Any:
        """Older configurations say `variance.audit_rows` for `audit.rows`."""
        if not (isinstance(values, dict) and isinstance(values.get("variance"), dict)):
            return values
        variance = dict(values["variance"])
        if "audit_rows" not in variance:
            return values
        if "audit" in values:
            raise ValueError("variance.audit_rows is now audit.rows; give one of the two only")
        rows = variance.pop("audit_rows")
        return values | {"variance": variance, "audit": {"rows": rows}}

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        known = [f"{name}.{split}" for name, data in self.datasets.items() for split in data.splits]
        trained = f"{self.training.dataset}.{self.training.split}"
        corrected = self.audit.corrected
        for where, wanted in [
            ("training", trained),
            *(("evaluation.sets", name) for name in self.evaluation.sets),
            *(("audit.corrected", name) for name in [*corrected, *corrected.values()]),
        ]:
            if wanted not in known:
                raise ValueError(f"{where}: no data set {wanted!r}; there are {', '.join(known)}")
        for kind, names in (("datasets", self.datasets), ("arms", self.arms)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                    raise ValueError(f"{kind}: name {name!r} may hold letters, digits and _ only")
        return self

    @model_validator(mode="after")
    def _arms_start_from_others(self) -> Config:
        for name in self.arms:
            before = [name]
            while start := getattr(self.arms[before[-1]], "start", None):
                where = f"arms.{before[-1]}: start is {start!r}"
                if start not in self.arms or self.arms[start].method == "none":
                    trained = [one for one, arm in self.arms.items() if arm.method != "none"]
                    raise ValueError(f"{where}, but the arms that train are {', '.join(trained)}")
                if start in before:
                    raise ValueError(f"{where}, but that arm itself begins with {before[-1]!r}")
                if lacking := set(self.seeds_of(before[-1])) - set(self.seeds_of(start)):
                    raise ValueError(f"{where}, which has no seed {min(lacking)}; give it the same")
                before.append(start)
        return self

    @model_validator(mode="after")
    def _arms_are_settled(self) -> Config:
        self.arms = {name: settled(arm, self.training) for name, arm in self.arms.items()}
        for name, arm in self.arms.items():
            if getattr(arm, "crops", 0) > self.crop.max_regions:
                raise ValueError(
                    f"arms.{name}: crops is {arm.crops}, but an image has {self.crop.max_regions}"
                    " of them at most; raise crop.max_regions"
                )
        return self


def check(values: dict[str, Any], source: str = "config.yaml") -> Config:
    """Check a configuration and fill in the defaults.

    Args:
        values: the parsed YAML.
        source: the file's name, for the message; the experiment is called like it, where the
            values give it no name.

    Raises:
        UserError: one line with the key, the value found and what is allowed.
    """
    try:
        return Config.model_validate({"name": Path(source).stem} | values)
    except ValidationError as error:
        raise UserError(f"{source}: {explain(error, Config)}") from None


def train_flags(config: Config, arm: str) -> str:
    """The flags of ``dipr1 train`` on which depends what an arm learns, and no others."""
    section = config.arms[arm]
    return flags(without(section, without_meaning(section) | of_machine(section)))


def machine_flags(config: Config, arm: str) -> str:
    """The other flags of ``dipr1 train`` for an arm, those of :func:`of_machine`."""
    section = config.arms[arm]
    spelled = of_machine(section) - without_meaning(section)
    return flags(without(section, set(section.flagged()) - spelled))


def json_schema() -> dict[str, Any]:
    """The JSON schema of ``config.yaml``, generated from the models."""
    schema = Config.model_json_schema()
    for arm in members(Arm).values():
        for name in shared_options(arm):
            # what `training` says is the default here
            schema["$defs"][arm.__name__]["properties"][name].pop("default", None)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def schema_text() -> str:
    """The text of ``workflow/schemas/config.schema.yaml``."""
    head = "# Generated by `python -m dipr1.config`; do not edit.\n"
    return head + yaml.safe_dump(json_schema(), sort_keys=False, width=100)


def load(path: str | Path) -> Config:
    """Read and check a configuration file.

    Raises:
        UserError: it is missing, is not YAML, or has a wrong key or value.
    """
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
        "Generated by `python -m dipr1.config`; do not edit. A wrong key or value is answered with",
        "one line that names it and what is allowed.",
    ]
    sections: list[tuple[str, type[Section]]] = [
        ("(top level)", Config),
        ("datasets.NAME", Dataset),
        ("datasets.NAME.splits.NAME", Split),
        ("policy", BasePolicy),
        ("sample", Sample),
        ("variance", Variance),
        ("audit", Audit),
        ("crop", Crop),
        ("training", Training),
        *((f"arms.NAME, method {method}", arm) for method, arm in members(Arm).items()),
        ("arms.NAME.look_again", NamedLook),
        ("evaluation", Evaluation),
        ("report", Report),
    ]
    for key, model in sections:
        shared = shared_options(model) if key.startswith("arms.") else []
        lines += ["", f"## {key}", (model.__doc__ or "").splitlines()[0]]
        if shared:
            names = ", ".join(f"`{name}`" for name in shared)
            lines += ["", f"An arm may also set for itself, in place of `training`: {names}."]
        lines += ["", *_table(model, shared)]
    return "\n".join(lines) + "\n"


def _table(model: type[Section], left_out: Sequence[str]) -> list[str]:
    """The options of a section, in Markdown."""
    lines = ["| option | allowed | default | meaning |", "|---|---|---|---|"]
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if name not in left_out:
            shown = "required" if field.is_required() else _default_text(field.default)
            allowed = _allowed_text(schema["properties"][name])
            lines.append(f"| `{name}` | {allowed} | {shown} | {field.description} |")
    return lines


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
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = {"array": "list", "object": "mapping", "null": "nothing"}.get(
        schema.get("type", ""), schema.get("type", "section")
    )
    return " ".join([kind, *bounds])


if __name__ == "__main__":
    root = Path(__file__).parents[1]
    schema_file = root / "workflow" / "schemas" / "config.schema.yaml"
    schema_file.write_text(schema_text(), encoding="utf-8")
    (root / "docs" / "configuration.md").write_text(options_page(), encoding="utf-8")
    data_page = root / "docs" / "datasets.md"
    data_page.write_text(filled(data_page.read_text(encoding="utf-8")), encoding="utf-8")
