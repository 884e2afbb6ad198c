"""The upscaler: large pictures that, made small again, are the model's own, whoever asks and however many at once."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from guidance import Color, Digits, Recipe, generate, images, read_png, save_png, settings
from guidance.__main__ import main
from guidance.engine import changed, fingerprint
from guidance.evaluation import upscaler as evaluation
from guidance.frame import to_images
from guidance.models import catalogue, loading
from guidance.models.cache import Cache, weight
from guidance.models.device import ModelError
from guidance.models.upscaler import FACTOR, Upscaler, enlarged, fitted, near, reduced, smooth
from guidance.recipe import KEY, from_json, to_json
from guidance.training import pairs
from guidance.training import upscaler as training
from guidance.training.engravings import by_day, engrave
from guidance.training.landscapes import paint
from guidance.training.looker import stored
from guidance.training.trainer import Settings
from guidance.ui.html.film import Film

SHORT = Recipe(guides=Color("teal", start=0), steps=2, seed=5)
BROKEN = "model was not loaded: upscaler/{} is {}; delete it and try again."


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the built-in model with an upscaler."""
    shutil.copytree(settings.ASSETS / "landscapes", tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "cache", Cache(lambda: 2**30, weight))
    return tmp_path / "model"


def pixels(image):
    """A picture's values."""
    return np.asarray(image).astype(int)


def small(image):
    """A picture of 256 px at 64 px, by the mean of each square."""
    return pixels(image).reshape(64, FACTOR, 64, FACTOR, 3).mean((1, 3))


@pytest.mark.parametrize("look", settings.LOOKS)
def test_the_large_picture_made_small_is_near_the_native_one(look):
    slack = 127.5 * catalogue.get(look).upscaler.config["slack"]
    for recipe in (SHORT.replace(count=3, model=look), Recipe(guides=Color("white", scale=1.0), seed=1, model=look)):
        for large, native in zip(images(recipe), images(recipe.replace(size="native")), strict=True):
            assert (large.size, native.size) == ((256, 256), (64, 64))
            change = small(large) - pixels(native)
            assert (change**2).mean() ** 0.5 <= slack + 0.5 and abs(change).max() <= 6 * slack + 1
            assert abs(change.mean((0, 1))).max() < 0.3 and slack < 0.01 * 255
            assert abs(pixels(large) - pixels(native.resize((256, 256), Image.Resampling.NEAREST))).max() > 20


def test_any_picture_keeps_its_means_and_its_range():
    torch.manual_seed(0)
    wild, x = 3 * torch.randn(2, 3, 32, 32), torch.rand(2, 3, 8, 8) * 2 - 1
    x[0, :, 0, :4] = torch.tensor([1.0, -1.0, 0.999, -0.999])
    y = fitted(wild, x)
    assert y.abs().max() <= 1 + 1e-6 and torch.allclose(reduced(y), x, atol=1e-6)
    within = enlarged(x / 2) + 0.01 * (wild - enlarged(reduced(wild)))
    assert torch.allclose(fitted(within, x / 2), within, atol=1e-6)  # what fits is left as it is


def test_what_an_upscaler_may_change_is_little_and_no_mean_colour():
    torch.manual_seed(0)
    x, slack = torch.rand(3, 3, 16, 16) - 0.5, 0.03
    for size in (0.001, 0.02, 5.0):
        wanted = x + size * torch.randn(x.shape)
        moved = near(wanted, x, slack) - x
        assert moved.square().mean((1, 2, 3)).sqrt().max() <= slack * 1.001 and moved.abs().max() < 6 * slack
        assert moved.mean((2, 3)).abs().max() < 1e-6
        assert ((wanted - x) * moved).sum() > 0  # toward what is wanted
    wanted = x + 0.001 * torch.randn(x.shape)
    assert torch.allclose(near(wanted, x, slack), wanted, atol=3e-4)
    torch.manual_seed(0)
    plain, loose = Upscaler(width=8, blocks=1), Upscaler(width=8, blocks=1, slack=slack)
    loose.load_state_dict(plain.state_dict())
    with torch.no_grad():
        assert torch.allclose(reduced(plain(x)), x, atol=1e-6)
        assert 1e-3 < (reduced(loose(x)) - x).square().mean().sqrt() <= slack * 1.001


