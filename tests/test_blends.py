"""What blends are made of: regions, right of way, one cap on the sum, palettes, sketches, pictures to start from."""

import base64
import io

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image, ImageDraw

from guidance import Color, Loss, Prompt, Recipe, RecipeError, cielab, frames, generate, images, settings, steer
from guidance.__main__ import main
from guidance.codec import UNREADABLE
from guidance.guides.brightness import Brightness
from guidance.guides.contrast import Contrast
from guidance.guides.digits import Digits
from guidance.guides.edges import Edges
from guidance.guides.from_picture import FromPicture
from guidance.guides.hold import Hold
from guidance.guides.layout import Layout
from guidance.guides.palette import WRONG, Palette, shares
from guidance.guides.saturation import Saturation
from guidance.guides.sketch import Sketch, blurred
from guidance.guides.symmetry import Symmetry
from guidance.guides.tileable import Tileable
from guidance.models import catalogue, loading
from guidance.models.cache import Cache, weight
from guidance.recipe import from_json, read_png, save_png, to_json
from guidance.sampling.guides import GuidanceError, loss_guide, network
from guidance.sampling.palettes import distance
from guidance.sampling.regions import REGIONS, region, resized, within
from guidance.sampling.rules import rms
from guidance.sampling.schedule import Schedule
from guidance.ui.html.film import Film
from tests.exact import Mixture, noise
from tests.pipelines import stable_diffusion

EXACT = DDIMScheduler(clip_sample=False, timestep_spacing="trailing").config


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    monkeypatch.setattr(settings, "PRECISION", "float32")
    monkeypatch.setattr(catalogue, "cache", NETWORKS)
    monkeypatch.setattr(loading, "open_upscaler", lambda *about: None)  # pictures are those that guides see


NETWORKS = Cache(lambda: 2**30, weight)


def held(image):
    """A picture as recipes hold it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def blob(box, size=64, fill=255):
    """A mask that is light in a box."""
    image = Image.new("L", (size, size))
    ImageDraw.Draw(image).rectangle(box, fill=fill)
    return held(image)


def sketched():
    """An orange band above and a dark blue one below, nothing between."""
    image = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 63, 19), fill=(240, 150, 60, 255))
    draw.rectangle((0, 44, 63, 63), fill=(20, 40, 90, 255))
    return image


def tensors(pictures):
    """PIL pictures as (N, 3, H, W) in [-1, 1]."""
    return torch.stack([torch.from_numpy(np.array(image)) for image in pictures]).permute(0, 3, 1, 2) / 127.5 - 1


def photo():
    """A picture that nobody painted: a ramp of colours with a block in it."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    array = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), np.full((64, 64), 120, np.uint8)], -1)
    array[20:40, 10:30] = (250, 230, 40)
    return Image.fromarray(array)


# Regions


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_is_soft_and_its_opposite_is_the_rest(name):
    cover = region(name, 64, 48)
    assert cover.shape == (1, 1, 64, 48) and cover.min() >= 0 and cover.max() == 1
    opposite = {"sky": "ground", "left": "right", "centre": "border"}.get(name)
    if opposite:
        assert torch.allclose(cover + region(opposite, 64, 48), torch.ones(()))
        assert ((cover > 0) & (cover < 1)).any()


@pytest.mark.parametrize("name", ["sky", "right", "centre"])
def test_a_loss_is_shown_the_region_alone_as_a_square_of_the_same_mean(name):
    x0, cover = noise(2, 32).requires_grad_(), region(name, 32, 32)
    view = within(cover)(x0)
    assert view.shape[2] == view.shape[3]
    inside = (cover >= 0.5).float()
    expected = (x0 * inside).sum((2, 3)) / inside.sum()
    assert torch.allclose(view.mean((2, 3)), expected, atol=1e-5)
    (gradient,) = torch.autograd.grad(view.square().sum(), x0)
    assert gradient[(inside == 0).expand_as(gradient)].abs().max() == 0


def test_what_lies_outside_a_painted_region_has_the_mean_of_what_lies_inside():
    cover = torch.zeros(1, 1, 8, 8)
    cover[..., 2:4, 2:6] = 1
    cover[..., 2, 2] = 0
    x0 = noise(1, 8)
    view = within(cover)(x0)
    inside = x0[..., cover[0, 0] > 0]
    assert view.shape == (1, 3, 4, 4)
    assert torch.allclose(view[0, :, 0, 0], inside.mean(-1)[0], atol=1e-6)
    assert torch.equal(view[0, :, 1], view[0, :, 2])  # as in a mirror


