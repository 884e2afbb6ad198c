"""From recipes to pixels: the same everywhere, in any company, again and again."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from guidance import ColorRecipe, generate, images
from guidance.__main__ import main
from guidance.frame import to_images
from guidance.models import catalogue
from guidance.recipe import read_png
from guidance.sampling.guides import GuidanceError


def pixels(recipe):
    return [np.asarray(image) for image in images(recipe)]


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
    frames = list(generate(ColorRecipe(steps=5, count=2)))
    assert [frame.step for frame in frames] == [1, 2, 3, 4, 5]
    assert all(frame.steps == 5 and frame.x0.shape == (2, 3, 64, 64) for frame in frames)
    assert frames[0].losses["colour"].shape == (2,)
    assert all(image.size == (64, 64) for image in frames[-1].images())


def test_guidance_moves_the_mean_colour_to_the_target():
    def distance(recipe):
        mean = np.stack(pixels(recipe)).mean((0, 1, 2))
        return np.abs(mean - (255, 0, 255)).mean()

    recipe = ColorRecipe(color="magenta", count=4, steps=20)
    assert distance(recipe) < 0.4 * distance(recipe.unguided())


def test_a_scale_of_zero_is_unguided():
    red, blue = (pixels(ColorRecipe(scale=0, color=color, steps=4))[0] for color in ("red", "blue"))
    assert np.array_equal(red, blue)


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
    assert read_png(tmp_path / "a" / "001.png") == ColorRecipe(color="#2080ff", steps=4, seed=9)
    assert main(["again", str(tmp_path / "a" / "001.png"), "--out", str(tmp_path / "b")]) == 0
    first, second = (np.asarray(Image.open(tmp_path / name)) for name in ("a/001.png", "b/000.png"))
    assert np.array_equal(first, second)


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
    assert run.stderr == "guidance: This command needs accelerate: pip install -e '.[train]'\n"