def test_a_picture_is_the_same_alone_in_company_and_again():
    together = images(SHORT.replace(count=5))
    for count in (1, 2, 3):
        assert [pixels(image).tolist() for image in images(SHORT.replace(count=count))] == [
            pixels(image).tolist() for image in together[:count]
        ]
    assert (pixels(images(SHORT.replace(count=5).picture(4))[0]) == pixels(together[4])).all()


def test_it_is_the_last_step_and_guides_film_and_estimates_know_nothing_of_it():
    frames = list(generate(SHORT.replace(count=2)))
    plain = list(generate(SHORT.replace(count=2, size="native")))
    assert [frame.images()[0].width for frame in frames] == [64, 256]
    film = Film(SHORT)
    for frame, other in zip(frames, plain, strict=True):
        assert torch.equal(frame.x0, other.x0) and frame.x0.shape == (2, 3, 64, 64)
        assert torch.equal(frame.losses["colour"], other.losses["colour"])
        assert pixels(frame.natives()[1]).tolist() == pixels(other.images()[1]).tolist()
        film.add(frame, {})
    assert {image.size for shot in film.shots for row in shot for image in row} == {(64, 64)}


def test_a_model_without_one_paints_as_before(folder):
    shutil.rmtree(folder / "upscaler")
    recipe = SHORT.replace(model="model")
    (image,) = images(recipe)
    assert image.size == (64, 64)
    assert (pixels(image) == pixels(images(SHORT.replace(size="native"))[0])).all()
    assert images(Recipe(guides=Digits("7"), steps=2))[0].size == (28, 28)


def test_a_model_s_own_is_loaded_counted_and_no_part_of_its_fingerprint(folder):
    recipe = SHORT.replace(model="model")
    assert (pixels(images(recipe)[0]) == pixels(images(SHORT)[0])).all()
    model, own = loading.open_model("model"), folder / "upscaler" / "model.safetensors"
    assert weight(model) == weight(model.unet) + weight(model.upscaler) > weight(model.unet) + 2e6
    assert own.stat().st_size < 3e6
    old = recipe.replace(weights=fingerprint(recipe))
    shutil.rmtree(folder / "upscaler")
    assert changed(old) == "" and catalogue.fingerprint("model") == catalogue.fingerprint("landscapes")


@pytest.mark.parametrize("size", [0, 7, 1000, -1])
def test_a_truncated_one_gives_a_sentence(folder, size):
    path = folder / "upscaler" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError) as error:
        loading.open_model("model")
    assert str(error.value) == BROKEN.format("model.safetensors", "damaged or not whole" if size else "empty")


@pytest.mark.parametrize("config", [{"width": 32}, {"depth": 8}, {"width": "wide"}, {"width": -4}, {"blocks": 10**7},
                                    {"width": 10**7}, {"strength": None},
                                    {"width": 64, "blocks": 8, "strength": 0, "slack": 2}])  # fmt: skip
