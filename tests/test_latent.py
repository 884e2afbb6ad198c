"""Latent models: a tiny pipeline like Stable Diffusion's against diffusers' own, steered by text, colour and prompt."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline

from guidance import ClipRecipe, ColorRecipe, Recipe, generate, images, steer
from guidance.engine import TAKES_NO_TEXT
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.guides.digits import Digits
from guidance.models import catalogue, loading
from guidance.models.cache import Cache, weight
from guidance.models.device import ModelError
from guidance.models.loading import open_model
from guidance.sampling.guides import GuidanceError
from tests.exact import generators
from tests.pipelines import stable_diffusion

TEXT = {"text": "a red sea", "negative": "night"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A pipeline with random weights whose pictures are 32 px, its latents 4 x 16 x 16."""
    where = tmp_path_factory.mktemp("latent") / "model"
    stable_diffusion().save_pretrained(where)
    return where


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """Float32, so that differences of rounding are small, and a cache of the test's own."""
    monkeypatch.setattr(loading, "precision", lambda where: torch.float32)
    monkeypatch.setattr(catalogue, "cache", Cache(lambda: 2**30, weight))


def pixels(recipe):
    """The last frame's pictures."""
    return np.stack([np.asarray(image) for image in images(recipe)])


@pytest.mark.parametrize("scale", [7.5, 1.0])
def test_without_guidance_it_is_diffusers_own_pipeline(folder, scale):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    latents = catalogue.get(str(folder)).noise(generators(3, 4))
    theirs = pipeline(
        [TEXT["text"]] * 2, negative_prompt=[TEXT["negative"]] * 2, latents=latents, num_inference_steps=6,
        guidance_scale=scale, output_type="pt",
    ).images  # fmt: skip
    *_, last = generate(ColorRecipe(model=str(folder), scale=0, steps=6, seed=3, count=2, text_scale=scale, **TEXT))
    assert last.x0.shape == (2, 3, 32, 32)
    assert last.x0.std() > 0.05
    assert torch.allclose((last.x0 + 1) / 2, theirs, rtol=0, atol=1e-3)


def test_the_text_and_the_negative_one_matter_and_a_scale_of_one_is_one_pass(folder, monkeypatch):
    model, calls = catalogue.get(str(folder)), []
    real = model.unet.forward
    monkeypatch.setattr(model.unet, "forward", lambda x, *rest: calls.append(len(x)) or real(x, *rest))
    monkeypatch.setattr(model, "batch", 2)
    plain = ColorRecipe(model=str(folder), scale=0, steps=2)
    made = {}
    for name, fields in {
        "text": {"text": "a red sea"}, "both": TEXT, "one": TEXT | {"text_scale": 1}, "none": {}
    }.items():  # fmt: skip
        calls.clear()
        made[name] = pixels(ColorRecipe(**{"model": plain.model, "scale": 0, "steps": 2} | fields)), len(calls)
    assert all(count == 2 for _, count in made.values())  # both halves in one forward
    ends = [picture for picture, _ in made.values()]
    assert all((first != second).any() for k, first in enumerate(ends) for second in ends[:k])
    monkeypatch.setattr(model, "batch", 1)
    calls.clear()
    pixels(ColorRecipe(model=str(folder), scale=0, steps=2, text_scale=1, **TEXT))
    assert len(calls) == 2


@pytest.mark.parametrize("fields", [{}, {"method": "full"}, {"rule": "course", "scale": 900}])
def test_a_colour_moves_the_decoded_pictures_on_top_of_the_text(folder, fields):
    def mean(color):
        recipe = ColorRecipe(color=color, model=str(folder), steps=12, loss="tone", weight="constant",
                             **{"scale": 0.5, "start": 0} | TEXT | fields)  # fmt: skip
        return pixels(recipe).mean((0, 1, 2))

    # What a decoder of random weights can paint is narrow, but it goes where it is led.
    assert ((mean("magenta") - mean("lime")) * (1, -1, 1)).sum() > 40


@pytest.mark.parametrize("method", ["shortcut", "full"])
@pytest.mark.parametrize("solver", ["ddim", "dpm++", "ddpm"])
def test_a_prompt_steers_it_with_every_solver(folder, method, solver):
    recipe = ClipRecipe(model=str(folder), steps=4, method=method, solver=solver, cuts=2, **TEXT)
    first, *_, last = generate(recipe)
    assert first.losses["prompt"].isfinite().all() and last.x0.isfinite().all()
    assert (pixels(recipe) != pixels(recipe.unguided())).any()


def test_a_picture_is_the_same_alone_and_in_company(folder):
    recipe = ColorRecipe(model=str(folder), seed=3, count=3, steps=4, method="full", **TEXT)
    together = pixels(recipe)
    assert all(np.array_equal(together[k], pixels(recipe.picture(k))[0]) for k in (0, 2))


def test_previews_are_decoded_when_asked_for_and_frames_travel(folder, monkeypatch):
    model, calls = catalogue.get(str(folder)), []
    real = model.vae.decode
    monkeypatch.setattr(model.vae, "decode", lambda *inputs: calls.append(1) or real(*inputs))
    frames = list(generate(ColorRecipe(model=str(folder), scale=0, steps=3)))
    assert not calls
    assert frames[1].images()[0].size == (32, 32)
    assert frames[1].x0.abs().max() <= 1 and len(calls) == 1
    assert torch.equal(pickle.loads(pickle.dumps(frames[2])).x0, frames[2].x0)


