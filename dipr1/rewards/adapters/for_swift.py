"""The rewards for ms-swift: a class for each, such as `DipLooking`, under ``dipr1_`` and its name.

With the path of this file, which ``python -c "import dipr1.rewards.adapters.for_swift as m;
print(m.__file__)"`` prints, and weights in the order of the names (4.6)::

    swift rlhf --rlhf_type grpo --external_plugins PATH/for_swift.py \\
        --reward_funcs dipr1_reasoning dipr1_looking dipr1_accuracy --reward_weights 1 0.3 3

The data set has the columns of :mod:`dipr1.rewards`. A value may be JSON in place of a list, for
data sets whose columns must be text. ``dipr1_looking_group`` takes the regions from the prompt's
other responses in the call (:mod:`dipr1.rewards.looking`, source "group").

Where the prompt ends in `<think>` the data set has a column ``prompt_end`` with that, unless
ms-swift puts it before the response itself (a template's ``response_prefix``).

ms-swift 4.6 wants older transformers and trl than ``dipr1[train]``: install ``dipr1`` alone beside
it.

How ms-swift calls them: modelscope/ms-swift, swift/rewards/orm.py, swift/rlhf_trainers/utils.py
(``orms[name](args=args)``) and swift/rl_core/grpo_algorithm.py (``reward(completions, **columns)``,
None for a row that a reward does not apply to). They are computed within milliseconds, so none is
an ``AsyncORM``, which is for waiting on a server.

>>> orms["dipr1_reasoning"]()(["<think>empty</think><look>[]</look><answer>[]</answer>", "no"])
[1.0, 0.0]
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from typing import Any

from dipr1.rewards import REWARDS, LookingReward
from dipr1.rewards.completions import LABELS, PROMPT_END
from dipr1.rewards.scores import GROUND_TRUTH, GROUP


def _home() -> tuple[type, dict[str, type]]:
    """ms-swift's base class of rewards and its list of them; of our own where there is none.

    Raises:
        ImportError: there is a package `swift`, but its rewards are not where they should be.
    """
    reasons = []
    for name in ("swift.rewards", "swift.plugin"):  # 4, and 3
        try:
            home = importlib.import_module(name)
            return getattr(home, "ORM", object), home.orms
        except (ImportError, AttributeError) as error:
            reasons.append(f"{name}: {error}")
    if importlib.util.find_spec("swift"):
        raise ImportError(f"found no rewards of ms-swift 3 or 4 ({'; '.join(reasons)})")
    return object, {}


ORM, orms = _home()


def _read(name: str, column: Sequence[Any]) -> Sequence[Any]:
    """A column, JSON in it read; what is no JSON of a list is the name of a label or an image."""
    if name in (*GROUP, PROMPT_END) or isinstance(column, str):
        return column
    return [
        json.loads(value)
        if isinstance(value, str) and (name not in LABELS or value.lstrip().startswith("["))
        else value
        for value in column
    ]


class _Reward(ORM):
    """A reward as ms-swift makes and calls it."""

    reward: Callable[..., list[float | None]]

    def __init__(self, args: Any = None, **others: Any) -> None:
        self.args = args

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion, None where the row lacks what it needs."""
        names = [name for name in (*GROUND_TRUTH, *GROUP) if columns.get(name) is not None]
        return self.reward(completions, **{name: _read(name, columns[name]) for name in names})


def _register(name: str, reward: Callable[..., list[float | None]]) -> None:
    """Make the class of a reward, `DipLooking` for `looking`, known here and to ms-swift."""
    members = {"reward": reward, "__doc__": type(reward).__doc__}
    made = type(f"Dip{name.title().replace('_', '')}", (_Reward,), members)
    orms[f"dipr1_{name}"] = made
    globals()[made.__name__] = made  # pickle looks a class up in its module


for _name in REWARDS:
    _register(_name, REWARDS[_name].make())
_register("looking_group", LookingReward(source="group"))
