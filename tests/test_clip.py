"""Prompts: the loss against plain formulas, the cuts, the words, recipes, CLIPs behind one control."""

import base64
import io
import json
import pathlib
import pickle

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from guidance import ClipRecipe, Recipe, generate, images
from guidance.__main__ import main
from guidance.codec import pack, packed, unpack
from guidance.engine import fingerprint, plan
from guidance.evaluation import clip as evaluation
from guidance.fields import RecipeError
from guidance.frame import to_pixels
from guidance.guides.prompt import Prompt, parts
from guidance.models import clips
from guidance.models.cache import Cache, weight
from guidance.models.device import ModelError
from guidance.models.words import WordTokenizer
from guidance.recipe import read_png
from guidance.sampling.cuts import cut, great_circle, prompt_loss
from guidance.sampling.guides import network
from guidance.sampling.sample import order, sample
from guidance.sampling.schedule import Schedule
from guidance.sampling.seeds import stream
from guidance.training import guided
from tests.exact import Mixture, generators, noise

WEIGHT = "A weight must be a number from -10 to 10 after a colon, as in a moon:0.5."


def pixels(recipe):
    return [np.asarray(image) for image in images(recipe)]


def test_the_distance_is_half_the_squared_angle_and_smooth_everywhere():
    angles = torch.tensor([0.0, 0.3, 1.2, 3.0])
    first, second = torch.tensor([[1.0, 0.0]]), torch.stack([angles.cos(), angles.sin()], 1).requires_grad_()
    distance = great_circle(first, second)
    assert torch.allclose(distance, angles**2 / 2, atol=1e-4)
    assert torch.autograd.grad(distance.sum(), second)[0].isfinite().all()
    opposite = great_circle(first, -first)
    assert opposite.isfinite().all()


def test_cuts_are_drawn_for_each_picture_and_keep_its_gradient():
    x0 = noise(2, 32).requires_grad_()
    made = cut(x0, 6, 16, generators(1, 1), 0.5)
    assert made.shape == (12, 3, 16, 16)
    alone = cut(x0[1:], 6, 16, generators(1), 0.5)
    assert torch.equal(made[6:], alone)
    assert not torch.equal(cut(x0[:1], 6, 16, generators(2), 0.5), cut(x0[:1], 6, 16, generators(3), 0.5))
    (gradient,) = torch.autograd.grad(made.square().sum(), x0)
    assert (gradient != 0).float().mean() > 0.9


def test_early_cuts_show_the_whole_and_late_ones_its_parts():
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    spread = [cut(ramp, 32, 32, generators(0), progress).std((1, 2, 3)) for progress in (0.0, 1.0)]
    whole = ramp.std()
    assert (spread[0] / whole).min() > 0.8
    assert (spread[1] / whole).min() < 0.7
    assert (spread[1] / whole > 0.85).sum() >= 16


def test_gray_and_large_pictures_are_cut_too():
    assert cut(torch.zeros(1, 1, 28, 28), 2, 64, generators(0), 0.0).shape == (2, 3, 64, 64)
    stripes = torch.tensor([1.0, -1.0]).repeat(128).expand(1, 3, 256, 256)
    assert cut(stripes, 4, 64, generators(0), 0.0).abs().max() < 0.2  # not aliased


def test_the_loss_is_a_weighted_mean_for_each_picture_alone():
    targets = torch.eye(3)[:2]

    def encode(pictures):
        return pictures.mean((2, 3))

    def loss(x0, *seeds):
        options = {"cuts": 4, "generators": generators(*seeds), "steps": 10}
        return prompt_loss(encode, 8, targets, [2.0, -1.0], **options)(x0, 0)

    x0 = noise(2)
    both = loss(x0, 5, 6)
    assert torch.allclose(both[1:], loss(x0[1:], 6))
    features = torch.nn.functional.normalize(encode((cut(x0[:1], 4, 8, generators(5), 0.0) + 1) / 2), dim=-1)
    plain = sum(2 * great_circle(f, targets[0]) - great_circle(f, targets[1]) for f in features) / 4 / 3
    assert torch.allclose(both[0], plain, atol=1e-6)


