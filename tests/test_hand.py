"""Pipelines in hand: plain ones of diffusers are steered by the library's calls, and are left as they were found."""

import inspect
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image, ImageColor
from torch import nn
from transformers import CLIPTextModelWithProjection

import guidance
from guidance import Color, Loss, Prompt, Recipe, RecipeError, frames, save_png, settings, steer
from guidance.models import catalogue, clips
from guidance.models.cache import Cache, weight
from guidance.models.device import ModelError
from guidance.recipe import IN_HAND
from guidance.sampling.guides import GuidanceError
from tests.pipelines import changes, pixels, seen, stable_diffusion, text_config, tokenizer

NETWORKS = Cache(lambda: 2**30, weight)
PIPELINES = {
    "DDPM": lambda: DDPMPipeline(pixels(), DDPMScheduler()),
    "DDIM": lambda: DDIMPipeline(pixels(), DDIMScheduler()),
    "bf16": lambda: DDIMPipeline(pixels(), DDIMScheduler()).to(torch.bfloat16),
    "learned variance": lambda: DDPMPipeline(pixels(out=6), DDPMScheduler(variance_type="learned_range")),
    "dropout in training": lambda: DDPMPipeline(pixels(dropout=0.5).train(), DDPMScheduler()),
    "Stable Diffusion": stable_diffusion,
}  # fmt: skip


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """Float32, so that differences of rounding are small."""
    monkeypatch.setattr(settings, "PRECISION", "float32")
    monkeypatch.setattr(catalogue, "cache", NETWORKS)
    monkeypatch.setattr(clips, "cache", NETWORKS)


@pytest.fixture(params=PIPELINES)
def pipe(request):
    """A pipeline of each kind."""
    made = PIPELINES[request.param]()
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture
def plain():
    """One pipeline, for what is the same of all."""
    return PIPELINES["DDIM"]()


def text(pipe):
    """What a pipeline that takes a text is told."""
    return {"text": "a red sea", "negative": "night"} if isinstance(pipe, StableDiffusionPipeline) else {}


def arrays(pictures):
    """Pictures as (N, H, W, C) of floats."""
    return np.stack([np.asarray(picture) for picture in pictures]).astype(float)


def own(pipe):
    """What a pipeline paints, or its network says, by itself."""
    torch.manual_seed(0)  # dropout draws from it
    generator = torch.Generator().manual_seed(0)
    if isinstance(pipe, StableDiffusionPipeline):
        return pipe("a red sea", num_inference_steps=2, generator=generator, output_type="np").images
    training = pipe.unet.training
    with torch.no_grad():
        said = pipe.unet.eval()(torch.randn(2, 3, 16, 16, generator=generator).to(pipe.unet.dtype), 300).sample.float()
    pipe.unet.train(training)
    return np.concatenate([said[:, :3].numpy(), pipe_images(pipe, generator)]) if len(said[0]) == 3 else said.numpy()


def pipe_images(pipe, generator):
    """The pictures of a pipeline of pixels, where it can give any: diffusers has none of bf16."""
    if pipe.unet.dtype == torch.bfloat16:
        return np.zeros((0, 3, 16, 16))
    return pipe(1, generator, num_inference_steps=2, output_type="np").images.transpose(0, 3, 1, 2)


def sides(x0):
    """How far pictures are from their mirror images."""
    return (x0 - x0.flip(-1)).square().mean((1, 2, 3))


def broken(x0, i):
    """A loss that fails halfway."""
    if i == 1:
        raise KeyError("mine")
    return sides(x0)


def through(pipe):
    """A whole run, by both methods."""
    for method in ("shortcut", "full"):
        steer(pipe, Color("teal", method=method) + Prompt("hills", scale=0.1), steps=2, **text(pipe))


