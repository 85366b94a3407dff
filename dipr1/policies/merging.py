"""An adapter and its base as one checkpoint, for tools that take no adapters."""

from __future__ import annotations

from pathlib import Path

from dipr1.artifacts.made import made_by, read_made, write_made
from dipr1.artifacts.writing import whole
from dipr1.errors import UserError
from dipr1.policies.adapters import is_adapter
from dipr1.policies.families import policy_folder, policy_input
from dipr1.policies.load import load_policy


def write_merged(adapter: str, dtype: str, output: Path) -> None:
    """Write the checkpoint that answers as an adapter on its base does.

    Args:
        adapter: its folder.
        dtype: type of the weights; in the same type, `predict` answers alike with both.
        output: the checkpoint's folder.

    Raises:
        UserError: the folder holds a whole checkpoint, or the base is missing or another one.
    """
    folder = policy_folder(adapter)
    if not is_adapter(folder):
        raise UserError(f"{adapter}: is a whole checkpoint; --merge takes the folder of an adapter")
    policy, trained = load_policy(adapter, dtype), read_made(folder)
    frame = {name: kind for name, kind in (trained.options or {}).items() if name == "frame"}
    made = made_by(
        "export",
        {"merge": True, "dtype": dtype} | frame,
        [policy_input(adapter)],
        arm=trained.arm,
        seed=trained.seed,
        dataset=trained.dataset,
        split=trained.split,
    )
    with whole(output) as part:
        policy.model.save_pretrained(part)
        policy.processor.save_pretrained(part)
        write_made(part, "policy", made)