def test_all_of_it_counts_in_the_cache(folder):
    model = open_model(str(folder))
    parts = (model.unet, model.vae, model.text_encoder)
    assert weight(model) >= 4 * sum(tensor.numel() for part in parts for tensor in part.parameters())


def test_what_a_user_should_know_of_a_text(folder):
    *_, last = generate(ColorRecipe(model=str(folder), scale=0, steps=1, text="a red sea " * 9))
    assert last.notes == ("The text is longer than the 16 tokens that the model reads: its end was cut.",)
    *_, last = generate(ColorRecipe(scale=0, steps=1, text="a red sea"))
    assert last.notes == (TAKES_NO_TEXT,)


@pytest.fixture
def held(folder):
    """The pipeline in hand."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_several_guides_steer_it_and_none_is_told_a_class(folder):
    recipe = Recipe(guides=Color("teal", weight="constant") + Brightness(0.1), model=str(folder), steps=6, **TEXT)
    bare, both = (pixels(one) for one in (recipe.unguided(), recipe))
    assert (bare != both).any()
    for k in range(2):
        assert (pixels(recipe.replace(guides=recipe.guides[k : k + 1])) != both).any()
    with pytest.raises(GuidanceError, match="^Digits steer a model that is told a class"):
        steer(str(folder), Digits("3"), steps=1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda pipeline: pipeline.register_modules(vae=None), "is a text-to-image model of another kind than Stable"),
        (lambda pipeline: pipeline.unet.register_to_config(in_channels=9), "wants more than a text"),
        (lambda pipeline: pipeline.unet.register_to_config(cross_attention_dim=40), "parts of .* do not fit each"),
        (lambda pipeline: pipeline.scheduler.register_to_config(rescale_betas_zero_snr=True), "holds nothing of the"),
    ],
)  # fmt: skip
def test_a_pipeline_in_hand_that_is_not_taken_gets_its_sentence(change, sentence, held):
    change(held)
    with pytest.raises(ModelError, match=sentence):
        steer(held, Color("teal"), steps=1)


def rewritten(folder, to, changes):
    """A copy of the pipeline with changes to its configurations; a change to None deletes a file."""
    for path in folder.rglob("*"):
        if path.is_file():
            (to / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (to / path.relative_to(folder)).write_bytes(path.read_bytes())
    for name, values in changes.items():
        if values is None:
            (to / name).unlink()
        else:
            (to / name).write_text(json.dumps(json.loads((to / name).read_text()) | values))


SENTENCES = {
    "is a Stable Diffusion XL model": {"model_index.json": {"text_encoder_2": ["transformers", "CLIPTextModel"]}},
    "of another kind than Stable Diffusion 1 and 2": {"text_encoder/config.json": {"architectures": ["T5Encoder"]}},
    "wants more than a text": {"unet/config.json": {"in_channels": 9}},
    "The parts of .* do not fit each other": {"unet/config.json": {"cross_attention_dim": 40}},
    "neither text_encoder/model.safetensors nor": {"text_encoder/model.safetensors": None},
    "do not fit its configuration": {"vae/config.json": {"layers_per_block": 2}},
    "another kind than DDPM's": {"scheduler/scheduler_config.json": {"_class_name": "FlowMatchEulerDiscreteScheduler"}},
    "holds nothing of the picture": {"scheduler/scheduler_config.json": {"rescale_betas_zero_snr": True}},
    "has no tokenizer": {
        f"tokenizer/{name}": None for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
    },
}  # fmt: skip


@pytest.mark.parametrize("sentence", SENTENCES)
def test_pipelines_that_are_not_taken_get_their_sentence(sentence, folder, tmp_path):
    changes = {name: values for name, values in SENTENCES[sentence].items() if values or (folder / name).exists()}
    rewritten(folder, tmp_path, changes)
    with pytest.raises(ModelError, match=sentence):
        open_model(str(tmp_path))


def test_pickled_weights_and_a_2022_schedule_are_taken(folder, tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.scheduler = PNDMScheduler(skip_prk_steps=True)
    pipeline.unet.save_pretrained(tmp_path / "unet", safe_serialization=False)
    pipeline.vae.save_pretrained(tmp_path / "vae", safe_serialization=False)
    for part in ("text_encoder", "tokenizer"):
        getattr(pipeline, part).save_pretrained(tmp_path / part)
    weights = tmp_path / "text_encoder" / "model.safetensors"
    weights.unlink()
    torch.save(pipeline.text_encoder.state_dict(), weights.with_name("pytorch_model.bin"))
    pipeline.scheduler.save_pretrained(tmp_path / "scheduler")
    (tmp_path / "model_index.json").write_text((folder / "model_index.json").read_text())
    model, same = open_model(str(tmp_path)), open_model(str(folder))
    assert torch.equal(model.embed(["a red sea"]), same.embed(["a red sea"]))
    assert not model.config["clip_sample"] and model.config["steps_offset"] == 1
    torch.save({"x": Path("/")}, weights.with_name("pytorch_model.bin"))
    with pytest.raises(ModelError, match="something other than tensors"):
        open_model(str(tmp_path))


def test_without_transformers_the_remedy_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"needs another package: pip install transformers$"):
        open_model(str(folder))


def test_nothing_of_it_is_imported_before_it_is_asked_for():
    code = "import sys, guidance.engine; made = {'transformers.models.clip', " \
           "'diffusers.models.autoencoders.autoencoder_kl'} & set(sys.modules); assert not made, made"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
