"""Load a policy: its model, its processor and its images in the frame it reads."""

from __future__ import annotations

import math
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dipr1.errors import UserError
from dipr1.frames import Bounds
from dipr1.pixels import TURN, seen
from dipr1.policies.adapters import base_of, is_adapter, merged, weights_digest
from dipr1.policies.bounding import bound
from dipr1.policies.families import policy_folder, whole_folder
from dipr1.policies.quantised import check_four_bit, four_bit_arguments

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel, ProcessorMixin


# In a family's config.json: tokens that stand for pixels. One in a response would want pixels, too.
PLACEHOLDERS = (
    "image_token_id",
    "video_token_id",
    "vision_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
)
OPENED_BYTES = 1 << 27  # of decoded files: windows of an image are asked about one after another


def open_image(path: str, exif: str = TURN) -> Image.Image:
    """Decode an image file as it is seen.

    Args:
        path: the image file.
        exif: what becomes of its EXIF orientation.

    Raises:
        UserError: the file cannot be read as an image.
    """
    try:
        with Image.open(path) as opened:
            return seen(opened, exif)
    # Pillow's plugins raise whatever the broken bytes lead to (SyntaxError, struct.error, ...).
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as an image ({error}); mend the file, or convert again with"
            " --decode, which leaves broken images out"
        ) from None


class ImageCache:
    """Images that `load` gives: the last `least` ones used, and others while `most` bytes last."""

    def __init__(self, load: Callable[..., Image.Image], most: int, least: int = 0) -> None:
        self._load, self._most, self._least, self._held = load, most, least, 0
        self._images: OrderedDict[tuple, Image.Image] = OrderedDict()

    def load(self, *source: Any) -> Image.Image:
        """The image that `load` gives for these arguments."""
        image = self._images.pop(source, None)
        if image is None:
            image = self._load(*source)
            self._held += _num_bytes(image)
        self._images[source] = image
        while self._held > self._most and len(self._images) > self._least:
            self._held -= _num_bytes(self._images.popitem(last=False)[1])
        return image


def _num_bytes(image: Image.Image) -> int:
    return 3 * image.width * image.height


@dataclass
class LoadedPolicy:
    """A multimodal LLM ready to answer.

    Attributes:
        model: in evaluation mode.
        processor: of its prompts and images.
        opened: image files that it was shown last, decoded.
    """

    model: PreTrainedModel
    processor: ProcessorMixin
    opened: ImageCache = field(default_factory=lambda: ImageCache(open_image, OPENED_BYTES))

    def image(self, row: Mapping[str, Any]) -> Image.Image:
        """What it is shown of the image of a row of the prompts artifact.

        A file is decoded once for all rows about it that follow each other, windows or not.
        """
        return load_image(*image_source(row), opened=self.opened.load)

    def ends(self) -> set[int]:
        """The tokens that end a response."""
        ends = self.model.generation_config.eos_token_id
        return set(ends)

    def never_written(self) -> list[int]:
        """The tokens that no response may have, in `sample`, `predict` and training alike."""
        tokens = (getattr(self.model.config, name, None) for name in PLACEHOLDERS)
        return sorted({token for token in tokens if token is not None})

    def text(self, tokens: Sequence[int]) -> str:
        """A response as its tokens spell it, without padding and what ends it.

        Other special tokens stay: `<|box_start|>` and the like are part of an answer.
        """
        tokenizer = self.processor.tokenizer
        dropped = self.ends() | {tokenizer.pad_token_id}
        return tokenizer.decode([token for token in tokens if token not in dropped])


def load_processor(name: str, bounds: Bounds = Bounds()) -> ProcessorMixin:  # noqa: B008 (frozen)
    """Load the processor of a Hugging Face checkpoint folder, of an adapter's, or of ``tiny``.

    Args:
        name: ``tiny`` or a folder.
        bounds: of the pixels of an image, where they are not the checkpoint's.

    Raises:
        UserError: the folder holds no checkpoint, or one without weights; the processor cannot keep
            to the bounds.
    """
    from transformers import AutoProcessor

    folder = with_weights(name)
    if is_adapter(folder) and not any(folder.glob("*processor_config.json")):
        folder = whole_folder(name)
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    bound(processor, bounds)
    return processor


