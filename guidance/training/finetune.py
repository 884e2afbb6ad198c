"""Fine-tune an unconditional diffusers model on pictures of your own, as unit 2 of the course does, and share it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import validate_repo_id
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from guidance.atomic import save, written
from guidance.codec import BROKEN, seen
from guidance.frame import OutOfMemory, memory, sheet
from guidance.models import catalogue
from guidance.models.device import ModelError
from guidance.models.model import Model
from guidance.sampling.guides import network as unguided
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule
from guidance.training.trainer import Settings, train

SETTINGS = Settings(Path("runs/finetune"), steps=2_000, learning_rate=1e-4, ema_decay=0.995, warmup=20, every=200)
CARD = """---
library_name: diffusers
pipeline_tag: unconditional-image-generation
{origin}tags:
- diffusion
- unconditional-image-generation
---
# {name}

An unconditional diffusion model: {base}, fine-tuned on {count:,} pictures. This is the average of its weights after
{steps:,} steps. Samples of the seeds 0 to 15, unpicked:

![Samples](samples.png)

```python
from diffusers import DDPMPipeline

DDPMPipeline.from_pretrained("{name}")().images[0]
```

With Guidance, steered toward a colour:

```sh
python -m guidance color teal --model {name} --out pictures
```
"""


def opened(folder: Path) -> Iterator[Image.Image]:
    """Every picture in a folder and those below it, in the order of their names; what is none is passed over."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            with Image.open(path) as image:
                yield seen(image)
        except BROKEN:
            continue


def streamed(source: str) -> Iterator[Image.Image]:
    """Every picture in the split "train" of a data set of the Hub, "owner/name" or "owner/name@revision"."""
    name, _, revision = source.partition("@")
    nowhere = f"There is no folder {source}"
    try:
        validate_repo_id(name)
        from datasets import load_dataset
    except ValueError as error:
        raise OSError(f"{nowhere}.") from error
    except ImportError as error:
        raise OSError(f"{nowhere}, and a data set of the Hub needs another package: pip install datasets") from error
    try:
        for row in load_dataset(name, revision=revision or None, split="train", streaming=True):
            yield from (value for value in row.values() if isinstance(value, Image.Image))
    except Exception as error:  # of many kinds, by what the set is made of
        raise OSError(f"{nowhere}, and no data set on the Hub that can be read.") from error


def pictures(data: str | Path, size: tuple[int, int], channels: int, most: int = 10_000) -> Tensor:
    """The first `most` pictures, cropped and scaled to `size` (height, width): (N, C, H, W) uint8.

    `data` is a folder or a data set of the Hub; OSError, with a sentence for the user, if it holds no picture.
    """
    folder = Path(data).expanduser()
    found = opened(folder) if folder.is_dir() else streamed(str(data))
    mode = "RGB" if channels == 3 else "L"
    fitted = [pil_to_tensor(ImageOps.fit(image.convert(mode), size[::-1], Image.Resampling.LANCZOS))
              for image in islice(found, most)]  # fmt: skip
    if not fitted:
        raise OSError("There is no picture in what was given with --data.")
    return torch.stack(fitted)


