"""The tower and the projector are the same parts of every family."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.training.freezing import freeze
from tests.unit.miniatures import MAKERS

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module", params=MAKERS)
def parts(request) -> tuple:
    """A model, and the beginnings of its weights' names: the tower's and the projector's."""
    model, _ = MAKERS[request.param]()
    if request.param == "internvl":
        return model, "model.vision_tower.", ("model.multi_modal_projector.",)
    inner = ("model.visual.merger.", "model.visual.deepstack_merger_list.")
    return model, "model.visual.", inner


@pytest.mark.parametrize(
    ("vision", "projector", "frozen"),
    [
        (True, None, {"tower", "projector"}),
        (True, False, {"tower"}),
        (False, True, {"projector"}),
        (False, None, set()),
    ],
)
def test_each_part_is_frozen_by_its_name(parts, vision, projector, frozen):
    model, tower, inner = parts
    model.requires_grad_(True)
    assert freeze(model, vision, projector) == (len(frozen) == 2)
    found = set()
    for name, weight in model.named_parameters():
        part = "projector" if name.startswith(inner) else "tower" if name.startswith(tower) else ""
        assert weight.requires_grad == (part not in frozen), name
        found.add(part)
    assert found == {"tower", "projector", ""}


def test_a_model_without_a_tower_is_told():
    with pytest.raises(UserError, match="freeze_vision: Linear has no part called visual, vision"):
        freeze(torch.nn.Linear(1, 1), vision=True)
    with pytest.raises(UserError, match="set training.freeze_projector to false"):
        freeze(torch.nn.Linear(1, 1), vision=False, projector=True)
    assert not freeze(torch.nn.Linear(1, 1), vision=False)
