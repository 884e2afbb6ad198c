"""From recipes, or models and guides, to pixels: the same everywhere, in any company, again and again."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler
from PIL import Image

from guidance import ColorRecipe, Recipe, frames, generate, guides, images, steer
from guidance.__main__ import main
from guidance.engine import TAKES_NO_TEXT, fingerprint, plan
from guidance.fields import RecipeError
from guidance.frame import to_images
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.guides.digits import Digits
from guidance.guides.prompt import Prompt
from guidance.models import catalogue
from guidance.recipe import read_png, save_png, to_json
from guidance.sampling.guides import GuidanceError
from tests.exact import generators, tiny_unet


def pixels(recipe):
    return [np.asarray(image) for image in images(recipe)]


def same(first, second, most=0):
    """Whether pictures are the same, but for so much of 255."""
    pairs = zip(first, second, strict=True)
    return all(abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= most for a, b in pairs)


@pytest.fixture
def pipeline():
    """A pipeline in hand, of random weights."""
    made = DDIMPipeline(tiny_unet().requires_grad_(True), DDIMScheduler())
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(
    "fields", [{}, {"method": "full"}, {"rule": "course", "loss": "pixel-l1"}, {"solver": "dpm++"}]
)
def test_a_picture_is_the_same_alone_in_any_batch_and_on_a_second_run(fields):
    recipe = ColorRecipe(seed=3, count=5, steps=6, **fields)
    together = pixels(recipe)
    assert all(np.array_equal(a, b) for a, b in zip(together, pixels(recipe), strict=True))
    for k in (0, 4):
        assert np.array_equal(together[k], pixels(recipe.picture(k))[0])


def test_frames_count_the_steps_and_carry_the_losses():
    frames = list(generate(ColorRecipe(steps=5, count=2, start=0)))
    assert [frame.step for frame in frames] == [1, 2, 3, 4, 5]
    assert all(frame.steps == 5 and frame.x0.shape == (2, 3, 64, 64) for frame in frames)
    assert frames[0].losses["colour"].shape == (2,)
    assert all(image.size == (256, 256) for image in frames[-1].images())


def test_guidance_moves_the_mean_colour_to_the_target():
    def distance(recipe):
        mean = np.stack(pixels(recipe)).mean((0, 1, 2))
        return np.abs(mean - (255, 0, 255)).mean()

    recipe = ColorRecipe(color="magenta", count=4, scale=0.5)
    assert distance(recipe) < 0.4 * distance(recipe.unguided())


def test_a_scale_of_zero_is_unguided():
    red, blue = (pixels(ColorRecipe(scale=0, color=color, steps=4))[0] for color in ("red", "blue"))
    assert np.array_equal(red, blue) and np.array_equal(red, pixels(Recipe(steps=4, solver="dpm++"))[0])
    *_, last = generate(ColorRecipe(scale=0, steps=2))
    assert last.losses == {} and last.weight == 0 and not last.pull.any()


def test_a_model_and_guides_are_steered_without_a_recipe_and_a_step_at_a_time():
    both = Color("teal", start=0) + Brightness(0.2)
    recipe = Recipe(guides=both, seed=3, count=2, steps=3)
    made = steer("landscapes", both, seed=3, count=2, steps=3)
    assert same(made, images(recipe))
    assert same(steer("landscapes", Color("teal"), steps=2), images(ColorRecipe(color="teal", steps=2)))
    assert same(steer("landscapes", steps=2), images(Recipe(steps=2)))
    steps = frames("landscapes", [*both], seed=3, count=2, steps=3)
    assert [sorted(frame.losses) for frame in steps] == [["brightness", "colour"]] * 3


def test_several_guides_of_a_kind_have_a_curve_each_and_all_of_them_act():
    guides = Color("red", scale=0.3, start=0) + Color("blue", scale=0.3, start=0) + Brightness(0.9, stop=0.5)
    recipe = Recipe(guides=guides, steps=4)
    first, *_, last = generate(recipe)
    assert sorted(first.losses) == ["brightness", "colour", "colour 2"]
    assert sorted(last.losses) == ["colour", "colour 2"]  # the interval of the third is over
    whole = pixels(recipe)
    for k in range(3):
        assert not same(whole, pixels(recipe.replace(guides=[guide for guide in guides if guide != guides[k]])))
    assert not same(whole, pixels(recipe.replace(guides=0.5 * guides)))
    assert same(whole, pixels(recipe.replace(guides=guides + Prompt("snow") * 0, eta=0, travel=0, solver="dpm++")))


def test_a_step_tells_the_strength_of_the_guide_that_is_strongest_then():
    made = plan(Recipe(guides=Color(weight="early", start=0, stop=0.5) + Brightness(weight="late"), steps=10))
    early, late = made.run.schedule.sigma, made.run.schedule.alpha
    assert made.weights == [max(pair) for pair in zip(early[:5], late[:5], strict=True)] + late[5:]
    assert plan(Recipe(guides=Color() * 0 + Brightness(stop=0.5), steps=4)).weights == [1, 1, 0, 0]


def test_brightness_goes_where_it_is_told():
    means = [np.mean(pixels(Recipe(guides=(Brightness(level),), steps=12, count=2))) for level in (0.2, 0.5, 0.8)]
    assert means == pytest.approx([51, 127.5, 204], abs=26) and means == sorted(means)


def test_the_class_is_told_whatever_the_order_of_guides_and_told_to_models_that_have_any():
    made = [steer("digits", guides, steps=4, count=2) for guides in
            (Color("gray") + Digits("31"), Digits("31") + Color("gray"))]  # fmt: skip
    assert len(made[0]) == 4 and same(*made)
    assert not same(made[0], steer("digits", Digits("31"), steps=4, count=2))
    with pytest.raises(GuidanceError, match="^Digits steer a model that is told a class, such as digits: this one is"):
        steer("landscapes", Digits("3"), steps=1)


def test_candidates_are_compared_by_all_losses():
    recipe = Recipe(guides=Color("teal", scale=0.02) + Brightness(0.9, scale=0.02), seed=5, steps=5, candidates=4)

    def loss(recipe):
        *_, last = generate(recipe)
        return sum(last.losses.values()).item()

    assert loss(recipe) < loss(recipe.replace(candidates=1))


def test_a_pipeline_in_hand_without_guidance_is_diffusers_own(pipeline):
    theirs = pipeline(2, generators(5, 6), num_inference_steps=8, output_type="np").images
    *_, last = frames(pipeline, seed=5, count=2, steps=8)
    assert torch.allclose((last.x0 + 1) / 2, torch.from_numpy(theirs).permute(0, 3, 1, 2), atol=1e-4)
    alone = steer(pipeline.unet, scheduler=pipeline.scheduler, seed=5, count=2, steps=8)
    assert same(alone, last.images())


def test_what_is_wrong_is_said_before_any_step(pipeline):
    for fields, sentence in (({"seed": -1}, "^Seed must be"), ({"strength": 1}, "^Recipe has no field of that name")):
        with pytest.raises(RecipeError, match=sentence):
            frames(pipeline, Color("teal"), **fields)
    with pytest.raises(RecipeError, match="^Model must be landscapes, a model on the Hub"):
        frames("nothing", Color("teal"))
    with pytest.raises(RecipeError, match=r"^The model of this recipe was in hand: name one\.$"):
        next(generate(Recipe(model="in hand")))


def test_a_text_that_the_model_is_not_told_is_noted_once_and_prompts_are_heard():
    *_, last = generate(Recipe(text="a red sea", guides=(Prompt("a montain lake"),), steps=2, tries=1))
    unknown = "The built-in CLIP does not know the word montain: perhaps mountain or mountains."
    assert last.notes == (TAKES_NO_TEXT, unknown)


def test_a_run_that_memory_does_not_suffice_for_says_so_and_the_next_goes_on(monkeypatch):
    def eps(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.get("landscapes"), "eps", eps)
        with pytest.raises(GuidanceError, match="There is not enough memory: ask for fewer pictures"):
            list(generate(ColorRecipe(steps=2)))
    assert len(list(generate(ColorRecipe(steps=2)))) == 2


def test_closing_a_run_frees_the_device():
    run = generate(ColorRecipe(steps=50))
    next(run)
    run.close()
    assert len(list(generate(ColorRecipe(steps=2)))) == 2


def test_runs_on_other_threads_take_turns_and_keep_their_pictures():
    recipes = [ColorRecipe(color=color, steps=5, seed=seed) for seed, color in enumerate(("red", "lime", "blue"))]
    made = {}
    threads = [threading.Thread(target=lambda r=recipe: made.update({r: pixels(r)[0]})) for recipe in recipes]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(np.array_equal(made[recipe], pixels(recipe)[0]) for recipe in recipes)


def test_a_run_that_outlasts_its_deadline_stops_with_a_sentence():
    with pytest.raises(GuidanceError) as error:
        list(generate(ColorRecipe(steps=3), deadline=0.0))
    assert str(error.value) == "The run was stopped after 0 seconds: ask for fewer pictures or steps."


def test_grayscale_and_colour_tensors_become_pictures():
    assert to_images(torch.full((1, 1, 4, 4), 9.0))[0].getpixel((0, 0)) == 255
    assert to_images(torch.full((1, 3, 4, 4), -1.0))[0].mode == "RGB"


def test_the_command_line_writes_recipes_and_makes_them_again(tmp_path, capsys):
    command = ["color", "rgb(32, 128, 255)", "--steps", "4", "--count", "2", "--seed", "8"]
    assert main([*command, "--out", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "a" / name) for name in ("000.png", "001.png")]
    recipe = ColorRecipe(color="#2080ff", steps=4, seed=9)
    assert read_png(tmp_path / "a" / "001.png") == recipe.replace(weights=fingerprint(recipe))
    assert main(["again", str(tmp_path / "a" / "001.png"), "--out", str(tmp_path / "b")]) == 0
    first, second = (np.asarray(Image.open(tmp_path / name)) for name in ("a/001.png", "b/000.png"))
    assert np.array_equal(first, second)


def test_the_command_line_paints_with_any_guides_and_from_files(tmp_path, capsys):
    asked = ["--guide", "color:teal, scale=0.2", "--guide", "brightness:0.3", "--steps", "2", "--seed", "5"]
    assert main(["paint", *asked, "--out", str(tmp_path / "a")]) == 0
    recipe = Recipe(guides=Color("teal", scale=0.2) + Brightness(0.3), steps=2, seed=5)
    assert read_png(tmp_path / "a" / "000.png").replace(weights="") == recipe
    assert same([Image.open(tmp_path / "a" / "000.png")], images(recipe))
    (tmp_path / "recipe.json").write_text(to_json(recipe))
    (tmp_path / "old.json").write_text(json.dumps({"kind": "color", "color": "teal", "steps": 2}))
    save_png(Image.new("RGB", (4, 4)), tmp_path / "recipe.PNG", recipe)
    changed = {
        ("recipe.json",): recipe, ("recipe.PNG", "--seed", "6"): recipe.replace(seed=6),
        ("old.json", "--guide", "brightness:0.3", "--count", "2"):
            Recipe(guides=Color("teal") + Brightness(0.3), steps=2, count=2, batched=True, size="native"),
    }  # fmt: skip
    for (name, *options), made in changed.items():
        assert main(["paint", str(tmp_path / name), *options, "--out", str(tmp_path / name[:3])]) == 0
        assert read_png(tmp_path / name[:3] / "000.png").replace(weights="") == made.picture(0)
    capsys.readouterr()
    for wrong, sentence in (
        (["--guide", "hue:1"], f"Guide must be one of: {', '.join(guides.every())}."),
        (["--guide", "color:teal, scale=2"], "Scale must be a number from 0 to 1."),
        ([str(tmp_path / "none.json")], "No such file or directory"),
    ):
        assert main(["paint", *wrong, "--out", str(tmp_path / "none")]) == 2
        assert capsys.readouterr().err.startswith(f"guidance: {sentence}") and not (tmp_path / "none").exists()


def test_every_guide_has_a_command(tmp_path, capsys):
    assert main(["brightness", "0.9", "--steps", "2", "--out", str(tmp_path)]) == 0
    assert read_png(tmp_path / "000.png").replace(weights="") == Recipe(guides=(Brightness(0.9),), steps=2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["$44CCAA"], "Colour must be a hex value"), (["red", "--steps", "0"], "Steps must be a whole number"),
        (["red", "--scale", "nan"], "Scale must be a number"), (["red", "--count", "1000"], "Count must be"),
        (["red", "--seed", "-1"], "Seed must be"), (["red", "--model", "what"], "Model must be landscapes, a model on"),
    ],
)  # fmt: skip
def test_the_command_line_refuses_in_a_sentence_before_any_work(arguments, sentence, tmp_path, capsys):
    assert main(["color", *arguments, "--out", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"guidance: {sentence}") and error.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_a_picture_without_a_recipe_cannot_be_made_again(tmp_path, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    assert main(["again", str(tmp_path / "x.png"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "guidance: This picture carries no recipe.\n"


def test_a_command_without_its_extra_names_the_remedy():
    code = "import sys; sys.modules['accelerate'] = None; from guidance.__main__ import main; sys.exit(main(%r))"
    command = [sys.executable, "-c", code % ["train", "attributes"]]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "guidance: This command needs accelerate: pip install 'diffusion-guidance[train]'\n"