def test_one_of_another_kind_gives_a_sentence(folder, config):
    (folder / "upscaler" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as error:
        loading.open_model("model")
    assert str(error.value) == "The upscaler of model is of another kind than those known here."


def test_what_is_not_whole_in_another_way_gives_a_sentence(folder):
    (folder / "upscaler" / "config.json").write_text("{")
    with pytest.raises(ModelError) as error:
        loading.open_model("model")
    assert str(error.value) == BROKEN.format("config.json", "damaged or not whole")
    shutil.copy(settings.ASSETS / "landscapes" / "upscaler" / "config.json", folder / "upscaler")
    save_file({"head.weight": torch.zeros(2)}, folder / "upscaler" / "model.safetensors")
    with pytest.raises(ModelError, match=r"^The upscaler of model is of another kind than those known here\.$"):
        loading.open_model("model")


def test_pngs_hold_the_large_picture_and_what_was_written_before_stays_small(tmp_path, capsys):
    assert main(["color", "teal", "--steps", "2", "--seed", "5", "--out", str(tmp_path)]) == 0
    made = read_png(tmp_path / "000.png")
    assert made.size == "full" and Image.open(tmp_path / "000.png").size == (256, 256)
    written = {name: value for name, value in json.loads(to_json(made)).items() if name != "size"}
    assert from_json(json.dumps(written)) == made.replace(size="native")
    assert from_json(json.dumps(written), old=False) == made  # settings that a browser has kept
    flat = {"kind": "color", "color": "teal"}
    assert [from_json(json.dumps(flat), old).size for old in (True, False)] == ["native", "full"]
    assert from_json('{"guides": [{"guide": "color"}], "steps": 2}').size == "full"  # typed by somebody
    before = save_png(Image.new("RGB", (64, 64)), tmp_path / "old.png", made)
    with Image.open(before) as image:
        image.load()
        words = image.text[KEY].replace('"size": "full", ', "")
    assert "size" not in words
    (tmp_path / "old.json").write_text(words)
    for name in ("one", "two"):
        assert main(["paint", str(tmp_path / "old.json"), "--out", str(tmp_path / name)]) == 0
    again, native = (Image.open(tmp_path / name / "000.png") for name in ("one", "two"))
    assert again.size == (64, 64) and (pixels(again) == pixels(native)).all()
    assert read_png(tmp_path / "one" / "000.png").size == "native"


def test_the_command_line_takes_the_size(tmp_path, capsys):
    assert main(["color", "teal", "--steps", "1", "--size", "native", "--out", str(tmp_path)]) == 0
    assert Image.open(tmp_path / "000.png").size == (64, 64)
    assert main(["color", "teal", "--size", "huge", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("guidance: Size must be one of: full, native.\n")


def test_the_painter_s_pairs_are_exact_and_inputs_are_told_how_far_they_may_be_off():
    pool = {"large": stored(paint(torch.arange(6), 256)), "strength": torch.full((6,), 0.4)}
    pool["small"] = stored(paint(torch.arange(6) + 50, 64))
    generator = torch.Generator().manual_seed(0)
    small, strength, wanted, paintings = pairs.drawn(pool, 60, generator)
    assert small.shape == (60, 3, pairs.CROP, pairs.CROP) and wanted.shape == paintings.shape
    assert 0 < (reduced(wanted) - small).square().mean((1, 2, 3)).sqrt().max() <= pairs.SLACK * 1.001
    clean, repainted = strength == 0, strength == 0.4
    assert 0 < clean.sum() < (~repainted).sum() < repainted.sum()
    assert torch.allclose(wanted[clean], paintings[clean], atol=1e-5)  # exact pairs
    assert (reduced(paintings) - small)[repainted].abs().mean() > 0.1


def test_it_is_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evaluation, "STEPS", 30)
    torch.manual_seed(0)
    shape = 120, 3, 32, 32
    several = torch.randn(shape) / 2, torch.rand(120, 3, 1, 1).expand(shape), torch.randn(shape) / 2
    noise, flat, again = (stored(pictures.clamp(-1, 1)) for pictures in several)
    assert evaluation.told_apart(noise, flat) == 1.0
    assert 0.3 < evaluation.told_apart(noise, again) < 0.7
    sharp = stored(paint(torch.arange(120)))
    assert evaluation.told_apart(evaluation.changed(evaluation.changed(sharp, reduced), smooth), sharp) > 0.9
    same = evaluation.apart(enlarged(noise), noise)
    assert same["rms at 64 px"] < 1e-6 and same["most dE of the mean colour"] < 1e-3
    lighter = enlarged(noise.clamp(max=200)) + 51
    assert evaluation.apart(lighter, noise.clamp(max=200))["rms at 64 px"] == pytest.approx(0.2, abs=1e-4)
    monkeypatch.setattr(evaluation, "RECIPES", dict.fromkeys(evaluation.RECIPES, SHORT))
    monkeypatch.setattr(evaluation, "TIMED", SHORT)
    monkeypatch.setattr(evaluation, "STEPS", 1)
    assert main(["evaluate", "upscaler", "--count", "6", "--out", str(tmp_path)]) == 0
    assert Image.open(tmp_path / "upscaler-painted.png").size == (6 * 258 + 2, 258 + 2)
    printed = capsys.readouterr().out
    assert "| samples, by the upscaler | " in printed and "| paintings, made small and enlarged by" in printed


def test_each_look_is_enlarged_into_what_its_own_model_has_learned_from(tmp_path):
    drawn = pairs.prepared(tmp_path / "pool.pt", 2, "engravings")
    assert torch.equal(drawn["large"], stored(engrave(by_day(pairs.FIRST, 2), 256)))
    assert drawn["small"].shape == drawn["samples"].shape == (2, 3, 64, 64)


def test_a_training_begins_with_the_upscaler_that_ships(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SHOWN", 2)
    monkeypatch.setattr(training, "LOOKED", 2)
    little = Settings(tmp_path, steps=2, every=1, warmup=1, learning_rate=1e-6)
    training.run(little, pictures=2, batch=1, look="engravings", further=True)
    folders = tmp_path, settings.ASSETS / "engravings"
    made, ships = (load_file(folder / "upscaler" / "model.safetensors") for folder in folders)
    assert all(torch.allclose(made[name].float(), weight.float(), atol=1e-3) for name, weight in ships.items())


def test_a_critic_of_samples_leads_the_upscaler_and_learns_nothing_of_its_own_praise(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(training, "SHOWN", 2)
    monkeypatch.setattr(training, "LOOKED", 2)
    monkeypatch.setattr(training, "train", lambda network, loss, settings, **rest: given.extend([network, loss]))
    training.run(Settings(tmp_path, steps=2), pictures=2, batch=2, further=True)
    contest, loss = given
    contest.eval()  # or it would drop what it sees by chance

    def gradients(weight):
        monkeypatch.setattr(training, "WEIGHT", weight)
        contest.zero_grad()
        loss(contest, torch.Generator().manual_seed(0)).backward()
        parts = contest.upscaler, contest.critic
        return [torch.cat([parameter.grad.flatten() for parameter in part.parameters()]) for part in parts]

    (still, critic), (led, same) = gradients(0.0), gradients(1.0)
    assert (led - still).abs().max() > 1e-4
    assert torch.equal(critic, same) and critic.abs().max() > 1e-4


def test_a_tiny_training_resumes_and_leaves_an_upscaler(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "SHOWN", 2)
    monkeypatch.setattr(training, "LOOKED", 2)
    monkeypatch.setattr(training, "SHARES", dict.fromkeys(training.SHARES, 1 / 3))
    asked = {"pictures": 4, "batch": 2}
    whole = Settings(tmp_path / "whole", steps=6, every=2, warmup=1, precision="no")
    training.run(whole, **asked)
    kept = {path.name for path in whole.out.iterdir()}
    assert kept == {"pool-landscapes.pt", "pixels", "contest", "critic.pt", "samples", "upscaler"}
    made = shutil.ignore_patterns("pixels", "contest", "samples", "critic.pt")
    shutil.copytree(tmp_path / "whole", tmp_path / "broken", ignore=made)
    calls, real = [], torch.optim.AdamW.step

    def step(self, *args, **options):
        calls.append(1)
        if len(calls) in (4, 9):  # in the second part; and in the third, when the second's step and the critic are done
            raise KeyboardInterrupt
        return real(self, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    broken = Settings(tmp_path / "broken", steps=6, every=1, warmup=1, precision="no")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training.run(broken, **asked)
    monkeypatch.setattr(torch.optim.AdamW, "step", real)
    training.run(broken, **asked)
    paths = [tmp_path / name / "upscaler" / "model.safetensors" for name in ("whole", "broken")]
    first, second = (catalogue.read(Upscaler, path)(paint(torch.arange(1))) for path in paths)
    assert torch.allclose(first, second, atol=1e-3)
    assert to_images(first)[0].size == (256, 256)
