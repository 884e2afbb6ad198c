"""Models from elsewhere: every format they come in, what is wrong with the others, and the cache."""

import hashlib
import json
import pathlib
import random
import threading

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from guidance import ClipRecipe, ColorRecipe, generate
from guidance.models import catalogue, loading
from guidance.models.cache import Cache, weight
from guidance.models.device import ModelError
from guidance.models.hand import twin
from guidance.models.loading import open_model
from tests.exact import tiny_unet


def save_2022(folder, unet, scheduler):
    """The flat layout of 2022: a pickle at the root, attention weights under their old names, a scheduler beside."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = {}
    for name, value in unet.state_dict().items():
        for new, former in old.items():
            name = name.replace(f".{new}.", f".{former}.")
        weights[name] = value
    folder.mkdir()
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"} | dict(unet.config), default=str))
    scheduler.save_config(folder)


def save_pipeline(kind, safe):
    """A function that saves a pipeline of a kind."""
    return lambda folder, unet, scheduler: kind(unet, scheduler).save_pretrained(folder, safe_serialization=safe)


def save_plain(folder, unet, scheduler):
    """A UNet alone; its schedule is DDPM's."""
    unet.save_pretrained(folder)


FORMATS = {
    "DDPMPipeline": save_pipeline(DDPMPipeline, True), "DDIMPipeline": save_pipeline(DDIMPipeline, True),
    "pickle": save_pipeline(DDPMPipeline, False), "2022": save_2022, "plain": save_plain,
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_every_layout_loads_as_diffusers_meant_it(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "precision", lambda where: torch.float32)
    unet, folder = tiny_unet(), tmp_path / "model"
    FORMATS[kind](folder, unet, DDIMScheduler())
    model, x = open_model(str(folder)), torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(model.eps(x, 300), unet(x, 300).sample, atol=1e-5)


@pytest.mark.parametrize("recipe", [ColorRecipe, ClipRecipe])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_layout_is_steered_by_colour_and_by_prompt(kind, recipe, tmp_path):
    FORMATS[kind](tmp_path / "model", tiny_unet(), DDIMScheduler())
    guided = recipe(model=str(tmp_path / "model"), steps=3)
    made, bare = ([*generate(one)][-1].x0 for one in (guided, guided.unguided()))
    assert made.isfinite().all() and (made - bare).abs().max() > 0.01


def test_a_folder_that_plain_diffusers_has_trained_is_steered(tmp_path):
    unet, scheduler = tiny_unet().train().requires_grad_(True), DDPMScheduler()
    optimizer, ema = torch.optim.AdamW(unet.parameters(), lr=1e-3), EMAModel(unet.parameters(), model_cls=UNet2DModel,
                                                                             model_config=unet.config)  # fmt: skip
    x0 = torch.rand(2, 3, 16, 16)
    for t in (100, 600):
        noise, steps = torch.randn_like(x0), torch.full((2,), t)
        torch.nn.functional.mse_loss(unet(scheduler.add_noise(x0, noise, steps), steps).sample, noise).backward()
        optimizer.step()
        optimizer.zero_grad()
        ema.step(unet.parameters())
    ema.save_pretrained(tmp_path / "checkpoint-2" / "unet_ema")  # what a training leaves beside its pipeline
    (tmp_path / "logs").mkdir()
    (tmp_path / "README.md").write_text("# A model")
    DDPMPipeline(unet, scheduler).save_pretrained(tmp_path)
    for recipe in (ColorRecipe, ClipRecipe):
        *_, last = generate(recipe(model=str(tmp_path), steps=2))
        assert last.x0.isfinite().all() and last.losses


SCHEDULES = {
    "linear": {}, "cosine": {"beta_schedule": "squaredcos_cap_v2"}, "scaled": {"beta_schedule": "scaled_linear"},
    "v": {"prediction_type": "v_prediction"}, "sample": {"prediction_type": "sample"},
    "betas": {"trained_betas": torch.linspace(1e-4, 0.02, 1000).tolist()},
}  # fmt: skip


@pytest.mark.parametrize("recipe", [ColorRecipe(steps=3), ClipRecipe(steps=3), ColorRecipe(steps=3, solver="ddpm")])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_is_steered(schedule, recipe, tmp_path):
    DDPMPipeline(tiny_unet(), DDPMScheduler(**SCHEDULES[schedule])).save_pretrained(tmp_path)
    *_, last = generate(recipe.replace(model=str(tmp_path)))
    assert last.x0.shape == (1, 3, 16, 16)
    assert all(value.isfinite().all() for value in (last.x0, *last.losses.values()))


@pytest.mark.parametrize("method", ["shortcut", "full"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_pictures_learned_variance_and_oblong_sizes_are_steered(channels, method, tmp_path):
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=(16, 24), in_channels=channels, out_channels=2 * channels, block_out_channels=(16, 32),
        layers_per_block=1, norm_num_groups=8, down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler(variance_type="learned_range")).save_pretrained(tmp_path)
    for recipe in (ColorRecipe, ClipRecipe):
        for solver in ("ddim", "dpm++", "ddpm"):
            *_, last = generate(recipe(model=str(tmp_path), steps=3, method=method, solver=solver))
            assert last.x0.shape == (1, channels, 16, 24)
            assert last.images()[0].size == (24, 16)


def broken(change):
    """A saved pipeline after a change to its folder."""

    def make(folder):
        DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(folder)
        change(folder)

    return make


def configure(file, **values):
    """A change of a configuration."""
    return broken(lambda folder: rewrite(folder / file, values))


def written(file, text):
    """A change of a file to a text."""
    return broken(lambda folder: (folder / file).write_text(text))


def rewrite(path, values):
    """Change a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def weights(folder):
    """The file of a saved pipeline's weights."""
    return folder / "unet" / "diffusion_pytorch_model.safetensors"


def no_numbers(folder):
    """Weights one of which is infinite."""
    changed = load_file(weights(folder))
    changed["conv_in.bias"][3] = torch.inf
    save_file(changed, weights(folder))


def pickled(folder):
    """A pickle that holds more than tensors in the place of the weights."""
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"conv_in.weight": pathlib.PurePosixPath("/")}, folder / "unet" / "diffusion_pytorch_model.bin")