def load_policy(
    name: str,
    dtype: str = "float32",
    threads: int | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (it is frozen)
    *,
    four_bit: bool = False,
) -> LoadedPolicy:
    """Load model and processor from a Hugging Face checkpoint folder, or from an adapter's.

    Args:
        name: ``tiny`` or a folder. Of an adapter the whole is loaded: its base with what it adds.
        dtype: type of the weights, ``float32`` or ``bfloat16``.
        threads: CPU threads that torch may use.
        bounds: of the pixels of an image, where they are not the checkpoint's.
        four_bit: quantise the language model, which cannot be trained itself then.

    Raises:
        UserError: as :func:`load_processor`; an adapter's base is missing or has other weights; it
            cannot be quantised.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if threads:
        torch.set_num_threads(threads)
    processor = load_processor(name, bounds)
    if four_bit:
        model = _load_four_bit(name, dtype)
    else:
        model = load_model(name, dtype).to("cuda" if torch.cuda.is_available() else "cpu")
    model.generation_config = plain_generation(model.generation_config, processor.tokenizer)
    model.eval()
    return LoadedPolicy(model, processor)


@contextmanager
def whole_checkpoint(name: str, dtype: str, bounds: Bounds) -> Iterator[Path]:
    """A folder whose files alone say all of a policy, for programs that load them themselves.

    It is the checkpoint's; of an adapter, or with bounds of its own, another for the time being.

    Raises:
        UserError: as for :func:`load_policy`.
    """
    folder = with_weights(name)
    if not is_adapter(folder) and bounds == Bounds():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="dipr1-") as made:
        processor = load_processor(name, bounds)
        if is_adapter(folder):
            load_model(name, dtype).save_pretrained(made)
            processor.save_pretrained(made)
        else:
            link_checkpoint(folder, processor, Path(made))
        yield Path(made)


def link_checkpoint(folder: Path, processor: ProcessorMixin, made: Path) -> None:
    """Make `made` a checkpoint of the model that lies in `folder`, with another processor."""
    # but for those of its processor, which saving one would write over
    patterns = ("*.safetensors", "*.bin", "*.index.json", "config.json", "generation_config.json")
    for file in (file for pattern in patterns for file in folder.glob(pattern)):
        (made / file.name).symlink_to(file.resolve())
    processor.save_pretrained(made)


def load_model(name: str, dtype: str) -> PreTrainedModel:
    """The model of a checkpoint, or of an adapter with its base."""
    import torch
    from transformers import AutoModelForImageTextToText

    folder = with_weights(name)
    if is_adapter(folder):
        return merged(load_model(_checked_base(folder), dtype), folder)
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=getattr(torch, dtype))


def _load_four_bit(name: str, dtype: str) -> PreTrainedModel:
    """The model of a checkpoint in 4 bit, on this process's GPU."""
    import torch
    from transformers import AutoModelForImageTextToText

    check_four_bit()
    folder = with_weights(name)
    if is_adapter(folder):
        raise UserError(
            f"{folder}: an adapter cannot be quantised with its base; make one checkpoint of them"
            " (`dipr1 export --merge`) and begin with that"
        )
    arguments = four_bit_arguments(dtype, torch.cuda.current_device())
    return AutoModelForImageTextToText.from_pretrained(
        folder, dtype=getattr(torch, dtype), **arguments
    )


def _checked_base(folder: Path) -> str:
    """The base of an adapter, whose weights are those that it was trained on."""
    whole_folder(str(folder))
    base, weights = base_of(folder)
    if weights is not None and weights != weights_digest(with_weights(base)):
        raise UserError(
            f"{folder}: is an adapter of {base}, whose weights are others now; put back those that"
            " it was trained on, or train again"
        )
    return base


def with_weights(name: str) -> Path:
    """The folder of a checkpoint or an adapter, in which there are weights.

    Raises:
        UserError: there is none, or it has none.
    """
    folder = policy_folder(name)
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise UserError(
            f"{folder}: holds no weights (*.safetensors); download the checkpoint again"
        )
    return folder


def plain_generation(given: GenerationConfig, tokenizer) -> GenerationConfig:
    """What ends a response, and nothing else of how the checkpoint would have them generated.

    Penalties, suppressed tokens and the like would change the answers of `sample` and `predict`,
    and other ones in training.
    """
    from transformers import GenerationConfig

    ends = given.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    ends = [end for end in dict.fromkeys([*ends, tokenizer.eos_token_id]) if end is not None]
    return GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)


IMAGE_COLUMNS = ("image", "frame", "frame_width", "frame_height", "exif", "window")  # if there


def image_source(row: Mapping[str, Any]) -> tuple:
    """What :func:`load_image` needs to show the image of a row of the prompts artifact."""
    window = row.get("window")
    return (
        *(row[name] for name in ("image", "frame", "frame_width", "frame_height")),
        row.get("exif") or TURN,
        None if window is None else tuple(window),
    )


def load_image(
    path: str,
    frame: str,
    width: float,
    height: float,
    exif: str = TURN,
    window: Sequence[float] | None = None,
    opened: Callable[[str, str], Image.Image] = open_image,
) -> Image.Image:
    """An image, or a window of it, in the model's frame: resized where the frame is absolute.

    The processor's own resize is then the identity, so the frame's size is the size that the
    model sees, for every family.

    Args:
        path: the image file.
        frame: ``absolute`` or ``thousandths``.
        width: the frame's width (used where it is absolute).
        height: the frame's height.
        exif: what becomes of its EXIF orientation.
        window: x1, y1, x2, y2 in whole pixels of the image; only this part is shown, cut before
            anything is resized. In thousandths it is enlarged to as many pixels as the whole image
            has, so that it costs as much and shows more.
        opened: decodes the file, or knows it decoded.

    Raises:
        UserError: the file cannot be read as an image.
    """
    image = opened(path, exif)
    whole = image.width * image.height
    if window is not None:
        image = image.crop([round(side) for side in window])
    if frame == "absolute":
        return image.resize((round(width), round(height)), Image.Resampling.BICUBIC)
    if window is not None:
        grow = math.sqrt(whole / (image.width * image.height))
        size = (round(image.width * grow), round(image.height * grow))
        return image.resize(size, Image.Resampling.BICUBIC)
    return image