def test_guidance_in_a_region_bends_there_as_strongly_as_elsewhere_the_whole():
    schedule = Schedule(EXACT, steps=10)
    x, cover = noise(3), region("left", 16, 16)

    def bent(cover):
        predict = network(Mixture(schedule), schedule)
        predict = loss_guide(predict, lambda x0, i: (x0 - 0.5).square().mean((1, 2, 3)), schedule, scale=0.3,
                             weights=[1.0] * 10, region=cover)  # fmt: skip
        return predict(x, 4)

    pull = bent(cover).pulls["loss"]
    assert pull[..., 12:].abs().max() == 0 and pull[..., :4].abs().min() > 0
    whole, part = bent(None).pulls["loss"], (pull.square().sum((1, 2, 3)) / (cover.sum() * 3)).sqrt()
    assert torch.allclose(part, rms(whole).flatten(), rtol=1e-4)


def test_a_region_is_for_latents_of_another_size_too():
    assert resized(region("sky", 64, 64), 8, 8)[0, 0, :, 0].tolist() == pytest.approx(
        region("sky", 8, 8)[0, 0, :, 0].tolist(), abs=0.15
    )


def test_a_colour_in_the_sky_leaves_the_ground_to_the_model():
    bare, steered = (tensors(steer("landscapes", guides, count=2, seed=10, steps=8, solver="dpm++"))
                     for guides in ((), Color("#c03030", scale=0.5, where="sky")))  # fmt: skip
    apart = (bare - steered).abs().mean((0, 1, 3))
    assert apart[:20].mean() > 2 * apart[-16:].mean()
    wanted = torch.tensor([0xC0, 0x30, 0x30]) / 127.5 - 1
    far = [(x[:, :, :28].mean((2, 3)) - wanted).norm(dim=1) for x in (bare, steered)]
    assert (far[1] < 0.5 * far[0]).all()


# Together


def test_the_bends_of_all_losses_have_one_cap():
    schedule = Schedule(EXACT, steps=10)
    bare, x = network(Mixture(schedule), schedule), noise(3)
    eps = bare(x, 4).eps
    predict = bare
    for k, wanted in enumerate((0.5, -0.2, 0.9)):
        wish = lambda x0, i, wanted=wanted: (x0 * torch.linspace(0, 1, 16) - wanted).square().mean((1, 2, 3))
        predict = loss_guide(predict, wish, schedule, scale=0.9, weights=[1.0] * 10, name=f"loss {k}")
    made = predict(x, 4)
    assert (rms(made.eps - eps) <= rms(eps) * 1.0001).all()
    assert torch.allclose(made.eps - eps, sum(made.pulls.values()), atol=1e-5)
    assert set(made.pulls) == set(made.losses) == {"loss 0", "loss 1", "loss 2"}


@pytest.mark.parametrize("agree", [True, False])
def test_what_is_against_a_guide_gives_way_to_it_and_nothing_else_does(agree):
    schedule = Schedule(EXACT | {"clip_sample": False}, steps=10)
    bare, x = network(Mixture(schedule), schedule), noise(3)
    first, second = noise(2)[:, None]  # (1, C, H, W), the gradients of two losses
    second = second * ((first * second).sum().sign() * (1 if agree else -1))
    predict, made = bare, []
    for k, along in enumerate((first, second)):
        wish = lambda x0, i, along=along: (x0 * along).sum((1, 2, 3))
        predict = loss_guide(predict, wish, schedule, scale=0.2, weights=[1.0] * 10, name=f"loss {k}")
        made.append(predict(x, 4))
    alone, both = made[0].pulls["loss 0"], made[1].pulls["loss 0"]
    kept = alone if agree else alone - (alone * second).sum((1, 2, 3), keepdim=True) / second.square().sum() * second
    assert torch.allclose(both, kept, atol=1e-5) and agree == torch.equal(both, alone)
    assert torch.allclose(rms(made[1].pulls["loss 1"]), 0.2 * rms(bare(x, 4).eps), rtol=1e-4)
    assert torch.allclose(made[1].eps - bare(x, 4).eps, sum(made[1].pulls.values()), atol=1e-5)


