"""Fine-tune an unconditional diffusers model on a folder of pictures, as unit 2 of the diffusion course does."""

from pathlib import Path

import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from guidance.models import catalogue
from guidance.models.loading import open_model
from guidance.sheets import sheet
from guidance.training.trainer import Settings, train

SETTINGS = Settings(Path("runs/finetune"), steps=2_000, learning_rate=1e-4, ema_decay=0.995, warmup=20, every=200)


def pictures(folder: Path, size: tuple[int, int], channels: int) -> Tensor:
    """Every picture in a folder, cropped and scaled to `size` (height, width): (N, C, H, W) uint8."""
    found = []
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        found.append(pil_to_tensor(ImageOps.fit(upright, size[::-1], Image.Resampling.LANCZOS)))
    if not found:
        raise OSError("There is no picture in the folder that was given with --data.")
    return torch.stack(found)


def run(settings: Settings, *, data: Path, model: str = "landscapes", batch: int = 16) -> None:
    """Train `model` on the pictures in `data` and keep the averaged pipeline in `settings.out`/pipeline.

    `settings.accumulate` adds up the gradients of so many batches before each step. The model learns what it was
    trained to predict (epsilon, sample or v) on its own noise schedule.
    """
    torch.manual_seed(settings.seed)
    source = open_model(str(catalogue.BUILT_IN.get(model, model)), torch.float32)
    network = source.unet.to(memory_format=torch.contiguous_format).train().requires_grad_(True)
    scheduler = DDPMScheduler.from_config(source.config)
    pool = pictures(data, source.size, source.channels).to(source.device)

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
        pipeline = DDIMPipeline(network, DDIMScheduler.from_config(source.config))
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator(source.device).manual_seed(0)
        images = pipeline(16, generator, num_inference_steps=25, output_type="pil").images
        sheet(images, 4).save(path)
        pipeline.save_pretrained(settings.out / "pipeline")

    train(network, loss, settings, show=show)
