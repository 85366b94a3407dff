"""Where the results of an experiment lie; nothing else knows these paths.

What belongs to one experiment lies under its name. What experiments may share lies in `shared/`,
under the names of its data set and split and a digest of all options that it depends on: there
experiments of equal options meet, and others never do.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from dipr1.config import SHARED, Config
from dipr1.datasets.options import SCENES, Conversion, Draw, Files, Style
from dipr1.options import Section
from dipr1.policies.options import SHOWN, Answering, Checkpoint
from dipr1.provenance import options_digest

CROPS = ".crops"  # `train.crops`: the crops of `train`, a split of their own
# Below `shared/`, and how many of the groups of options that `_options` lists it depends on.
KINDS = {
    "download": ("download/{dataset}/{split}-{digest}/source.json", 1),
    "annotations": ("annotations/{dataset}/{split}-{digest}.parquet", 2),
    "rejects": ("annotations/{dataset}/{split}-{digest}.rejects.parquet", 2),
    "prompts": ("prompts/{dataset}/{split}-{digest}.parquet", 2),
    "samples": ("samples/{dataset}/{split}-{digest}.parquet", 3),
    "variance": ("variance/{dataset}/{split}-{digest}.parquet", 4),
    "gain": ("variance/{dataset}/{split}-{digest}.gain.parquet", 5),
}
# what lay at the top of `results/` when experiments had no names
ONCE_AT_THE_TOP = (
    *("audit", "checkpoints", "describe", "export", "metrics", "policies", "predictions"),
    "report",
)


class Places:
    """The paths of an experiment's results.

    Args:
        experiment: whose results.
        results: folder of all experiments' results.

    Attributes:
        own: the folder of what belongs to this experiment alone.
        shared: the folder of what it may share with others.
    """

    def __init__(self, experiment: Config, results: str | Path = "results") -> None:
        self.experiment = experiment
        self.own = f"{results}/{experiment.name}"
        self.shared = f"{results}/{SHARED}"

    def pattern(self, kind: str) -> str:
        """The path of something shared, with its names and digest left open."""
        return f"{self.shared}/{KINDS[kind][0]}"

    def pattern_of_crops(self, kind: str) -> str:
        """As :meth:`pattern`, of the crops of a split."""
        return self.pattern(kind).replace("{split}", f"{{split}}{CROPS}")

    def path(self, kind: str, dataset: str, split: str) -> str:
        """Where something of a split lies that experiments may share.

        Args:
            kind: a key of `KINDS`.
            dataset, split: their names; `train.crops` is of the crops of `train`.
        """
        digest = self.digest(kind, dataset, split)
        return self.pattern(kind).format(dataset=dataset, split=split, digest=digest)

    def digest(self, kind: str, dataset: str, split: str) -> str:
        """8 hexadecimal digits of the options that something shared depends on."""
        depth = KINDS["gain" if split.endswith(CROPS) else kind][1]
        return self._digests[dataset, split.removesuffix(CROPS)][depth - 1]

    @property
    def digests(self) -> str:
        """A regular expression of the digests that the paths of this experiment hold."""
        known = {
            f"(?<=/{pattern.partition('/')[0]}/{dataset}/{split}-)"
            f"{self.digest(kind, dataset, split)}"
            for dataset, plain in self._digests
            for split in (plain, plain + CROPS)
            for kind, (pattern, _) in KINDS.items()
        }
        return "|".join(sorted(known))

    def renamed(self, path: str) -> str | None:
        """Where a result lies that earlier versions had at `path`; None where that is no such one.

        These had it in `results/`, without the experiment's name and without digests.
        """
        top, *rest = path.split("/")
        if top != "results" or len(rest) < 2 or rest[0] == Path(self.own).name:
            return None
        if rest[0] in ONCE_AT_THE_TOP:
            return "/".join([self.own, *rest])
        found = re.fullmatch(r"(\w+)/(\w+)/(\w+(?:\.crops)?)([./].*)?", "/".join(rest))
        if not found or (found[2], found[3].removesuffix(CROPS)) not in self._digests:
            return None
        folder, dataset, split, ending = found.groups("")
        kind = "gain" if ending.startswith(".gain") else folder
        if kind == "download":
            return self.path(kind, dataset, split)
        if kind not in KINDS:
            return None
        if kind == "samples":  # which lay in shards
            return self.path(kind, dataset, split)
        return (
            f"{self.shared}/{folder}/{dataset}/{split}-{self.digest(kind, dataset, split)}{ending}"
        )

    @cached_property
    def _digests(self) -> dict[tuple[str, str], list[str]]:
        """By data set and split: of the first group of options, of the first two, and so on."""
        return {
            (dataset, split): [
                options_digest({"options": groups[:depth]})[:8]
                for depth in range(1, len(groups) + 1)
            ]
            for dataset, section in self.experiment.datasets.items()
            for split in section.splits
            for groups in [self._options(dataset, split)]
        }

    def _options(self, dataset: str, split: str) -> list[dict[str, Any]]:
        """What decides how a split is got, converted, sampled, measured and cropped."""
        experiment = self.experiment
        data, policy, sample = experiment.datasets[dataset], experiment.policy, experiment.sample
        part = data.splits[split]
        drawn = _told(data, Style) | _told(part, Draw)
        told = drawn if data.format == SCENES else _told(part, Files)
        answering = Checkpoint if policy.engine == "transformers" else Answering
        return [
            {"format": data.format} | told,
            _told(data, Conversion)
            | ({"corrections": part.corrections} if part.corrections else {})
            | {name: getattr(policy, name) for name in ("model", *SHOWN) if getattr(policy, name)},
            _told(policy, answering) | _told(sample) | {"seed": experiment.seeds[0]},
            _told(experiment.variance),
            _told(experiment.crop),
        ]


def _told(section: Section, model: type[Section] | None = None) -> dict[str, Any]:
    """The options of a section, or those that it has of `model`, that are not at their defaults
    and can change a result.

    So the digests stay as they are when a later version has another option.
    """
    fields = (model or type(section)).model_fields
    values = section.model_dump(include={*fields} - section.of_machine)
    return {
        name: value
        for name, value in values.items()
        if getattr(section, name) != fields[name].default
    }
