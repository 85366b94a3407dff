"""The figure of the second look: it can be drawn of any results, and says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.looking_again_figure import main, write
from dipr1.errors import UserError
from tests.unit.experiment import make_experiment
from tests.unit.report.reporting import look_again

SET = "crowdscenes/validation"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_experiment(folder, arms=("base", "dipr1"), num_images=6)
    look_again(folder, "dipr1")
    return folder


def paths(run: Path, arm: str) -> tuple[Path, Path]:
    dotted = SET.replace("/", ".")
    return (
        run / f"results/predictions/{arm}/seed0/{dotted}.parquet",
        run / f"results/annotations/{SET}.parquet",
    )


def test_it_draws_the_image_asked_for_and_may_be_drawn_again(run, tmp_path):
    output = tmp_path / "figure.png"
    for _ in range(2):
        assert write(*paths(run, "dipr1+own"), output, "3") == "3"
    with Image.open(output) as drawn:
        assert (drawn.format, drawn.mode) == ("PNG", "P")
        assert drawn.width == 1260
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(10_000)}
    assert (255, 95, 210) in colours  # a box that only a window has


def test_the_program_names_what_it_chose(run, tmp_path, monkeypatch, capsys):
    predictions, annotations = paths(run, "dipr1+own")
    output = tmp_path / "figure.png"
    words = ["figure", str(predictions), "--annotations", str(annotations), "--output", str(output)]
    monkeypatch.setattr("sys.argv", words)
    main()
    assert capsys.readouterr().out.startswith(f"{output}: image ")


@pytest.mark.parametrize(
    ("arm", "name", "which"), [("dipr1+own", "99", "image '99'"), ("dipr1", None, "an image")]
)
def test_what_was_not_looked_at_again_cannot_be_drawn(run, tmp_path, arm, name, which):
    with pytest.raises(UserError, match=f"{which} looked at again is not there; see `dipr1 insp"):
        write(*paths(run, arm), tmp_path / "figure.png", name)