def test_time_travel_goes_back_to_the_noise_level_it_came_from():
    assert order(5, 2, 0.2, 0.6) == [0, 1, 1, 1, 2, 2, 2, 3, 4]
    assert order(4, 1, 0.0, 1.0) == [0, 0, 1, 1, 2, 2, 3]
    schedule = Schedule({}, "ddim", 10, generators(*range(64)))
    x0 = torch.zeros(64, 3, 16, 16)
    for i in (2, 5):
        after = schedule.sigma[i + 1] * noise(64)
        assert schedule.back(schedule.alpha[i + 1] * x0 + after, i).std() == pytest.approx(schedule.sigma[i], rel=0.02)
    schedule = Schedule({}, "ddim", 10, generators(1, 2))
    steps = [step.i for step in sample(network(Mixture(schedule), schedule), noise(), schedule, (1, 0.3, 0.5))]
    assert steps == [0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("a moon", [("a moon", 1.0)]), ("  a \n\t moon\x00 ", [("a moon", 1.0)]), ("", []),
        ("雪山 🌙", [("雪山 🌙", 1.0)]),
        ("snow:1 | a moon : 0.5|clouds:-.5", [("snow", 1), ("a moon", 0.5), ("clouds", -0.5)]),
        ("a | | b", [("a", 1.0), ("b", 1.0)]),
    ],
)  # fmt: skip
def test_prompts_and_weights_that_are_taken(given, taken):
    assert parts(given) == taken


@pytest.mark.parametrize("given", ["a moon:x", "a:b:1", ":1", "moon:nan", "moon:11", "moon:1e999", "moon:", "a | :2"])
def test_weights_that_are_none(given):
    with pytest.raises(RecipeError) as error:
        ClipRecipe(prompt=given)
    assert str(error.value) == WEIGHT


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": ""}, "Prompt must say something, such as mountains and a lake at sunset."),
        ({"prompt": " \n | "}, "Prompt must say something, such as mountains and a lake at sunset."),
        ({"prompt": "x" * 10_000}, "Prompt must be a text of at most 1,000 characters."),
        ({"prompt": None}, "Prompt must be a text of at most 1,000 characters."),
        ({"prompt": "|".join("abcdefghijklmnopq")}, "Prompt must have at most 16 parts."),
        ({"prompt": "moon:0"}, "At least one part of the prompt must have a weight other than 0."),
        ({"cuts": 0}, "Cuts must be a whole number from 1 to 64."),
        ({"travel": 11}, "Travel must be a whole number from 0 to 10."),
        ({"candidates": 0}, "Candidates must be a whole number from 1 to 16."),
        ({"candidates": 16, "count": 17}, "Pictures times candidates must be a whole number from 1 to 256."),
        ({"eta": 1.5}, "Eta must be a number from 0 to 1."),
        ({"scale": float("nan")}, "Scale must be a number from 0 to 1."),
        ({"preset": "best"}, "Preset must be one of: fast, live, quality, course."),
        ({"clip": "hf-hub:who/what"}, "CLIP must be one of: landscapes, ViT-B-32/openai, ViT-B-16/openai, "
         "ViT-L-14/openai, ViT-B-32/laion2b_s34b_b79k, ViT-B-16-SigLIP/webli."),
        ({"travel": 2, "solver": "dpm++"},
         "Time travel needs the solver ddim or ddpm: DPM-Solver++ remembers its last step."),
        ({"image": "aGVsbG8="}, "This picture cannot be read: taken is a PNG, JPEG or GIF of at most 50 "
         "megapixels, or a WebP of 16."),
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_one_sentence(fields, message):
    with pytest.raises(RecipeError) as error:
        ClipRecipe(**fields)
    assert str(error.value) == message


