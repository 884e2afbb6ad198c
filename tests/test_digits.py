"""Digits: guidance by class against exact answers, recipes, pictures, the command line and training."""

import gzip
import struct
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from PIL import Image
from safetensors.torch import load_file

from guidance import DigitRecipe, Recipe, generate, images, read_digits
from guidance.__main__ import main
from guidance.engine import fingerprint, plan
from guidance.fields import RecipeError, choices
from guidance.guides.digits import CLASSIFIERS, Digits
from guidance.models import catalogue
from guidance.models.networks import DENOISERS, NULL, SCHEDULER, DigitClassifier, DigitJudge
from guidance.recipe import read_png
from guidance.sampling import guides
from guidance.sampling.guides import classifier_free, classifier_guide, network
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule
from guidance.training import digits
from tests.exact import Mixture, generators, noise, tiny_unet

CONDITIONINGS, GUIDANCES = (choices(Digits.model_fields[name]) for name in ("conditioning", "guidance"))


def pixels(recipe):
    return [np.asarray(image) for image in images(recipe)]


def classes(recipe):
    return [int(digit) for digit in recipe.digits * recipe.count]


def test_classifier_guidance_of_scale_one_is_bayes_rule():
    schedule = Schedule(dict(DDIMScheduler(clip_sample=False).config), "ddim", 12)
    means = ((-0.3, 0.1, 0.25), (0.25, -0.2, -0.1))  # so near that no step reaches the limit
    everything, one = Mixture(schedule, means), Mixture(schedule, means[1:])

    def log_probability(x_t, t):  # of the second component, exactly
        alpha_bar = schedule.alphas_cumprod[t].double()
        variance = alpha_bar * everything.deviation**2 + 1 - alpha_bar
        away = x_t.double() - alpha_bar.sqrt() * everything.means
        return (-(away**2).sum((2, 3, 4)) / (2 * variance)).log_softmax(0)[1]

    bare = network(everything, schedule)
    guided = classifier_guide(bare, log_probability, schedule, scale=1.0, weights=[1.0] * 12)
    x_t = noise().double()
    for i in range(12):
        expected = one(x_t, schedule.timesteps[i])
        assert torch.allclose(guided(x_t, i).eps, expected, atol=1e-6)
    assert (bare(x_t, 0).eps - one(x_t, schedule.timesteps[0])).abs().max() > 1e-3
    assert guided(x_t, 0).losses["classifier"].shape == (2,)


def test_a_classifier_cannot_throw_the_picture_away_near_pure_noise():
    schedule = Schedule(SCHEDULER, "dpm++", 15)
    bare = network(lambda x, t: x, schedule)
    guided = classifier_guide(bare, lambda x, t: 1e3 * x.sum((1, 2, 3)), schedule, scale=10.0, weights=[1.0] * 15)
    for i in (0, 3, 14):
        before, after = (schedule.x0(noise(), predict(noise(), i).eps, i) for predict in (bare, guided))
        assert (after - before).square().mean().sqrt() <= 0.501


def test_classifier_guidance_acts_in_its_interval_alone():
    schedule = Schedule(dict(DDIMScheduler().config), "ddim", 4)
    bare = network(Mixture(schedule), schedule)
    guided = classifier_guide(bare, lambda x, t: x.sum((1, 2, 3)), schedule, scale=1.0, weights=[0, 1, 1, 0])
    same = [torch.equal(guided(noise(), i).eps, bare(noise(), i).eps) for i in range(4)]
    assert same == [True, False, False, True]


def test_classifier_free_guidance_in_one_forward_is_that_of_two():
    schedule, calls = Schedule(dict(DDIMScheduler().config), "ddim", 4), []

    def eps(x_t, t, label):
        calls.append(len(x_t))
        return x_t * label[:, None, None, None] + t / 1000

    told, null, x_t = torch.tensor([3, 5]), torch.tensor([10, 10]), noise()

    def guide(scale, weights=(1, 1, 1, 1)):
        return classifier_free(eps, told, null, schedule, scale=scale, weights=weights)

    t = schedule.timesteps[1]
    for scale in (0, 0.5, 1, 3):
        expected = eps(x_t, t, null) + scale * (eps(x_t, t, told) - eps(x_t, t, null))
        assert torch.allclose(guide(scale)(x_t, 1).eps, expected, atol=1e-5)
    calls.clear()
    for scale in (0, 1, 3):
        guide(scale)(x_t, 1)
    assert calls == [2, 2, 4]  # one pass where one is enough
    half = guide(3, (0, 1, 1, 0))
    assert torch.equal(half(x_t, 0).eps, guide(1)(x_t, 0).eps)
    assert torch.equal(half(x_t, 1).eps, guide(3)(x_t, 1).eps)