def test_what_the_course_s_rule_takes_from_the_picture_is_not_taken_from_eps():
    schedule = Schedule(EXACT | {"clip_sample": False}, steps=10)
    bare, x = network(Mixture(schedule), schedule), noise(3)
    predict, made = bare, []
    for name, rule, wanted in (("a", "course", 1), ("b", "normalized", 1), ("c", "normalized", -1)):
        wish = lambda x0, i, wanted=wanted: wanted * x0.sum((1, 2, 3))
        predict = loss_guide(predict, wish, schedule, scale=0.2, weights=[1.0] * 10, name=name, rule=rule)
        made.append(predict(x, 4))
    pulls = made[2].pulls
    assert torch.equal(pulls["a"], made[0].pulls["a"]) and torch.equal(made[2].x_t, made[0].x_t)
    assert (rms(pulls["b"]) < 1e-4 * rms(made[1].pulls["b"])).all()  # all of it was against what came last
    assert torch.allclose(made[2].eps - bare(x, 4).eps, pulls["b"] + pulls["c"], atol=1e-5)


def test_each_guide_has_its_own_curve_and_its_own_heat_map():
    *_, last = frames("landscapes", Color("teal") + Symmetry() + Color("gold"), steps=6, solver="dpm++")
    assert set(last.losses) == set(last.parts) == {"colour", "symmetry", "colour 2"}
    assert all(part.shape == (1, 1, 64, 64) for part in last.parts.values())
    assert last.pulls(part="symmetry")[0].size == (64, 64)


# Palette


@pytest.mark.parametrize(
    ("text", "expected"),
    [("teal", [("#008080", 1)]), ("red 3, #0f0", [("#ff0000", 0.75), ("#00ff00", 0.25)]),
     ("rgb(0, 0, 255) 50%; white 50 %", [("#0000ff", 0.5), ("#ffffff", 0.5)]),
     ("red 2, red", [("#ff0000", 2 / 3), ("#ff0000", 1 / 3)])],
)  # fmt: skip
def test_a_palette_is_colours_with_shares_that_are_brought_to_a_sum_of_one(text, expected):
    found = shares(Palette(text).colors)
    assert found == [(color, pytest.approx(share, abs=1e-3)) for color, share in expected]


@pytest.mark.parametrize("text", ["", " , ", "red 0", "red 0, blue", ", ".join(["red"] * 7), None, 5, "red" * 200])
def test_what_is_no_palette_is_told_so(text):
    with pytest.raises(RecipeError, match=f"^{WRONG[:40]}"):
        Palette(text)


@pytest.mark.parametrize("text", ["nocolour", "red -1", "red 1e9999", "red nan", "<b>"])
def test_what_is_no_colour_in_a_palette_is_told_so(text):
    with pytest.raises(RecipeError, match="^Colour must be"):
        Palette(text)


def test_the_distance_along_a_line_is_that_of_the_best_assignment():
    from itertools import permutations

    first, second = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0)), torch.randn(5, 3)
    line = torch.nn.functional.normalize(torch.randn(1, 3, 1), dim=1)
    a, b = (first @ line)[0, :, 0], (second @ line)[0, :, 0]
    best = min(sum((a[i] - b[j]) ** 2 for i, j in enumerate(order)) / 5 for order in permutations(range(5)))
    assert distance(first, second, line) == pytest.approx(3 * best.item(), rel=1e-5)