def test_presets_bring_what_is_not_given():
    for name, values in Prompt.brings.items():
        recipe = ClipRecipe(preset=name)
        assert {field: getattr(recipe, field) for field in values} == values
    assert ClipRecipe(preset="quality", cuts=3).cuts == 3
    assert ClipRecipe(preset="quality").unguided() == Recipe(solver="dpm++", steps=20)
    assert ClipRecipe(solver="dpm++").travel == 0  # which cannot go back
    for asked in ({"travel": 1}, {"eta": 0.5}):  # what only DDIM can do
        recipe = ClipRecipe(**asked)
        assert (recipe.solver, recipe.steps, ClipRecipe(**asked, steps=5).steps) == ("ddim", 40, 5)
    assert ClipRecipe(preset="quick") == ClipRecipe()  # as it was called once


def test_a_picture_is_a_prompt_and_travels_in_the_recipe(tmp_path):
    Image.new("RGB", (900, 300), "teal").save(tmp_path / "teal.png")
    recipe = ClipRecipe(prompt="", image=pack(tmp_path / "teal.png"), steps=2)
    assert main(["clip", "", "--image", str(tmp_path / "teal.png"), "--steps", "2", "--out", str(tmp_path)]) == 0
    assert read_png(tmp_path / "000.png").replace(weights="") == recipe
    assert Image.open(io.BytesIO(base64.b64decode(recipe.image))).size == (256, 85)
    assert recipe.guides[0].targets == [("", 1.0)]
    *_, last = generate(recipe)
    assert last.losses["prompt"].shape == (1,)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