@pytest.mark.parametrize("steps", [7, 50])
def test_ddpm_is_diffusers_own_with_a_generator_for_each_picture(steps):
    unet, x = tiny_unet(), noise(2)
    schedule = Schedule(dict(DDPMScheduler().config), "ddpm", steps, generators(5, 6))
    *_, last = sample(network(lambda x_t, t: unet(x_t, t).sample, schedule), x, schedule)
    theirs = DDPMScheduler()
    theirs.set_timesteps(steps)
    draws = generators(5, 6)
    with torch.no_grad():
        for t in theirs.timesteps:
            x = theirs.step(unet(x, t).sample, t, x, generator=draws).prev_sample
    assert torch.allclose(last.x_t, x, atol=1e-5)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_every_network_is_told_the_digit(conditioning):
    network, x = DENOISERS[conditioning]().eval(), torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        several = [network(x, torch.tensor(500), torch.tensor([label] * 2)).sample for label in (3, 8, NULL)]
    assert several[0].shape == x.shape
    assert all((several[0] - other).abs().max() > 1e-6 for other in several[1:])


def test_a_classifier_that_is_blind_takes_every_picture_for_a_clean_one():
    network, x = DigitClassifier().eval(), torch.randn(3, 1, 28, 28)
    labels = torch.tensor([1, 2, 3])
    blind, aware = (getattr(guides, CLASSIFIERS[name])(network, labels) for name in ("blind-classifier", "classifier"))
    assert torch.equal(blind(x, 900), blind(x, 0))
    assert torch.equal(blind(x, 900), aware(x, 0))
    assert not torch.equal(aware(x, 900), aware(x, 0))


@pytest.mark.parametrize(
    "fields",
    [*({"guidance": guidance} for guidance in GUIDANCES), {"conditioning": "channels"}, {"conditioning": "attention"},
     {"solver": "ddpm"}, {"scale": 0}],
)  # fmt: skip
def test_a_picture_is_the_same_alone_in_any_batch_and_on_a_second_run(fields):
    recipe = DigitRecipe(digits="2026", count=6, steps=3, seed=9, **fields)
    together = pixels(recipe)
    assert len(together) == 24
    assert together[0].shape == (28, 28)
    assert all(np.array_equal(a, b) for a, b in zip(together, pixels(recipe), strict=True))
    for k in (0, 13):
        assert np.array_equal(together[k], pixels(recipe.picture(k))[0])


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_digits_asked_for_are_drawn(conditioning):
    recipe = DigitRecipe(conditioning=conditioning, count=2)
    read = [digit for digit, _ in read_digits(images(recipe))]
    assert sum(a == b for a, b in zip(read, classes(recipe), strict=True)) >= 18


@pytest.mark.parametrize("guidance", ["classifier", "none"])
def test_other_guidances_draw_the_digits_too(guidance):
    recipe = DigitRecipe(guidance=guidance, count=2, steps=20)
    right = sum(a == b for (a, _), b in zip(read_digits(images(recipe)), classes(recipe), strict=True))
    assert right >= 16


def test_a_frame_of_classifier_guidance_carries_its_loss():
    *_, last = generate(DigitRecipe(digits="7", guidance="classifier", steps=2))
    assert last.losses["classifier"].shape == (1,)


def test_the_judge_is_another_network_than_the_classifier_that_guides():
    assert type(catalogue.digit_judge()) is not type(catalogue.digit_classifier("classifier"))


@pytest.mark.parametrize(
    ("given", "taken"), [("2026", "2026"), ("\uff12\uff10\uff12\uff16", "2026"), (" 1 2\n3 ", "123"), ("\u0661", "1")]
)
def test_digits_that_are_taken(given, taken):
    assert DigitRecipe(digits=given).digits == taken


@pytest.mark.parametrize(
    "given", ["", "  ", "abc", "1a", "-1", "3.5", "7" * 101, "7" * 10_000, None, 7, ["7"], "\u00b2"]
)
def test_digits_that_are_refused(given):
    with pytest.raises(RecipeError) as error:
        DigitRecipe(digits=given)
    assert str(error.value) == "Digits must be 1 to 100 of the digits 0 to 9, such as 2026."


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("scale", [-1, "nan", float("nan"), 1e9, "much"], "Scale must be a number from 0 to 50."),
        ("guidance", ["magic", None, [], {}], f"Guidance must be one of: {', '.join(GUIDANCES)}."),
        ("conditioning", ["telepathy"], f"Conditioning must be one of: {', '.join(CONDITIONINGS)}."),
        ("count", [0, 1001, "x"], "Count must be a whole number from 1 to 1,000."),
        ("steps", [0, 1001], "Steps must be a whole number from 1 to 1,000."),
    ],
)
def test_bad_values_are_refused_in_one_sentence(field, values, message):
    for value in values:
        with pytest.raises(RecipeError) as error:
            DigitRecipe(**{field: value})
        assert str(error.value) == message


def test_rounds_keep_the_order_and_each_picture_has_its_seed():
    recipe = DigitRecipe(digits="207", count=2, seed=5)
    assert classes(recipe) == [2, 0, 7, 2, 0, 7]
    assert recipe.picture(4) == DigitRecipe(digits="0", seed=9)
    assert recipe.seeds == [5, 6, 7, 8, 9, 10]


