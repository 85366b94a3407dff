"""The rewards for ms-swift: a class for each, such as `DipLooking`, under ``dipr1_`` and its name.

With the path of this file, which ``python -c "import dipr1.rewards.adapters.for_swift as m;
print(m.__file__)"`` prints, and weights in the order of the names (4.6)::

    swift rlhf --rlhf_type grpo --external_plugins PATH/for_swift.py \\
        --reward_funcs dipr1_reasoning dipr1_looking dipr1_accuracy --reward_weights 1 0.3 3

The data set has the columns of :mod:`dipr1.rewards`. A value may be JSON in place of a list, for
data sets whose columns must be text.

How ms-swift calls them: modelscope/ms-swift, swift/rewards/orm.py, swift/rlhf_trainers/utils.py
(``orms[name](args=args)``) and swift/rl_core/grpo_algorithm.py (``reward(completions, **columns)``,
None for a row that a reward does not apply to). They are computed within milliseconds, so none is
an ``AsyncORM``, which is for waiting on a server.

>>> orms["dipr1_reasoning"]()(["<think>empty</think><look>[]</look><answer>[]</answer>", "no"])
[1.0, 0.0]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from dipr1.rewards import REWARDS
from dipr1.rewards.scores import GROUND_TRUTH

try:
    from swift.rewards import ORM, orms
except ImportError:
    ORM, orms = object, {}


def _read(column: Sequence[Any]) -> list[Any]:
    return [json.loads(value) if isinstance(value, str) else value for value in column]


class _Reward(ORM):
    """A reward as ms-swift makes and calls it."""

    reward: Callable[..., list[float | None]]

    def __init__(self, args: Any = None, **others: Any) -> None:
        self.args = args

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion, None where the row lacks what it needs."""
        given = {name: _read(columns[name]) for name in GROUND_TRUTH if name in columns}
        return self.reward(completions, **given)


def _as_class(name: str) -> type[_Reward]:
    """The class of a reward: `DipLooking` for `looking`."""
    reward = REWARDS[name].make()
    members = {"reward": reward, "__doc__": type(reward).__doc__}
    return type(f"Dip{name.title().replace('_', '')}", (_Reward,), members)


for _name in REWARDS:
    orms[f"dipr1_{_name}"] = _made = _as_class(_name)
    globals()[_made.__name__] = _made  # pickle looks a class up in its module