def test_the_gradient_of_cielab_is_that_of_finite_differences():
    rgb = torch.tensor([[0.2, 0.5, 0.9], [0.001, 0.02, 0.9], [-0.1, 1.2, 0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(cielab.lab, rgb, eps=1e-7, atol=1e-4)


def test_a_palette_is_reached_in_its_shares():
    guide = Palette("#16324f 0.5, #e9c46a 0.5", scale=0.5)
    far = []
    for guides in ((), guide):
        frame = list(frames("landscapes", guides, count=2, seed=3, steps=10, solver="dpm++"))[-1]
        colors = cielab.lab((frame.x0.flatten(2).transpose(1, 2) + 1) / 2)
        target = cielab.lab(torch.stack([cielab.channels(c) for c in ("#16324f", "#e9c46a")]).float())
        target = target.repeat_interleave(2048, 0)
        axes = torch.nn.functional.normalize(torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(1)), dim=1)
        far.append(distance(colors, target, axes).sqrt())
    assert (far[1] < 0.5 * far[0]).all()


def test_a_palette_may_be_that_of_a_picture_or_act_in_a_region():
    (picture,) = images(Recipe(guides=Palette(image=held(photo()), where="left", scale=0.5), steps=6, solver="dpm++"))
    assert picture.size == (64, 64)


# Sketch


def test_a_sketch_holds_where_it_is_painted():
    guide, wanted = Sketch(held(sketched()), scale=0.5), tensors([sketched().convert("RGB")])
    cover = torch.from_numpy(np.asarray(sketched())[..., 3].copy())[None, None].float() / 255
    bare, steered = (tensors(steer("landscapes", guides, count=3, seed=10, steps=12, solver="dpm++"))
                     for guides in ((), guide))  # fmt: skip
    far = [((blurred(x * cover) - blurred(wanted * cover)).square().sum((1, 2, 3))).sqrt() for x in (bare, steered)]
    assert (far[1] < 0.5 * far[0]).all()
    middle = steered[:, :, 24:40]
    assert middle.std(0).mean() > 0.02  # what is not painted still differs from picture to picture


# Pictures to start from, to lay out by, and to hold


def test_starting_from_a_picture_comes_near_it_and_takes_fewer_steps():
    image = held(photo())
    near = []
    for scale in (0.2, 0.9):
        *_, last = frames("landscapes", FromPicture(image, scale), steps=10, solver="ddim")
        assert last.steps == 10 - round(10 * scale)
        near.append((last.x0 - tensors([photo()])).square().mean().item())
    assert near[1] < 0.1 * near[0]


def test_the_layout_of_a_picture_comes_back_and_its_detail_does_not():
    low = lambda x: torch.nn.functional.avg_pool2d(x, 16)
    wanted = tensors([photo()])
    bare, steered = (tensors(steer("landscapes", guides, seed=2, steps=12, solver="ddim"))
                     for guides in ((), Layout(held(photo()), detail=4, stop=1.0)))  # fmt: skip
    assert (low(steered) - low(wanted)).square().mean() < 0.2 * (low(bare) - low(wanted)).square().mean()
    assert (steered - wanted).square().mean() > 0.005


def test_what_is_held_is_held_to_the_last_bit_and_the_rest_is_anew():
    box = (16, 16, 47, 47)
    guides = Hold(held(photo()), blob(box)) + Color("teal")
    made = np.stack([np.asarray(image) for image in steer("landscapes", guides, count=2, steps=10)])
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    assert (made[:, inside] == np.asarray(photo())[inside]).all()
    assert (made[0, ~inside] != np.asarray(photo())[~inside]).mean() > 0.9
    assert (made[0, ~inside] != made[1, ~inside]).mean() > 0.5


@pytest.mark.parametrize("guide", [
    Hold(held(photo()), blob((0, 0, 31, 63))), FromPicture(held(photo())), Layout(held(photo())),
    Sketch(held(sketched())), Palette(), Color("teal", where="sky"), Brightness(0.2, mask=blob((0, 0, 31, 63))),
    Edges(held(sketched())),
], ids=lambda guide: guide.name)  # fmt: skip
def test_latent_models_take_them_too(guide):
    (picture,) = steer(stable_diffusion(), guide, steps=4, text="a")
    assert picture.size == (32, 32)


def test_the_digits_model_takes_what_makes_sense_and_says_what_does_not():
    (picture,) = images(Recipe(guides=Digits("3") + Symmetry(scale=0.2) + Brightness(0.3), steps=6))
    assert picture.size == (28, 28)
    with pytest.raises(GuidanceError, match="^A palette steers models of colour pictures: this one has no colours.$"):
        images(Recipe(guides=Digits("3") + Palette()))


# Small wishes


@pytest.mark.parametrize(("guide", "measure"), [
    (Saturation(0.05, scale=0.5), lambda x: (x.amax(1) - x.amin(1)).mean()),
    (Contrast(0.05, scale=0.5), lambda x: x.mean(1).std((1, 2)).mean()),
    (Symmetry(scale=0.5), lambda x: (x - x.flip(-1)).abs().mean()),
    (Tileable(), lambda x: (x[..., 0] - x[..., -1]).abs().mean()),
    (Edges(held(sketched())), lambda x: x.diff(dim=2).abs().mean() / x.diff(dim=2)[:, :, 18:21].abs().mean()),
], ids=lambda value: getattr(value, "name", ""))  # fmt: skip
def test_a_small_wish_is_met(guide, measure):
    bare, steered = (tensors(steer("landscapes", guides, count=2, seed=10, steps=10, solver="dpm++"))
                     for guides in ((), guide))  # fmt: skip
    assert measure(steered) < 0.7 * measure(bare)


# In files, from the command line, and what cannot be done


def test_a_blend_comes_back_from_its_png_with_every_picture_in_it(tmp_path):
    guides = (Sketch(held(sketched()), mask=blob((0, 0, 63, 31))) + Palette() + Hold(held(photo()), blob((5, 5, 9, 9)))
              + Prompt("a lake", where="ground"))  # fmt: skip
    recipe = Recipe(guides=guides, seed=4)
    save_png(Image.new("RGB", (64, 64)), tmp_path / "blend.png", recipe)
    assert read_png(tmp_path / "blend.png") == recipe == from_json(to_json(recipe))


def test_the_command_line_reads_pictures_from_their_files(tmp_path):
    sketched().save(tmp_path / "sketch.png")
    photo().resize((300, 200)).save(tmp_path / "photo.jpg")
    Image.open(io.BytesIO(base64.b64decode(blob((0, 0, 31, 63))))).save(tmp_path / "mask.png")
    one, *others = (f"sketch:{tmp_path}/sketch.png, scale=0.4", f"palette:image={tmp_path}/photo.jpg",
                    f"color:teal, mask={tmp_path}/mask.png")  # fmt: skip
    asked = [word for guide in (one, *others) for word in ("--guide", guide)]
    assert main(["paint", *asked, "--steps", "4", "--out", str(tmp_path / "made")]) == 0
    recipe = read_png(tmp_path / "made" / "000.png")
    assert [guide.name for guide in recipe.guides] == ["sketch", "palette", "color"]
    assert main(["sketch", str(tmp_path / "sketch.png"), "--steps", "4", "--out", str(tmp_path / "two")]) == 0


@pytest.mark.parametrize(("guides", "sentence"), [
    (Sketch(), "Sketch needs a picture."), (FromPicture(), "Start from a picture needs a picture."),
    (Hold(held(photo()), blob((0, 0, 63, 63), fill=0)), "Nothing is held: paint over what is to stay."),
    (Color("teal", mask=blob((0, 0, 63, 63), fill=0)), "The region of Colour covers nothing: paint where it acts."),
    (Color("teal", mask=blob((0, 0, 63, 9)), where="ground"),
     "The region of Colour covers nothing: paint where it acts."),
])  # fmt: skip
def test_what_is_missing_is_told(guides, sentence):
    with pytest.raises(GuidanceError) as error:
        steer("landscapes", guides, steps=2)
    assert str(error.value) == sentence


@pytest.mark.parametrize("value", ["x", "aGVsbG8=", "A" * 500_000, 5, held(Image.new("L", (257, 4)))])
def test_what_is_no_small_picture_is_told_so(value):
    for kind, name in ((Sketch, "image"), (Hold, "mask"), (Color, "mask")):
        with pytest.raises(RecipeError) as error:
            kind(**{name: value})
        assert str(error.value) == UNREADABLE


@pytest.mark.parametrize("image", [
    Image.new("L", (7, 3), 255), Image.new("RGBA", (256, 256), (255, 255, 255, 255)), Image.new("1", (64, 64), 1),
    Image.new("P", (9, 200)), Image.new("LA", (64, 64), (255, 255)),
], ids=lambda image: f"{image.mode} {image.size}")  # fmt: skip
def test_masks_and_sketches_of_any_size_and_mode_fit(image):
    if image.mode == "P":
        image.putpalette([255, 255, 255] * 256)
    assert steer("landscapes", Color("teal", mask=held(image)) + Sketch(held(image)), steps=2)[0].size == (64, 64)


def test_a_hundred_guides_are_too_many():
    with pytest.raises(RecipeError, match="^A recipe has at most 16 guides.$"):
        Recipe(guides=[Color("teal")] * 100)


def test_a_loss_of_ones_own_in_a_region():
    symmetry = Loss(lambda x0: (x0 - x0.flip(-1)).square().mean((1, 2, 3)), where="ground", name="symmetry")
    assert steer("landscapes", symmetry, steps=4)[0].size == (64, 64)


def test_the_step_viewer_has_a_row_for_the_pull_of_each_guide():
    recipe = Recipe(guides=Color("teal", start=0.0) + Symmetry(start=0.5), steps=4, solver="dpm++")
    film = Film(recipe)
    for frame in generate(recipe):
        film.add(frame, {name: value.mean().item() for name, value in frame.losses.items()})
    said = film.html(str)
    assert "--rows:5" in said and "Pull: colour" in said and "Pull: symmetry" in said
    assert [sorted(parts) for parts in film.parts] == [["colour"]] * 2 + [["colour", "symmetry"]] * 2
    strip = Image.open(io.BytesIO(base64.b64decode(film.strip(0).split(",")[1])))
    assert strip.size == (4 * 64, 5 * 64)
    alone = Film(recipe)
    for frame in generate(recipe.replace(guides=recipe.guides[:1])):
        alone.add(frame, {})
    assert "--rows:3" in alone.html(str)
