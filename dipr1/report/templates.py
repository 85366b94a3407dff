"""HTML from the templates that lie beside this module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent


def fill(template: str, filters: dict[str, Callable], **values: object) -> str:
    """A template with its values; texts are escaped unless they are `Markup`.

    Args:
        template: name of the file.
        filters: what it may write values with.
        values: what it names; a name without a value is an error.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(values)
