"""The one training loop: AdamW, cosine decay, EMA, mixed precision, resume, sample grids and a loss curve."""

import json
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import is_wandb_available
from diffusers.training_utils import EMAModel
from safetensors.torch import save_file
from tqdm import tqdm

from guidance.atomic import written
from guidance.models.device import precision

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Settings:
    """What every training has in common; a run ends at `steps` or after `minutes`, whichever comes first."""

    out: Path
    steps: int
    minutes: float = math.inf
    learning_rate: float = 1e-3
    warmup: int = 200
    ema_decay: float = 0.9995
    accumulate: int = 1
    precision: str | None = None  # "no", "bf16" or "fp16", as Accelerate names them; else what the hardware is good at
    seed: int = 0
    every: int = 500  # steps between checkpoints, sample grids and curves

    def gentler(self) -> "Settings":
        """The same at half the learning rate, for weights that have learned already."""
        return replace(self, learning_rate=self.learning_rate / 2)


def low() -> bool:
    """Whether to train in bf16: where it is emulated, a step takes 25 times as long in it."""
    return precision(torch.device(DEVICE)) is torch.bfloat16


def train(
    network: torch.nn.Module, loss: Callable[[torch.nn.Module, torch.Generator], torch.Tensor], settings: Settings, *,
    groups: Sequence[dict] = (), show: Callable[[torch.nn.Module, Path], None] = lambda network, path: None,
) -> torch.nn.Module:  # fmt: skip
    """Train `network` in place and return it with its EMA weights.

    `loss(network, generator)` draws its own batch with a generator on the network's device, which depends on the seed
    and the step alone, so a resumed run sees what an uninterrupted one would have seen. `show(network, path)` may save
    a picture of the EMA network's samples, before the first step too. `groups` are the optimizer's, where parts of the
    network learn in ways of their own: "times" the rate, with other "betas". Everything is written under
    `settings.out`; a checkpoint found there is resumed.
    """
    accelerator = Accelerator(
        mixed_precision=settings.precision or ("bf16" if low() else "no"),
        gradient_accumulation_steps=settings.accumulate,
        log_with=["tensorboard", "wandb"] if is_wandb_available() else "tensorboard", project_dir=settings.out,
    )  # fmt: skip
    settings.out.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(groups or network.parameters(), settings.learning_rate, weight_decay=1e-2, fused=True)
    model, optimizer = accelerator.prepare(network, optimizer)
    ema = EMAModel(network.parameters(), decay=settings.ema_decay, use_ema_warmup=True, power=0.75)
    ema.to(accelerator.device)
    accelerator.init_trackers("tensorboard")

    step, shown, seconds, history, window = 0, -1, 0.0, [], []
    checkpoint, parts = settings.out / "checkpoint.pt", {"network": network, "ema": ema, "optimizer": optimizer}
    if checkpoint.exists():
        try:
            state = torch.load(checkpoint, map_location=accelerator.device, weights_only=True)
            for name, part in parts.items():
                part.load_state_dict(state[name])
            step, seconds, history = state["step"], state["seconds"], state["history"]
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            said = f"The checkpoint {checkpoint} is not whole, or that of another network: delete it to begin anew."
            raise OSError(said) from error

    def save() -> None:
        """Write checkpoint and curve, once there are any, and show what the averaged network makes by now."""
        nonlocal shown
        shown = step
        if not accelerator.is_main_process:
            return
        if step:
            state = {name: part.state_dict() for name, part in parts.items()}
            keep(state | {"step": step, "seconds": seconds, "history": history}, checkpoint)
            with written(settings.out / "history.json") as part:
                part.write_text(json.dumps(history))
        if history:
            rows = [{"step": step, "loss": value} for step, value in history]
            plot(settings.out / "loss.png", {"loss": rows}, "step", "loss", height=3)
        ema.store(network.parameters())
        ema.copy_to(network.parameters())
        show(network.eval(), settings.out / f"samples-{step:06d}.png")
        ema.restore(network.parameters())
        network.train()

    if step == 0:
        save()
    bar = tqdm(total=settings.steps, initial=step, unit="step", disable=not accelerator.is_main_process)
    while step < settings.steps and seconds < settings.minutes * 60:
        started = time.perf_counter()
        progress = max(step / settings.steps, seconds / (settings.minutes * 60))
        rate = settings.learning_rate * min(1, (step + 1) / settings.warmup) * (1 + math.cos(math.pi * progress)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("times", 1)
        for part in range(settings.accumulate):
            with accelerator.accumulate(model):
                key = (settings.seed * 1_000_003 + step) * settings.accumulate + part
                key = key * accelerator.num_processes + accelerator.process_index
                generator = torch.Generator(accelerator.device).manual_seed(key)
                value = loss(model, generator)
                accelerator.backward(value)
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(model.parameters(), 1.0)
                    if not torch.as_tensor(norm).isfinite():  # one bad batch must not spoil the weights
                        optimizer.zero_grad()
                optimizer.step()
                optimizer.zero_grad()
            window.append(value.detach())
        ema.step(network.parameters())
        step += 1
        seconds += time.perf_counter() - started
        bar.update()
        if step % 50 == 0:
            mean, window = torch.stack(window).mean().item(), []
            history.append([step, mean])
            bar.set_postfix(loss=f"{mean:.4f}", lr=f"{rate:.1e}")
            accelerator.log({"loss": mean, "learning rate": rate}, step=step)
        if step % settings.every == 0:
            save()
    if shown < step:  # by this process: one that was killed may not have come to it
        save()
    bar.close()
    accelerator.end_training()
    ema.copy_to(network.parameters())
    return network


def keep(state: object, path: Path) -> None:
    """Write what can be loaded again; a half-written file never replaces a whole one."""
    with written(path) as part:
        torch.save(state, part)


def save_half(network: torch.nn.Module, path: Path) -> None:
    """Write a network's weights as fp16 safetensors, for shipping."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: w.half() if w.is_floating_point() else w for name, w in network.state_dict().items()}
    with written(path) as part:
        save_file({name: w.contiguous().cpu() for name, w in halves.items()}, part)


def plot(
    path: Path, curves: dict[str, list[dict]], x: str, *measured: str, height: float = 4.4, mark: float | None = None,
    **names: str,
) -> None:  # fmt: skip
    """Save a panel for each of what was `measured` over `x`, with curves of rows; one row alone is a square."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 5 * len(measured), height), layout="constrained")
    for axes, y in zip(figure.subplots(1, len(measured), squeeze=False)[0], measured, strict=True):
        for label, rows in curves.items():
            points, style = [[row[name] for row in rows] for name in (x, y)], "o-" if len(rows) < 20 else "-"
            axes.plot(*points, style if len(rows) > 1 else "s", label=label, markersize=4)
        if mark is not None:
            axes.axvline(mark, color="grey", linewidth=0.8, linestyle=":")
        axes.set(**{"xlabel": x, "ylabel": y, "yscale": "log" if y in ("Frechet", "loss") else "linear"} | names)
        axes.legend(fontsize=8)
    with written(path) as part:
        figure.savefig(part, dpi=110)