def truncated(folder):
    """Weights that end early."""
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


POINTER = "version https://git-lfs.github.com/spec/v1"
BROKEN = {
    "a text-to-image model": configure("model_index.json", vae=["diffusers", "AutoencoderKL"]),
    "no diffusers model": configure("unet/config.json", _class_name="Transformer2DModel"),
    "1 or 3 channels": configure("unet/config.json", in_channels=4),
    "wants a class": configure("unet/config.json", num_class_embeds=10),
    "a multiple of 2 px": configure("unet/config.json", sample_size=15),
    "another kind than DDPM's": configure("scheduler/scheduler_config.json", _class_name="ScoreSdeVeScheduler"),
    "unet/config.json is damaged or not whole": written("unet/config.json", "{"),
    "unet/config.json is damaged": written("unet/config.json", "[]"),
    "scheduler/scheduler_config.json is missing": broken(
        lambda folder: (folder / "scheduler" / "scheduler_config.json").unlink()
    ),
    "model.safetensors is a pointer of Git LFS": written("unet/diffusion_pytorch_model.safetensors", POINTER),
    "model.safetensors is empty": written("unet/diffusion_pytorch_model.safetensors", ""),
    "its weights hold what is no number": broken(no_numbers),
    "has no weights": broken(lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()),
    "damaged or not whole": broken(truncated),
    "something other than tensors": broken(pickled),
    "do not fit its configuration": configure("unet/config.json", layers_per_block=2),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_what_cannot_be_loaded_gets_its_own_sentence(sentence, tmp_path):
    BROKEN[sentence](tmp_path)
    with pytest.raises(ModelError, match=sentence):
        list(generate(ColorRecipe(model=str(tmp_path), steps=1)))
    assert len(list(generate(ColorRecipe(steps=1)))) == 1  # what is there goes on working


def test_an_empty_folder_and_a_hub_out_of_reach_get_theirs(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="is no diffusers model"):
        open_model(str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="nobody/nothing is not on this machine, and the Hub cannot be reached"):
        open_model("nobody/nothing")


def test_ours_loads_in_plain_diffusers():
    pipeline = DDIMPipeline.from_pretrained(catalogue.BUILT_IN["landscapes"])
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(num_inference_steps=1, output_type="np").images.shape == (1, 64, 64, 3)


def test_the_cache_never_exceeds_its_budget_and_drops_the_least_recently_used():
    cache, generator, loads = Cache(lambda: 100, lambda thing: thing), random.Random(0), []
    for _ in range(200):
        name = generator.randrange(12)
        cache.get(str(name), lambda name=name: loads.append(name) or 10 + 5 * name)
        assert cache.taken() <= 100
        assert cache.held()[0][0] == str(name)
    assert 12 < len(loads) < 200
    before = [name for name, _ in cache.held()]
    cache.get("small", lambda: 1)
    assert [name for name, _ in cache.held()] == ["small", *before][: len(cache.held())]


def test_what_is_held_can_be_seen_without_being_used():
    cache = Cache(lambda: 100, lambda thing: 1)
    for name in "ab":
        cache.get(name, name.upper)
    assert cache.loaded() == [("b", "B"), ("a", "A")] and cache.held() == [("b", 1), ("a", 1)]


def test_a_fingerprint_is_that_of_the_file_as_it_is_now(tmp_path):
    path = tmp_path / "weights"
    for data in (b"first", b"another"):
        path.write_bytes(data)
        assert loading.fingerprint(path) == hashlib.sha256(data).hexdigest()[:12]


def test_a_model_of_several_files_has_a_fingerprint_of_all_that_paint(tmp_path):
    DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    mark = loading.fingerprint(weights)
    assert catalogue.fingerprint(str(tmp_path)) == open_model(str(tmp_path)).fingerprint == mark
    (tmp_path / "vae").mkdir()
    assert catalogue.fingerprint(str(tmp_path)) is None  # some of its weights are not here
    for part in ("vae", "text_encoder"):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / ("model.safetensors" if part == "text_encoder" else weights.name)).write_text(part)
    marks = [loading.fingerprint(path) for path in sorted(tmp_path.glob("[vt]*/*.safetensors"), reverse=True)]
    assert catalogue.fingerprint(str(tmp_path)) == "-".join([mark, *marks])