def run(
    settings: Settings, *, data: str | Path, model: str = "landscapes", batch: int = 16, most: int = 10_000,
    push: str = "", watch: Callable[[Model, int], None] = lambda model, step: None,
) -> None:  # fmt: skip
    """Train `model` on at most `most` pictures of `data`, and keep the averaged pipeline in `settings.out`/pipeline.

    `settings.accumulate` adds up the gradients of so many batches before each step. The model learns what it was
    trained to predict (epsilon, sample or v) on its own noise schedule. `push` is the repository the result goes to.
    Every `settings.every` steps `watch` is shown the averaged model and the number of the step. Samples of the same
    noise, before the first step and then as often, lie in `settings.out`/samples-*.png.
    """
    if push:
        check(push)  # before the work rather than after it
    torch.manual_seed(settings.seed)
    source = catalogue.opened(model, torch.float32)
    if source.takes_text:
        raise ModelError(f"{model} is told a text: only unconditional models are fine-tuned here.")
    network = source.unet.to(memory_format=torch.contiguous_format).train().requires_grad_(True)
    scheduler = DDPMScheduler.from_config(source.config)
    pool = pictures(data, source.size, source.channels, most).to(source.device)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        here = {"generator": generator, "device": generator.device}
        x0 = pool[torch.randint(len(pool), (batch,), **here)].float() / 127.5 - 1
        x0 = torch.where(torch.rand(batch, 1, 1, 1, **here) < 0.5, x0.flip(3), x0)
        noise = torch.randn(x0.shape, **here)
        t = torch.randint(scheduler.config.num_train_timesteps, (batch,), **here)
        wanted = {"epsilon": noise, "sample": x0, "v_prediction": scheduler.get_velocity(x0, noise, t)}
        made = network(scheduler.add_noise(x0, noise, t), t).sample[:, : source.channels]
        return nn.functional.mse_loss(made.float(), wanted[source.config["prediction_type"]])

    def show(network: nn.Module, path: Path) -> None:
        step = int(path.stem.rpartition("-")[2])
        plain, shown = (UNet2DModel.from_config(network.config) for _ in range(2))  # without what Accelerate adds
        plain.load_state_dict(network.state_dict())
        shown.load_state_dict(network.state_dict())
        made = Model(shown.to(source.device), source.config)
        samples = sheet([to_pil_image((picture + 1) / 2) for picture in sampled(made, 16)], 4)
        base = Path(model).name if Path(model).expanduser().is_dir() else model
        origin = f"base_model: {base}\n" if "/" in base else ""
        name = push or settings.out.name.lstrip(".")
        about = {"name": name, "base": base, "origin": origin, "count": len(pool), "steps": step}
        if step:  # before, there is nothing to keep
            learned = {"variance_type": "learned_range"} if plain.config.out_channels > source.channels else {}
            pipeline = DDPMPipeline(plain, DDPMScheduler.from_config(source.config, **learned))
            with written(settings.out / "pipeline") as folder:
                pipeline.save_pretrained(folder)
                samples.save(folder / "samples.png")
                (folder / "README.md").write_text(CARD.format(**about))
        save(samples, path)
        watch(made, step)

    try:
        with memory():
            train(network, loss, settings, show=show)
    except OutOfMemory:
        if batch == 1:
            raise
        short = True
    else:
        short = False
    if short:  # what the step held that failed is given back by now
        half = -(-batch // 2)
        print(f"guidance: Memory ran out: from here on {half} pictures at once, and twice the steps to add up.")
        again = replace(settings, accumulate=2 * settings.accumulate)
        return run(again, data=data, model=model, batch=half, most=most, push=push, watch=watch)
    if push and PartialState().is_main_process:
        upload(settings.out / "pipeline", push)


def sampled(model: Model, count: int, solver: str = "ddim", steps: int = 25) -> Tensor:
    """A model's pictures of the seeds from 0 on, (count, C, H, W) in [-1, 1]."""
    schedule = Schedule(model.config, solver, steps)
    x_t = model.noise([torch.Generator().manual_seed(seed) for seed in range(count)])
    *_, last = sample(unguided(model.eps, schedule), x_t, schedule)
    return last.x_t.clamp(-1, 1).cpu()


def check(repository: str) -> None:
    """OSError, with a sentence for the user, unless this can be a repository and somebody is logged in to the Hub."""
    try:
        validate_repo_id(repository)
        HfApi().whoami()
    except ValueError as error:
        raise OSError("A repository to push to is called by its owner and name, as in you/my-model.") from error
    except (HTTPError, OSError) as error:
        raise OSError("To push the result, log in to the Hub first: hf auth login") from error


def upload(folder: Path, repository: str) -> None:
    """Upload a pipeline with its card to a repository of the Hub, "owner/name", which is made if it is not there."""
    try:
        HfApi().create_repo(repository, exist_ok=True)
        HfApi().upload_folder(repo_id=repository, folder_path=folder, commit_message="Fine-tuned with Guidance")
    except (HTTPError, OSError, ValueError) as error:
        raise OSError(f"The result is in {folder}, but {repository} did not take it: {error}") from error
    print(f"https://huggingface.co/{repository}")