def broken_off(pipe):
    """Runs that end in their middle, in which nothing of torch is switched off."""
    for method in ("shortcut", "full"):
        run = frames(pipe, Color("teal", method=method), steps=5, **text(pipe))
        assert [next(run).step, next(run).step] == [1, 2]
        assert torch.is_grad_enabled()
        run.close()


def failed(pipe):
    """Runs whose loss fails."""
    for method in ("shortcut", "full"):
        with pytest.raises(KeyError, match="mine"):
            steer(pipe, Loss(broken, method=method), steps=3, **text(pipe))


@pytest.mark.parametrize("end", [through, broken_off, failed])
def test_it_is_left_as_it_was_found(pipe, end):
    modes = [part.training for part in pipe.components.values() if isinstance(part, nn.Module)]
    if not any(modes):
        pipe.unet.train()
    pipe.unet.enable_gradient_checkpointing()
    pipe.unet.conv_out.register_forward_hook(lambda *_: None)
    pipe.unet.to(memory_format=torch.channels_last)
    clips.get("landscapes")  # building a network draws numbers, steering does not
    alone, before, chance = own(pipe), seen(pipe), torch.get_rng_state()
    end(pipe)
    assert changes(before, seen(pipe)) == []
    assert torch.equal(torch.get_rng_state(), chance) and torch.is_grad_enabled()
    assert np.array_equal(own(pipe), alone)


def test_a_look_at_a_pipeline_sees_every_change(plain):
    unet, attention = plain.unet, plain.unet.mid_block.attentions[0]
    for change in (
        unet.conv_in.eval, unet.enable_gradient_checkpointing, partial(attention.set_processor, AttnProcessor()),
        partial(setattr, unet.conv_in, "forward", unet.conv_in.forward), partial(unet.requires_grad_, False),
        partial(unet.register_forward_hook, print), partial(unet.to, memory_format=torch.channels_last),
        unet.zero_grad, partial(plain.scheduler.set_timesteps, 7), partial(plain.to, torch.bfloat16),
        partial(plain.scheduler.register_to_config, clip_sample=False),
    ):  # fmt: skip
        unet.train()
        before = seen(plain)
        change()
        assert changes(before, seen(plain)), change
    before = seen(plain)
    with torch.no_grad():
        unet.conv_in.bias[0] += 1
        unet.conv_in.bias[0] -= 1
    assert changes(before, seen(plain)) == ["unet.conv_in.bias"]


def apart(pictures):
    """How far pictures (N, H, W, C) are from their mirror images."""
    return np.square(pictures - pictures[:, :, ::-1]).mean()


def away(pictures):
    """How far the mean colours of pictures (N, H, W, C) are from teal."""
    return abs(pictures.mean((1, 2)) - ImageColor.getrgb("teal")).mean()


@pytest.mark.parametrize("method", ["shortcut", "full"])
def test_colour_and_loss_go_where_they_say(pipe, method):
    fields = {"count": 2, "steps": 5, "seed": 3} | text(pipe)
    bare = arrays(steer(pipe, **fields))
    # What random weights can paint is narrow, but it goes where it is led.
    assert away(arrays(steer(pipe, Color("teal", method=method), **fields))) < away(bare) - 0.5
    symmetric = arrays(steer(pipe, Loss(sides, scale=0.3, name="symmetry", method=method), **fields))
    assert apart(symmetric) < 0.9 * apart(bare)


def test_a_trained_pipeline_in_hand_is_steered_as_by_its_name():
    pipe = DDIMPipeline.from_pretrained(settings.ASSETS / "landscapes")
    fields = {"count": 2, "steps": 8, "seed": 3, "solver": "dpm++"}  # by its name it would bring this one
    bare, teal, symmetric = (
        arrays(steer(pipe, guides, **fields)) for guides in ((), Color("teal"), Loss(sides, scale=0.3, name="symmetry"))
    )
    assert away(teal) < 0.4 * away(bare) and apart(symmetric) < 0.7 * apart(bare)
    assert abs(teal - arrays(steer("landscapes", Color("teal"), size="native", **fields))).max() <= 2