def test_kinds_are_told_by_configurations_alone():
    unet = dict(tiny_unet().config)
    loading.pixel(unet, "x")
    config = loading.scheduled({"prediction_type": "v_prediction", "variance_type": "learned_range"}, "x")
    assert (config["prediction_type"], config["variance_type"], config["clip_sample"]) == (
        "v_prediction", "fixed_small", True
    )  # fmt: skip
    latent = loading.scheduled({"_class_name": "PNDMScheduler"}, "x", latent=True)
    assert (latent["clip_sample"], latent["steps_offset"]) == (False, 1)
    with pytest.raises(ModelError, match="^The pictures of x must be a multiple of 2 px wide and high"):
        loading.pixel(unet | {"sample_size": (16, 15)}, "x")
    with pytest.raises(ModelError, match="^x is no diffusers model of unconditional pictures"):
        loading.pixel({}, "x")


def test_a_twin_shares_the_tensors_and_nothing_else():
    unet = tiny_unet()
    other = twin(torch.compile(unet))  # which is never run
    pairs = list(zip(unet.state_dict().values(), other.state_dict().values(), strict=True))
    assert type(other) is UNet2DModel and all(first.data_ptr() == second.data_ptr() for first, second in pairs)
    ours = {id(part) for part in unet.modules()}
    assert not any(id(part) in ours for part in other.modules())


def test_what_is_larger_than_the_budget_says_so():
    with pytest.raises(ModelError, match=r"takes 2\.0 GiB, more than the 1\.0 GiB .* raise GUIDANCE_CACHE_GIB"):
        Cache(lambda: 2**30, lambda thing: 2**31).get("x", object)


def test_a_load_that_fails_is_tried_again_and_others_do_not_wait_for_it():
    cache, started, go = Cache(lambda: 100, lambda thing: 1), threading.Event(), threading.Event()

    def slow():
        started.set()
        assert go.wait(60)
        raise OSError

    thread = threading.Thread(target=lambda: pytest.raises(OSError, cache.get, "slow", slow))
    thread.start()
    assert started.wait(60)
    assert cache.get("quick", lambda: "there") == "there"
    go.set()
    thread.join()
    assert cache.get("slow", lambda: "at last") == "at last"


def test_a_network_s_weight_is_that_of_its_tensors():
    unet = tiny_unet()
    assert weight(unet) == 4 * sum(part.numel() for part in unet.parameters())
