"""Adapter folders: what LoRA has learned, in peft's own form, and on which base.

The base stands in `base.json` beside the adapter: where it lies, and the digest of its weights,
since an adapter of other weights gives answers that nobody trained. Adapters that other tools made
have no such file: their base is the one that `adapter_config.json` names, and it cannot be checked.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

from dipr1.artifacts.made import from_here, relative
from dipr1.errors import UserError

CONFIG = "adapter_config.json"
BASE = "base.json"
CHUNKS, CHUNK = 64, 1 << 16  # of a file of weights: enough to tell any two trainings apart


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole checkpoint."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path) -> tuple[str, str | None]:
    """The base of an adapter, a folder or `tiny`, and the digest of its weights where it is known.

    Raises:
        UserError: nothing says which it is.
    """
    record, config = _json(folder / BASE), _json(folder / CONFIG)
    if record is not None:
        return from_here(str(record.get("policy")), folder), record.get("weights")
    if named := (config or {}).get("base_model_name_or_path"):
        return str(named), None
    raise UserError(f"{folder / CONFIG}: does not name its base (base_model_name_or_path); name it")


def write_base(folder: Path, name: str, weights: str) -> None:
    """Say in an adapter's folder which base it is of, by name or folder and digest."""
    record = {"policy": relative(name, folder), "weights": weights}
    (folder / BASE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def weights_digest(folder: Path) -> str:
    """SHA-256 in hexadecimal of a checkpoint's weights: of parts of each file, and their sizes.

    Reading the whole of a large checkpoint takes minutes; another training changes every part.
    """
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    files += [path for path in (folder / CONFIG, folder / BASE) if path.is_file()]
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with open(path, "rb") as file:
            for start in sorted({size * part // CHUNKS for part in range(CHUNKS)}):
                file.seek(start)
                digest.update(file.read(CHUNK))
    return digest.hexdigest()


def merged(model, folder: Path):
    """A base with its adapter added to its weights: in float32, then rounded to their own type.

    Raises:
        UserError: the adapter is not one of this model.
    """
    from peft import PeftModel

    try:
        with warnings.catch_warnings():  # peft 0.21 asks transformers by an old name
            warnings.filterwarnings("ignore", ".*gradient_checkpointing.*", FutureWarning)
            adapted = PeftModel.from_pretrained(model, folder)
    except (RuntimeError, ValueError, KeyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{folder}: is no adapter of its base ({why:.120})") from None
    # peft has frozen it, but it may be trained on
    return adapted.merge_and_unload().requires_grad_(True)


def _json(path: Path) -> dict | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); train again or restore it") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object but got {type(content).__name__}")
    return content