def test_files_that_are_no_picture_are_no_prompt(content, tmp_path, capsys):
    (tmp_path / "x.png").write_bytes(content)
    assert main(["clip", "night", "--image", str(tmp_path / "x.png"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("guidance: This picture cannot be read")


def test_enormous_pictures_are_refused_unread(tmp_path):
    Image.new("1", (60_000, 1000)).save(tmp_path / "huge.png")
    with pytest.raises(RecipeError, match="at most 50 megapixels"):
        pack(tmp_path / "huge.png")


def encoded(image, kind="WEBP"):
    """A picture as base64 of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_packed_picture_is_a_small_webp_or_png_and_nothing_else():
    small = encoded(Image.new("RGB", (256, 9), "teal"))
    assert packed(small) == small and unpack(small).size == (256, 9) and packed(None) == packed("") == ""
    painted = encoded(Image.new("RGBA", (9, 9)), "PNG")
    assert packed(painted) == painted and unpack(painted).mode == "RGBA"
    wrong = [7, ["x"], small + "!", "x" * 400_001, encoded(Image.new("RGB", (257, 9))), small[:40],
             encoded(Image.new("RGB", (9, 9)), "JPEG"), ""]  # fmt: skip
    for value in wrong:
        with pytest.raises(RecipeError, match="^This picture cannot be read: taken is a PNG, JPEG or"):
            unpack(value)


def test_a_picture_that_is_too_large_is_refused_before_a_pixel_of_it_is_decoded(monkeypatch):
    picture = encoded(Image.new("RGB", (4000, 4000)))
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile.load", lambda self: pytest.fail("It was decoded."))
    with pytest.raises(RecipeError, match="^This picture cannot be read"):
        ClipRecipe(image=picture)


@pytest.mark.parametrize("fields", [
    {}, {"preset": "quality", "method": "full"}, {"preset": "course"}, {"travel": 1, "solver": "ddpm"},
    {"candidates": 3}, {"cuts": 9},
])  # fmt: skip
def test_a_picture_is_the_same_alone_in_any_batch_and_on_a_second_run(fields):
    recipe = ClipRecipe(count=3, steps=4, seed=2, tries=1, **fields)
    together = pixels(recipe)
    assert all(np.array_equal(a, b) for a, b in zip(together, pixels(recipe), strict=True))
    for k in (0, 2):
        assert np.array_equal(together[k], pixels(recipe.picture(k))[0])


def test_guidance_brings_clip_s_view_of_the_pictures_nearer():
    recipe = ClipRecipe(prompt="a red sunset", count=4, steps=20, size="native")
    judge = clips.get("landscapes")

    def distance(recipe):
        x = torch.from_numpy(np.stack(pixels(recipe))).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            features = torch.nn.functional.normalize(judge.encode_image(x), dim=-1)
        return great_circle(features, judge.text("a red sunset")).mean()

    assert distance(recipe) < 0.7 * distance(recipe.unguided())
    weak = recipe.change(scale=0.02)  # so that candidates differ
    assert distance(weak.change(candidates=4)) < distance(weak)


def test_a_picture_is_one_of_its_candidates_and_the_first_of_them_is_the_picture_without():
    recipe = ClipRecipe(seed=7, steps=4, candidates=3)
    alone, other = recipe.replace(candidates=1), recipe.replace(seed=8)
    seeds = [plan(one).run.seeds for one in (recipe, other, alone)]
    assert seeds == [[(7, 0), (7, 1), (7, 2)], [(8, 0), (8, 1), (8, 2)], [(7, 0)]]
    drawn = {key: stream(*key).get_state() for key in seeds[0] + seeds[1]}
    assert all(torch.equal(drawn[key], stream(*key).get_state()) for key in drawn)
    assert len({bytes(state.numpy()) for state in drawn.values()}) == 6
    assert torch.equal(stream(7, 0).get_state(), torch.Generator().manual_seed(7).get_state())
    assert not torch.equal(stream(7, 0, 1).get_state(), stream(7, 0).get_state())  # its cuts do not follow its noise
    for frame in generate(recipe):
        assert frame.x0.shape == frame.x_t.shape == (1, 3, 64, 64)
        assert frame.losses["prompt"].shape == (1,)


def test_an_evaluation_that_was_stopped_reads_what_it_had_drawn(tmp_path, monkeypatch):
    recipe, asked, path = ClipRecipe(steps=2), ["a moon", "snow", "a lake"], tmp_path / "row.pt"
    first, seconds = evaluation.drawn(path, recipe, asked)
    again = recipe.change(scale=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(guided, "together", None)
        read = evaluation.drawn(path, recipe, asked)
        for changed in ((again, asked), (recipe, ["a moon", "snow", "a star"])):
            with pytest.raises(TypeError):
                evaluation.drawn(path, *changed)
    assert torch.equal(read[0], first) and read[1] == seconds
    assert not torch.equal(evaluation.drawn(path, again, asked)[0], first)


def test_many_prompts_in_a_batch_paint_each_as_alone():
    recipe = ClipRecipe(seed=3, steps=4, candidates=2)
    made = guided.together(recipe, ["a red sunset", "snow", "night"])
    alone = to_pixels(images(recipe.change(prompt="snow", seed=4, size="native")))
    assert torch.equal(made[1:2], alone)


def test_words():
    tokenizer = WordTokenizer(["mountain", "night", "snowy"], context=6)
    ids = tokenizer(["Snowy, mountain!", "x night night night night night"])
    assert ids.tolist() == [[1, 5, 3, 6, 0, 0], [1, 2, 4, 4, 4, 6]]
    assert ids.max() == tokenizer.end == tokenizer.vocab_size - 1
    assert tokenizer.unknown("a montain at night, giraffe") == {"montain": ["mountain"], "giraffe": []}
    assert tokenizer.cut("x night night night night snowy") == "night snowy"


def test_what_the_built_in_clip_does_not_know_is_said():
    judge = clips.get("landscapes")
    assert judge.notes("a snowy mountain at night") == []
    assert judge.notes("a montain and a giraffe at night") == [
        "The built-in CLIP does not know the word montain: perhaps mountain or mountains.",
        "The built-in CLIP does not know the word giraffe: it was passed over.",
    ]
    assert "this was cut: moon" in judge.notes("moon " * 30)[0]
    hints = {"giraffe": "try lands", "雪山": "try lands", "🌙": "try lands", "montains": "perhaps mountains"}
    for nothing, hint in hints.items():
        with pytest.raises(ModelError, match=f"knows none of these words: {hint}"):
            judge.notes(nothing)


def test_embeddings_are_kept():
    judge = clips.get("landscapes")
    assert judge.text("a lake at dawn") is judge.text("a lake at dawn")
    assert judge.text("a lake at dawn").norm().item() == pytest.approx(1, abs=1e-5)


@pytest.fixture
def openai(monkeypatch):
    """ViT-B-32 with random weights where the downloaded one would be."""
    torch.manual_seed(0)
    monkeypatch.setattr(clips, "downloaded", lambda name: clips.untrained(name.split("/")[0], torch.device("cpu")))
    monkeypatch.setattr(clips, "cache", Cache(lambda: 2**31, weight))
    return clips.get("ViT-B-32/openai")


def test_openai_s_clip_walks_the_same_path(openai):
    assert openai.size == 224
    assert openai.mean.flatten().tolist() == pytest.approx([0.4815, 0.4578, 0.4082], abs=1e-3)
    assert not openai.network.training
    assert not any(weight.requires_grad for weight in openai.network.parameters())
    assert openai.notes("月 🌙 " * 3) == []
    assert openai.notes("word " * 100) == ["The prompt is longer than the 77 tokens CLIP reads: its end was cut."]
    *_, last = generate(ClipRecipe(prompt="雪山 | 🌙:0.5", clip="ViT-B-32/openai", steps=2, cuts=2))
    assert last.losses["prompt"].isfinite().all()


TINY = {
    "embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}  # fmt: skip


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_file_as_the_hub_has_it_is_loaded(kind, tmp_path):
    (tmp_path / "tiny-for-tests.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path)
    source = open_clip.create_model("tiny-for-tests")
    path = tmp_path / f"weights.{kind}"
    save_file(source.state_dict(), path) if kind == "safetensors" else torch.save(source.state_dict(), path)
    described = {"quick_gelu": True, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    judge = clips.loaded("tiny-for-tests", str(path), described, torch.device("cpu"))
    assert torch.equal(judge.network.visual.conv1.weight.float(), source.visual.conv1.weight.to(judge.dtype).float())
    assert "QuickGELU" in repr(judge.network)
    x = torch.rand(2, 3, 32, 32)
    theirs = judge.network.encode_image(((x - 0.5) / 0.25).to(judge.dtype)).float()
    assert torch.allclose(judge.encode_image(x), theirs, atol=2e-2)


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path):
    (tmp_path / "tiny-for-tests.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path)
    torch.save({"state_dict": pathlib.PurePosixPath("/")}, tmp_path / "x.bin")
    described = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    with pytest.raises((RuntimeError, pickle.UnpicklingError)):
        clips.loaded("tiny-for-tests", str(tmp_path / "x.bin"), described, torch.device("cpu"))


def test_a_clip_that_cannot_be_downloaded_says_so(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ModelError) as error:
        list(generate(ClipRecipe(clip="ViT-B-16/openai")))
    expected = "The CLIP ViT-B-16/openai could not be downloaded; is there a network? The built-in one is always there."
    assert str(error.value) == expected


def test_the_command_line_notes_unknown_words_and_makes_pictures_again(tmp_path, capsys):
    command = ["clip", "snow:1 | montains at night:0.5", "--steps", "3", "--count", "2"]
    assert main([*command, "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    assert "does not know the word montains: perhaps mountains" in said.err
    recipe = read_png(tmp_path / "a" / "001.png")
    made = ClipRecipe(prompt="snow:1 | montains at night:0.5", steps=3, seed=1)
    assert recipe == made.replace(weights=fingerprint(made))
    assert main(["again", str(tmp_path / "a" / "001.png"), "--out", str(tmp_path / "b")]) == 0
    first, second = (np.asarray(Image.open(tmp_path / name)) for name in ("a/001.png", "b/000.png"))
    assert np.array_equal(first, second)


def test_the_layout_of_transformers_changes_nothing_they_see():
    config = {"embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
              "text_cfg": {"context_length": 8, "vocab_size": 20, "width": 32, "heads": 2, "layers": 2}}  # fmt: skip
    network = clips.build(config).eval()
    pictures, words = torch.rand(3, 3, 32, 32), torch.randint(20, (2, 8))
    before = network.encode_image(pictures), network.encode_text(words)
    assert network.visual.transformer.batch_first
    clips.sequence_first(network)
    assert not network.visual.transformer.batch_first
    for first, then in zip(before, (network.encode_image(pictures), network.encode_text(words)), strict=True):
        assert torch.allclose(first, then, atol=1e-5)