def test_guidance_brings_what_is_not_given_and_its_interval_is_for_going_beyond_the_network():
    for name, values in Digits.brings.items():
        recipe = DigitRecipe(guidance=name)
        assert {field: getattr(recipe, field) for field in values} == values
    beyond = [k for k, weight in enumerate(plan(DigitRecipe(digits="1")).weights) if weight]
    assert beyond == list(range(2, 11))  # of 15 steps, those from a tenth to seven tenths
    for fields in ({"scale": 1}, {"scale": 0.5}, {"guidance": "none"}, {"guidance": "classifier"}):
        assert plan(DigitRecipe(digits="1", **fields)).weights == [1] * 15
    led = plan(DigitRecipe(digits="1", guidance="classifier", stop=0.5, steps=4))
    assert led.weights == [1, 1, 0, 0]


def test_candidates_are_of_the_same_digit():
    recipe = Recipe(guides=(Digits("17", guidance="classifier", scale=2),), count=2, candidates=3)
    read = [digit for digit, _ in read_digits(images(recipe))]
    assert sum(a == b for a, b in zip(read, [1, 7, 1, 7], strict=True)) >= 3
    assert all(np.array_equal(a, pixels(recipe.picture(k))[0]) for k, a in enumerate(pixels(recipe)[:2]))


def test_told_no_digit_the_network_draws_any():
    recipe = Recipe(model="digits", solver="dpm++", steps=15, seed=3, count=2)
    assert all(np.array_equal(*pair) for pair in zip(pixels(recipe), pixels(DigitRecipe(digits="12", scale=0, seed=3)),
                                                     strict=True))  # fmt: skip


def test_the_command_line_writes_digits_and_makes_them_again(tmp_path, capsys):
    assert main(["digits", "207", "--count", "2", "--steps", "2", "--seed", "4", "--out", str(tmp_path / "a")]) == 0
    names = [f"{k:03d}.png" for k in range(6)]
    assert capsys.readouterr().out.split() == [str(tmp_path / "a" / name) for name in names]
    recipe = DigitRecipe(digits="7", steps=2, seed=9)
    assert read_png(tmp_path / "a" / "005.png") == recipe.replace(weights=fingerprint(recipe))
    assert Image.open(tmp_path / "a" / "000.png").size == (28, 28)
    assert main(["again", str(tmp_path / "a" / "004.png"), "--out", str(tmp_path / "b")]) == 0
    first, second = (np.asarray(Image.open(tmp_path / name)) for name in ("a/004.png", "b/000.png"))
    assert np.array_equal(first, second)


@pytest.fixture
def data(tmp_path):
    """Squares of ten sizes in MNIST's own files."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    labels = np.arange(40, dtype=np.uint8) % 10
    pictures = np.zeros((40, 28, 28), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[: 4 + 2 * label, : 4 + 2 * label] = 255
    for split in ("train", "t10k"):
        for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (raw / f"{split}-{name}-ubyte").write_bytes(head + array.tobytes())
            (raw / f"{split}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [*(["digits", "--conditioning", name] for name in CONDITIONINGS), ["digit-classifier"],
     ["digit-classifier", "--blind"], ["digit-judge"], ["notebook-digits"]],
)  # fmt: skip
def test_a_tiny_training_leaves_weights_that_load(options, data, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "sheet", partial(digits.sheet, steps=1))
    out = tmp_path / "run"
    assert main(["train", *options, "--data", str(data), "--steps", "2", "--batch", "8", "--out", str(out)]) == 0
    kinds = {"digits": DENOISERS.get(options[-1]), "digit-judge": DigitJudge, "digit-classifier": DigitClassifier,
             "notebook-digits": DENOISERS["channels"]}  # fmt: skip
    loaded = catalogue.read(kinds[options[0]], out / "model.safetensors")
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_the_course_s_training_resumes_to_the_weights_of_a_whole_one(data, tmp_path):
    def run(steps: int, out: str) -> dict:
        settings = replace(digits.NOTEBOOK, out=tmp_path / out, steps=steps)
        digits.notebook(settings, data=data, batch=8)
        return load_file(tmp_path / out / "model.safetensors")

    whole = run(4, "whole")
    run(2, "parts")
    again = run(4, "parts")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_scale_of_zero_knows_nothing_of_the_digit():
    one, seven = (pixels(DigitRecipe(digits=digit, scale=0, steps=3))[0] for digit in "17")
    assert np.array_equal(one, seven)


def test_training_without_data_or_with_a_stray_option_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:1/"])
    assert main(["train", "digit-judge", "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    expected = f"guidance: MNIST is not in {tmp_path} and could not be downloaded there: give its folder with --data."
    assert capsys.readouterr().err.strip().endswith(expected)
    assert main(["train", "digit-judge", "--blind"]) == 2
    assert capsys.readouterr().err == "guidance: The training of digit-judge takes no --blind.\n"


def test_the_noise_schedule_is_the_notebook_s():
    assert SCHEDULER["beta_schedule"] == "squaredcos_cap_v2"
