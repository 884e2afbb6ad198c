"""The models there are, and the cache that holds the loaded ones."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from guidance import settings
from guidance.frame import to_pixels
from guidance.models import loading
from guidance.models.attributes import ATTRIBUTES
from guidance.models.cache import cache
from guidance.models.device import building, device
from guidance.models.files import OURS, shipped, sound
from guidance.models.loading import open_model, schedule
from guidance.models.model import Model
from guidance.models.networks import DENOISERS, SCHEDULER, AttributeNetwork, DigitClassifier, DigitJudge

BUILT_IN = {name: settings.ASSETS / name for name in settings.LOOKS}
Network = TypeVar("Network", bound=nn.Module)


def source(name: str) -> str:
    """Where a model is: built in, made on the page as "trained/NAME", or what the name says, a folder or repository."""
    made = settings.TRAINED / name.removeprefix("trained/") / "pipeline"
    return str(made if name.startswith("trained/") and made.is_dir() else BUILT_IN.get(name, name))


def get(name: str) -> Model:
    """The model of this name; "digits/" and a way of telling the class is a network of the digits' model."""
    kind, _, way = name.partition("/")
    return cache.get(name, lambda: digits(way or "embedding") if kind == "digits" else opened(name))


def opened(name: str, dtype: torch.dtype | None = None) -> Model:
    """The model of this name that is not the digits', loaded anew."""
    if name not in BUILT_IN:
        return open_model(source(name), dtype)
    with shipped(f"{name}/"):
        return open_model(source(name), dtype)


def fingerprint(name: str) -> str | None:
    """The fingerprint of a model's weights; None while they are not among the files here."""
    kind, _, way = name.partition("/")
    folder = Path(source(name)).expanduser()
    if kind == "digits":
        return loading.fingerprint(settings.ASSETS / "digits" / f"{way or 'embedding'}.safetensors")
    if not folder.is_dir():
        return next((model.fingerprint for held, model in cache.loaded() if held == name), None)
    places = ("vae", "text_encoder") if (folder / "vae").is_dir() else ()
    names = [*loading.WEIGHTS, *loading.TEXT_WEIGHTS]
    found = [next((folder / place / name for name in names if (folder / place / name).exists()), None)
             for place in ("unet" if (folder / "unet").is_dir() else "", *places)]  # fmt: skip
    return None if None in found else "-".join(map(loading.fingerprint, found))


def noise_schedule(name: str) -> dict:
    """The configuration of a model's noise schedule; DDPM's own while the model is not here."""
    if name == "digits":
        return SCHEDULER
    folder, held = Path(source(name)).expanduser(), dict(cache.loaded()).get(name)
    if held is None and folder.is_dir():
        return loading.scheduled(schedule(folder, name), name)
    return held.config if held else {}


def read(kind: Callable[[], Network], path: Path, where: torch.device | str = "cpu") -> Network:
    """A network of ours with its weights, frozen, in float32."""
    with building:
        network = kind()
    network.load_state_dict(load_file(path))
    sound(network, OURS)
    return network.float().eval().requires_grad_(False).to(where)


def digits(conditioning: str) -> Model:
    """The digit model that is told the class in this way; eps(x_t, t, labels)."""
    with shipped(f"digits/{conditioning}.safetensors") as path:  # so narrow a network gains nothing from bf16
        return Model(read(DENOISERS[conditioning], path, device()), SCHEDULER, fingerprint=loading.fingerprint(path))


def ours(kind: Callable[[], Network], name: str) -> Network:
    """A network of ours by the name of its file in assets, on the device, from the cache."""

    def load() -> Network:
        with shipped(f"{name}.safetensors") as path:
            return read(kind, path, device())

    return cache.get(name, load)


def digit_classifier(name: str) -> DigitClassifier:
    """The classifier that guides: "classifier" knows noise, "blind-classifier" never saw any."""
    return ours(DigitClassifier, f"digits/{name}")


def digit_judge() -> DigitJudge:
    """The network that reads digits and never guides."""
    return ours(DigitJudge, "digits/judge")


def read_digits(pictures: list[Image.Image]) -> list[tuple[int, float]]:
    """What a network that never guides reads in pictures of digits: (digit, confidence in [0, 1]) for each."""
    found = seen("digits", to_pixels(pictures) / 127.5 - 1)
    return [(int(digit), chances[digit]) for chances in found for digit in [max(chances, key=chances.get)]]


def judge(name: str = "model") -> AttributeNetwork:
    """The network that tells what a landscape shows and never guides, or the verifier, on the CPU in float32."""
    with shipped(f"attributes/{name}.safetensors") as path:
        return read(partial(AttributeNetwork, outputs=len(load_file(path)["head.bias"])), path)


def verifier_fingerprint() -> str | None:
    """The fingerprint of the network that says which landscapes are to be painted again."""
    return loading.fingerprint(settings.ASSETS / "attributes" / "verifier.safetensors")


# Of a built-in model: who judges its pictures, how that tells its chances, and what of.
JUDGES = {"landscapes": (lambda: cache.get("attributes/model", judge), torch.sigmoid, ATTRIBUTES),
          "digits": (digit_judge, partial(torch.softmax, dim=1), tuple("0123456789"))}  # fmt: skip
# Who says which of its pictures are to be painted again: another network, so that the judge stays independent.
VERIFIERS = {"landscapes": (lambda: cache.get("attributes/verifier", partial(judge, "verifier")), torch.sigmoid,
                            ATTRIBUTES)}  # fmt: skip


def seen(model: str, x: Tensor, by: dict[str, tuple] = JUDGES) -> list[dict[str, float]]:
    """What a network that never guides sees in pictures (B, C, H, W) in [-1, 1] of a built-in model.

    For each, the chance in [0, 1] of all that it knows, by name.
    """
    known, chances, names = by[model]
    network = known()
    x = x.to(next(network.parameters()).device)
    with torch.no_grad():
        rows = torch.cat([chances(network(part)) for part in x.split(256)]).tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]
