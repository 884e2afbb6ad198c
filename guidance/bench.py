"""Speed, as ratios in one run: our sampler beside the bare network, and beside the diffusion course's loop; memory."""

import copy
import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context

import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from torch import nn

from guidance.engine import images
from guidance.evaluation import clip, color
from guidance.guides.color import target, tone
from guidance.models import catalogue, clips
from guidance.models.device import device, precision
from guidance.models.model import Model
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, to_flat
from guidance.sampling.cuts import great_circle, prompt_loss
from guidance.sampling.guides import Loss, loss_guide, network
from guidance.sampling.rules import METHODS
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule, strengths
from guidance.sampling.spectrum import wiener


def course_unet() -> UNet2DModel:
    """The 256 px UNet of the course's models (google/ddpm-celebahq-256 and its kin), 113.7 M random weights."""
    return UNet2DModel(
        sample_size=256, block_out_channels=(128, 128, 256, 256, 512, 512), layers_per_block=2, downsample_padding=0,
        flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6, attention_head_dim=None,
        down_block_types=("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
    )  # fmt: skip


def ours(
    model: Model, x: torch.Tensor, steps: int, stop: int | None = None, method: str = "", loss: Loss | None = None
) -> None:
    """Our sampler on x, unguided or steered with `method` by a loss, a colour's; the first `stop` of `steps` steps."""
    schedule = Schedule(model.config, "ddim", steps)
    predict = network(model.eps, schedule)
    if method:
        predict = loss_guide(predict, loss or tone(target("#2080ff")), schedule, scale=0.1, weights=strengths(schedule),
                             method=method, fade=True, precondition=wiener)  # fmt: skip
    for step in sample(predict, x, schedule):
        if step.i + 1 == stop:
            break


def bare(model: Model, x: torch.Tensor, steps: int) -> None:
    """The network alone, as often as a run of `steps` steps calls it."""
    with torch.no_grad():
        for t in Schedule(model.config, "ddim", steps).timesteps:
            model.eps(x, t)


def notebook(unet: nn.Module, x: torch.Tensor, stop: int, full: bool) -> None:
    """The colour guidance of the course's notebook, as it is run there: float32, two scheduler steps a step."""
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(40)
    for t in scheduler.timesteps[:stop]:
        x = x.detach().requires_grad_()
        with torch.set_grad_enabled(full):
            eps = unet(scheduler.scale_model_input(x, t), t).sample
        x0 = scheduler.step(eps, t, x).pred_original_sample
        loss = (x0 - target("#2080ff").to(x)).abs().mean() * 40
        shift = -torch.autograd.grad(loss, x)[0]
        x = scheduler.step(eps.detach(), t, x.detach() + shift).prev_sample


def prompt(judge: clips.Clip, text: torch.Tensor, cuts: int) -> Loss:
    """The loss of a prompt for one picture."""
    encode, draws = partial(judge.encode_image, together=cuts), [torch.Generator().manual_seed(0)]
    return prompt_loss(encode, judge.size, text[None], [1.0], cuts=cuts, generators=draws, steps=40)


def notebook_clip(
    unet: nn.Module, network: nn.Module, x: torch.Tensor, text: torch.Tensor, cuts: int, stop: int = 1, size: int = 224
) -> None:
    """The CLIP guidance of the course's notebook, as it is run there: float32, a CLIP pass and a step for each cut."""
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(50)
    for i, t in enumerate(scheduler.timesteps[:stop]):
        with torch.no_grad():
            eps = unet(x, t).sample
        total = 0
        for _ in range(cuts):
            x = x.detach().requires_grad_()
            x0 = scheduler.step(eps, t, x).pred_original_sample
            side = int((0.8 + 0.2 * torch.rand(())) * x.shape[-1])
            crop = nn.functional.interpolate(x0[..., :side, :side], (size, size), mode="bilinear")
            image = nn.functional.normalize(network.encode_image(crop), dim=-1)
            total = total - torch.autograd.grad(8 * great_circle(image, text).mean(), x)[0] / cuts
        x = scheduler.step(eps, t, x.detach() + total * scheduler.alphas_cumprod[i].sqrt()).prev_sample


def notebook_digits(model: Model, count: int, stop: int) -> None:
    """The first `stop` of the 1,000 steps of DDPM in which the course's notebook draws its digits."""
    scheduler = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    x, labels = (v.to(model.device) for v in (torch.randn(count, 1, 28, 28), torch.arange(10).repeat(count // 10)))
    with torch.no_grad():
        for t in scheduler.timesteps[:stop]:
            x = scheduler.step(model.unet(x, t, labels).sample, t, x).prev_sample


def medians(actions: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Seconds for each action: its median ratio to the first, in rounds in which all take turns, times that's median.

    A machine that others share gets slower and faster, and within a round it is much the same. A first round is not
    counted.
    """
    seconds = {name: [] for name in actions}
    for turn in range(rounds + 1):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    first = next(iter(seconds.values()))
    ratios = {name: [time / unit for time, unit in zip(times, first, strict=True)] for name, times in seconds.items()}
    return {name: statistics.median(found) * statistics.median(first) for name, found in ratios.items()}


def table(title: str, unit: str, seconds: dict[str, float]) -> None:
    """Print seconds and their ratio to the first row."""
    first = next(iter(seconds.values()))
    print(f"\n{title}\n\n| | s per {unit} | ratio |\n|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.3f} | {value / first:.2f} |")


def clicks(demo: object, url: str, recipe: Recipe) -> Callable[[], None]:
    """What paints a recipe on the Colour tab of a served page, each time from other seeds, until its pictures come."""
    import httpx

    begin, follow = (next(fn for fn in demo.fns.values() if fn.name == name) for name in ("begin", "follow"))
    names, wanted = begin.fn.__self__.names, to_flat(recipe)
    values = {names[control]: control.value for control in begin.inputs} | wanted
    client, seeds = httpx.Client(base_url=url, timeout=600), itertools.count()

    def click() -> None:
        asked = values | {"seed": next(seeds) * recipe.count}
        body = {"session_hash": f"bench{asked['seed']}", "data": [asked[names[control]] for control in begin.inputs]}
        key = client.post("gradio_api/run/predict", json=body | {"fn_index": begin._id}).json()["data"][0]
        client.post("gradio_api/queue/join", json=body | {"fn_index": follow._id, "data": [key]})
        with client.stream("GET", f"gradio_api/queue/data?session_hash={body['session_hash']}") as stream:
            for line in stream.iter_lines():
                if 'data-state=\\"final\\"' in line:
                    return

    return click


def on_the_page(rounds: int) -> None:
    """Print what the page adds to a colour run of four pictures and their unguided ones."""
    from guidance.ui import page

    recipe, seeds = ColorRecipe(count=4), itertools.count()

    def library() -> None:
        asked = recipe.replace(seed=next(seeds) * recipe.count)
        images(asked), images(asked.unguided())

    demo = page.build()
    url = page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    table("a colour, 4 pictures and the unguided ones", "run", medians({
        "the library": lambda: page.painter().submit(library).result(),
        "the page, from a click to the pictures": clicks(demo, url, recipe),
    }, rounds))  # fmt: skip
    demo.close()


def course_model(where: torch.device) -> Model:
    """The course's UNet in our wrapper, in what the device is good at."""
    return Model(nn.Module.to(course_unet(), where, precision(where)), dict(DDIMScheduler().config))


def peak(count: int, method: str, checkpointed: bool) -> tuple[float, float]:
    """The most memory of this process, or of CUDA in it, in GiB, and seconds for a step with `count` pictures."""
    model = course_model(device())
    model.short[count] = checkpointed  # instead of by what is free
    x = torch.randn(count, 3, 256, 256).to(model.device)
    seconds = medians({"": lambda: ours(model, x, 40, 1, method)}, 3)[""]
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30, seconds
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, seconds


def memory() -> None:
    """Print the memory of guidance at the course's shapes, with and without gradient checkpointing."""
    print(f"{device()}, {precision(device())}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("\n| 256 px, 113.7 M parameters | pictures | peak GiB | s per step |\n|---|---|---|---|")
    for count in (1, 4):
        for name in ("shortcut", "full", "full, checkpointed"):
            with get_context("spawn").Pool(1) as fresh:  # a process's peak does not go down again
                gib, seconds = fresh.apply(peak, (count, name.split(",")[0], name.endswith("checkpointed")))
            print(f"| {name} | {count} | {gib:.2f} | {seconds:.2f} |", flush=True)


def bench(steps: int = 20, rounds: int = 15) -> None:
    """Print both tables for this machine."""
    where = device()
    print(f"{where}, {precision(where)}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    model = catalogue.get("landscapes")
    x = model.noise([torch.Generator().manual_seed(seed) for seed in range(4)])
    table(f"landscapes, 64 px, 4 pictures, {steps} steps", "run", medians({
        "the network alone": lambda: bare(model, x, steps),
        "unguided": lambda: ours(model, x, steps),
        "shortcut": lambda: ours(model, x, steps, method="shortcut"),
        "full": lambda: ours(model, x, steps, method="full"),
        "prompt, the preset fast": lambda: images(ClipRecipe(count=4, steps=steps)),
    }, rounds))  # fmt: skip
    table("a colour", "run", medians({
        "4 pictures, as version 0.1 had it": lambda: images(ColorRecipe(count=4, scale=0.5, **color.FIRST)),
        "4 pictures": lambda: images(ColorRecipe(count=4)),
        "1 picture": lambda: images(ColorRecipe()),
    }, rounds // 3))  # fmt: skip

    sentence, judge = ClipRecipe().prompt, clips.get("landscapes")
    unet, plain, text = copy.deepcopy(model.unet).float(), copy.deepcopy(judge.network).float(), judge.text(sentence)
    table("a prompt, 1 picture", "run", medians({
        "as version 0.1 had it": lambda: images(ClipRecipe(**clip.FIRST)),
        "fast": lambda: images(ClipRecipe()),
        "fast in 10 passes, scale 0.13, 4 cuts, detail 16": lambda: images(
            ClipRecipe(steps=10, scale=0.13, cuts=4, detail=16, tries=1)),
        "the notebook's loop, 50 steps of 4 cuts": lambda: notebook_clip(unet, plain, x[:1], text, 4, 50, judge.size),
    }, rounds // 3))  # fmt: skip

    told, stop, course = catalogue.get("digits/channels"), 5, "the notebook's 1,000 steps"
    recipe = DigitRecipe(count=8)
    seconds = medians({course: lambda: notebook_digits(told, 80, stop), "ours": lambda: images(recipe)}, 3)
    seconds[course] *= 1000 / stop  # each step costs the same
    table("all ten digits x 8", "grid", seconds)

    torch.manual_seed(0)
    unet, fast = course_unet().eval().to(where), course_model(where)
    x = torch.randn(1, 3, 256, 256).to(where)
    for method in METHODS:
        table(f"the course's shapes, 256 px, 113.7 M parameters, 1 picture, {method}", "step", medians({
            "the notebook's loop": lambda method=method: notebook(unet, x, 1, method == "full"),
            "ours": lambda method=method: ours(fast, x, 40, 1, method),
        }, 3))  # fmt: skip

    judge, plain = clips.untrained("ViT-B-32", where), clips.untrained("ViT-B-32", torch.device("cpu"))
    theirs = plain.network.float().to(where)
    text = judge.text("a snowy mountain at night")
    table("the course's shapes with CLIP ViT-B-32, 1 picture, shortcut", "step", medians({
        "1 cut": lambda: ours(fast, x, 40, 1, "shortcut", prompt(judge, text, 1)),
        "16 cuts": lambda: ours(fast, x, 40, 1, "shortcut", prompt(judge, text, 16)),
        "the notebook's loop, 16 cuts": lambda: notebook_clip(unet, theirs, x, text, 16),
    }, 3))  # fmt: skip
    on_the_page(rounds // 3)  # last: its one thread and this one would slow each other