def test_a_picture_is_the_same_alone_and_in_company(pipe):
    for guides in (Color("teal", scale=0.4) + Prompt("a lake at dusk"), Loss(sides, method="full")):
        together = steer(pipe, guides, seed=7, count=3, steps=3, **text(pipe))
        alone = steer(pipe, guides, seed=9, steps=3, **text(pipe))
        assert np.array_equal(arrays(together[2:]), arrays(alone))


@pytest.mark.parametrize("kind", ["DDPM", "DDIM", "learned variance", "Stable Diffusion"])
def test_it_paints_what_it_paints_from_a_folder(kind, tmp_path):
    pipe = PIPELINES[kind]()
    pipe.save_pretrained(tmp_path)
    for guides in (Color("teal", scale=0.4) + Prompt("a lake at dusk"), Loss(sides, method="full"), ()):
        fields = {"seed": 7, "count": 2, "steps": 3} | text(pipe)
        in_hand, by_name = (arrays(steer(model, guides, **fields)) for model in (pipe, str(tmp_path)))
        assert abs(in_hand - by_name).max() <= 2
    assert np.array_equal(arrays(steer(tmp_path, **fields)), by_name)  # a path is a name as well


def test_a_built_in_model_is_steered_by_its_name():
    pictures = steer("landscapes", Color("teal"), count=2, steps=3)
    assert [picture.size for picture in pictures] == [(256, 256)] * 2
    assert np.array_equal(arrays(pictures), arrays(guidance.images(Recipe((Color("teal"),), count=2, steps=3))))


def test_steer_is_there_however_it_is_imported():
    from guidance.engine import steer as function

    made = [arrays(call("landscapes", Color("teal"), steps=1)) for call in (steer, function, guidance.steer)]
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[1], made[2])


def test_a_run_is_shown_a_step_at_a_time(plain):
    guides = Prompt("hills") * 0.5 + Color("gold", start=0)
    assert [guide.scale for guide in guides] == [Prompt().scale / 2, 0.2]
    shown = [(frame.step, sorted(frame.losses), frame.images()[0].size) for frame in frames(plain, guides, steps=3)]
    assert shown[::2] == [(1, ["colour", "prompt"], (16, 16)), (3, ["colour", "prompt"], (16, 16))]


def test_a_network_alone_is_steered_with_its_schedule(plain):
    fields = {"guides": Color("teal"), "seed": 4, "steps": 3}
    made = arrays(steer(plain, **fields))
    assert np.array_equal(made, arrays(steer(plain.unet, scheduler=plain.scheduler, **fields)))
    other = DDIMScheduler(beta_schedule="squaredcos_cap_v2")
    assert not np.array_equal(made, arrays(steer(plain.unet, scheduler=other, **fields)))
    assert np.array_equal(*(arrays(steer(held, scheduler=other, **fields)) for held in (plain, plain.unet)))
    before = seen(plain)
    steer(plain.unet, scheduler=plain.scheduler, **fields)
    assert changes(before, seen(plain)) == []


def test_training_goes_on_where_it_was(plain):
    unet, fixed = plain.unet.train(), torch.ones(1, 3, 16, 16)
    optimizer = torch.optim.SGD(unet.parameters(), lr=0.1)
    before = arrays(steer(plain, Color("teal"), steps=3))
    loss = unet(fixed, 5).sample.square().mean()
    steer(plain, Color("teal", method="full"), steps=2)  # between a forward and its backward
    loss.backward()
    optimizer.step()
    after = arrays(steer(plain, Color("teal"), steps=3))
    assert unet.training and not np.array_equal(before, after)  # what is steered is the network as it is now


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_is_steered_where_gradients_are_off(mode, plain):
    fields = {"guides": Color("teal", method="full") + Prompt("hills"), "steps": 2}
    with mode():
        made = [arrays(steer(model, **fields)) for model in ("landscapes", plain)]
    for model, pictures in zip(("landscapes", plain), made, strict=True):  # what was loaded there serves here
        assert np.array_equal(arrays(steer(model, **fields)), pictures)


@pytest.mark.parametrize(("kind", "shape"), [("bf16", (2, 3, 16, 16)), ("Stable Diffusion", (2, 3, 32, 32))])
def test_a_loss_is_shown_pictures_in_float32(kind, shape):
    looks, pipe = set(), PIPELINES[kind]()

    def watched(x0):
        looks.add((x0.dtype, tuple(x0.shape)))
        return sides(x0)

    steer(pipe, Loss(watched), steps=2, count=2)
    assert looks == {(torch.float32, shape)}


class Judge(nn.Module):
    """A network as a loss."""

    def forward(self, x0):
        return sides(x0)


@pytest.mark.parametrize(
    "function",
    [Judge(), Judge().forward, partial(lambda share, x0: share * sides(x0), 2.0), lambda x0, share=2: share * sides(x0),
     lambda *given: sides(*given), lambda x0, /, *, share=2: share * sides(x0)],
)  # fmt: skip
def test_whatever_takes_pictures_is_a_loss(function, plain):
    made = arrays(steer(plain, Loss(function), steps=2))  # by how much it is multiplied is no matter
    assert abs(made - arrays(steer(plain, Loss(sides), steps=2))).max() <= 1


def test_a_loss_takes_the_step_as_a_second_value(plain):
    told = []
    made = steer(plain, Loss(lambda x0, step: told.append(step) or sides(x0) * (step < 2)), steps=4)
    assert told == [0, 1, 2, 3]
    assert np.array_equal(arrays(made), arrays(steer(plain, Loss(sides, stop=0.5), steps=4)))


MEAN = "take the mean over the pixels, (1, 2, 3), and not over the pictures."
SENTENCES = {
    f"must give one number a picture, of shape (2,), and gave a tensor of shape (): {MEAN}": lambda x0: x0.mean(),
    f"must give one number a picture, of shape (2,), and gave a tensor of shape (2, 1): {MEAN}":
        lambda x0: x0.mean((1, 2, 3))[:, None],
    f"must give one number a picture, of shape (2,), and gave no tensor: {MEAN}": lambda x0: 0.5,
    "has no gradient: it must be made of x0 by operations of torch.": lambda x0: sides(x0.detach()),
    "is not a finite number at step 1.": lambda x0: sides(x0).log() * 0 / 0,
    "must be on the device of x0, cpu, and is on meta.": lambda x0: sides(x0).to("meta"),
    "mixes devices: bring its own tensors to that of x0, cpu, with .to(x0).":
        lambda x0: sides(x0 - torch.zeros(3, 16, 16, device="meta")),
    "cannot judge pictures of 3 channels and 16 x 16 px: index 3 is out of bounds for dimension 1 with size 3":
        lambda x0: x0[:, 3].mean((1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("method", ["shortcut", "full"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_loss_that_cannot_guide_says_why(sentence, method, plain):
    before = seen(plain)
    with pytest.raises(GuidanceError) as error:
        steer(plain, Loss(SENTENCES[sentence], name="of mine", method=method), count=2, steps=2)
    assert str(error.value) == f"The loss of mine {sentence}"
    assert changes(before, seen(plain)) == []


def test_a_loss_for_colours_says_that_it_cannot_judge_grey_pictures():
    gray, look = DDPMPipeline(pixels(1), DDPMScheduler()), nn.Conv2d(3, 1, 3)
    with pytest.raises(GuidanceError) as error:
        steer(gray, Loss(lambda x0: look(x0).mean((1, 2, 3)), name="look"), steps=1)
    assert str(error.value).startswith("The loss look cannot judge pictures of 1 channel and 16 x 16 px: Given groups")
    assert "\n" not in str(error.value)
    assert steer(gray, Loss(sides) + Color("teal") + Prompt("hills"), steps=2)[0].mode == "L"


def test_a_loss_that_blows_up_says_where(plain):
    with pytest.raises(GuidanceError) as error:
        steer(plain, Loss(lambda x0: (x0 * 0).sqrt().sum((1, 2, 3)), scale=0.3), steps=2)  # a gradient of 0 * infinity
    assert str(error.value) == "The guidance blew up at step 1 of 2 with scale 0.3: lower the scale."


KINDS = "a DDPMPipeline, a DDIMPipeline, a StableDiffusionPipeline, or a UNet2DModel and its scheduler"
NO_MODEL = f"This is no model that can be steered: that is {KINDS}."
ALONE = "A network alone needs its noise schedule: give the scheduler as scheduler=..."


def xl():
    """A pipeline with a second text encoder."""
    second = CLIPTextModelWithProjection(text_config(projection_dim=24))
    return stable_diffusion(StableDiffusionXLPipeline, text_encoder_2=second, tokenizer_2=tokenizer())


def without(name):
    """A pipeline like Stable Diffusion's that lacks a part."""
    pipe = stable_diffusion()
    setattr(pipe, name, None)
    return pipe


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (lambda: None, NO_MODEL), (lambda: nn.Linear(2, 2), NO_MODEL), (lambda: without("unet"), NO_MODEL),
        (pixels, ALONE), (lambda: without("scheduler"), ALONE),
        (xl, "StableDiffusionXLPipeline is a Stable Diffusion XL model: those like versions 1 and 2 are taken."),
        (lambda: without("tokenizer"), "StableDiffusionPipeline has no tokenizer."),
        (lambda: without("vae"),
         "StableDiffusionPipeline is a text-to-image model of another kind than Stable Diffusion 1 and 2."),
        (lambda: DDPMPipeline(pixels(4), DDPMScheduler()), "DDPMPipeline does not make pictures of 1 or 3 channels."),
    ],
)  # fmt: skip
def test_what_cannot_be_steered_gets_its_sentence(held, sentence):
    with pytest.raises(ModelError) as error:
        steer(held(), Color("teal"))
    assert str(error.value) == sentence


def test_a_network_for_texts_alone_gets_its_sentence():
    with pytest.raises(ModelError) as error:
        steer(stable_diffusion().unet, scheduler=DDIMScheduler())
    assert str(error.value) == "UNet2DConditionModel is no diffusers model of unconditional pictures."


@pytest.mark.parametrize("recipe", [Recipe(model=IN_HAND), Recipe((Color("teal"), Loss(sides)))])
def test_what_no_file_can_hold_is_not_saved(recipe, tmp_path):
    with pytest.raises(RecipeError) as error:
        save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", recipe)
    assert str(error.value) == (
        "A model in hand or a loss of your own runs in the library: no file can hold its recipe."
    )
    assert not (tmp_path / "a.png").exists()


def test_the_calls_are_those_of_the_package_s_own_words():
    words = inspect.cleandoc(guidance.__doc__)
    assert "from guidance import Color, Loss, Prompt, frames, steer" in words
    names = {"pipeline": PIPELINES["DDIM"](), "steer": partial(steer, steps=1), "Color": Color, "Loss": Loss}
    for line in (line for line in words.splitlines() if line.strip().startswith("steer(")):
        exec(line.strip().replace(".show()", ""), names | {"Prompt": Prompt})


@pytest.mark.parametrize("guides", [sides, Color, None, "teal", 3, [Color("teal"), sides]])
def test_what_is_no_guide_is_told_how_to_become_one(plain, guides):
    with pytest.raises(RecipeError, match=r"^The model comes first, then its guides, .* goes as Loss\(function\)\.$"):
        steer(plain, guides, steps=1)
    with pytest.raises(RecipeError, match="^The model comes first"):
        steer(Color("teal"), plain)
