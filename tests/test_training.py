"""The painter and the trainer."""

import random
from functools import partial

import pytest
import torch
from diffusers import DDIMPipeline, UNet2DModel
from safetensors.torch import load_file
from torch.nn.functional import mse_loss

from guidance.models import catalogue, clips
from guidance.models.attributes import ATTRIBUTES, LANDS, SYNONYMS, TIMES, TONES
from guidance.models.attributes import named as read
from guidance.settings import ASSETS
from guidance.training import clip, diffusion, guided, trainer, views
from guidance.training.captions import broken, named, sentence
from guidance.training.landscapes import attributes, paint
from guidance.training.trainer import Settings, train


def test_a_landscape_is_a_function_of_its_seed_alone():
    seeds = torch.tensor([5, -3, 2**40 + 1, 11, 12, 13, 14])
    together = paint(seeds)
    assert together.shape == (7, 3, 64, 64) and together.abs().max() <= 1
    assert all(torch.equal(paint(seeds[k : k + 1])[0], together[k]) for k in range(7))
    assert len({picture.sum().item() for picture in together}) == 7


def test_attributes_keep_their_rules_and_all_occur():
    truth = dict(zip(ATTRIBUTES, attributes(torch.arange(4000)).T, strict=True))
    for group in (TIMES, LANDS):
        assert torch.equal(sum(truth[name].long() for name in group), torch.ones(4000, dtype=torch.long))
    assert sum(truth[name].long() for name in TONES).max() == 1
    assert not (truth["sun"] & truth["night"]).any()
    assert not ((truth["moon"] | truth["stars"] | truth["aurora"]) & ~truth["night"]).any()
    assert not (truth["snow"] & (truth["desert"] | truth["sea"])).any()
    assert not (truth["boat"] & ~truth["sea"]).any()
    assert all(share.float().mean() > 0.03 for share in truth.values())


def test_captions_name_only_what_is_true():
    generator = random.Random(0)
    for row in attributes(torch.arange(500)):
        text = sentence(named(row, generator), generator)
        for name, truth in zip(ATTRIBUTES, row.tolist(), strict=True):
            assert truth or not any(phrase in text for phrase in SYNONYMS[name] if len(phrase) > 4), (name, text)


def test_a_broken_caption_says_one_thing_that_is_false():
    words = random.Random(0)
    for row in attributes(torch.arange(200)):
        names = named(row, words)
        wrong = broken(names, row, words)
        changed = [new for new, old in zip(wrong, names, strict=True) if new != old]
        assert changed == [name for name in wrong if not row[ATTRIBUTES.index(name)]]
        assert len(changed) == 1


def test_noise_levels_cover_the_schedule():
    from diffusers import DDIMScheduler

    levels = diffusion.noise_levels(DDIMScheduler().alphas_cumprod, 4000, torch.Generator().manual_seed(0))
    assert levels.min() >= 0 and levels.max() <= 999
    assert levels.float().histc(10, 0, 999).min() > 50
    assert (levels < 500).float().mean() > 0.7


def line(settings):
    """Train one weight toward 3; its data are drawn by the generator that the trainer hands out."""
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 1)

    def loss(network, generator):
        x = torch.randn(8, 4, generator=generator, device=generator.device)
        return (network(x) - x.sum(1, keepdim=True) * 3).square().mean()

    return train(network, loss, settings)


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, monkeypatch):
    settings = {"steps": 20, "every": 10, "warmup": 5, "learning_rate": 1e-2, "precision": "no", "ema_decay": 0.9}
    whole = line(Settings(tmp_path / "whole", **settings))
    calls = []
    real = torch.optim.AdamW.step

    def step(self, *args, **options):
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return real(self, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(KeyboardInterrupt):
        line(Settings(tmp_path / "broken", **settings))
    monkeypatch.undo()
    resumed = line(Settings(tmp_path / "broken", **settings))
    assert torch.allclose(whole.weight, resumed.weight, atol=1e-6)
    assert (tmp_path / "broken" / "checkpoint.pt").exists()


def test_parts_of_a_network_learn_at_rates_of_their_own(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.ModuleList(torch.nn.Linear(2, 1, bias=False) for _ in range(3))
    before = [part.weight.detach().clone() for part in network]
    groups = [{"params": list(part.parameters()), "times": times, "betas": (0.5, 0.99)}
              for part, times in zip(network, (0, 1, 3), strict=True)]  # fmt: skip

    def loss(network, generator):
        return sum(part.weight.sum() for part in network)

    train(network, loss, Settings(tmp_path, steps=1, warmup=1, precision="no", ema_decay=0.0), groups=groups)
    moved = [(part.weight - old).abs() for part, old in zip(network, before, strict=True)]
    assert moved[0].max() == 0 < moved[1].min() and torch.allclose(moved[2], 3 * moved[1], rtol=0.05)


@pytest.mark.parametrize("asked, good, low", [
    (None, torch.bfloat16, True), (None, torch.float32, False), ("no", torch.bfloat16, False),
    ("bf16", torch.float32, True)])  # fmt: skip
def test_training_is_in_bf16_where_it_is_asked_for_or_the_hardware_multiplies_it(
    tmp_path, monkeypatch, asked, good, low,
):  # fmt: skip
    monkeypatch.setattr(trainer, "precision", lambda where: good)
    seen = []

    class Line(torch.nn.Linear):
        def forward(self, x):
            seen.append(super().forward(x).dtype)
            return super().forward(x)

    train(Line(4, 1), lambda network, generator: network(torch.ones(1, 4)).sum(),
          Settings(tmp_path, steps=1, precision=asked))  # fmt: skip
    assert seen == [torch.bfloat16 if low else torch.float32]


def test_a_tiny_training_run_leaves_a_pipeline_samples_and_a_curve(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion, "SHOWN", 2)
    diffusion.run(Settings(tmp_path, steps=2, every=2), pictures=16, batch=4, fine=2.0)
    pipeline = DDIMPipeline.from_pretrained(tmp_path / "pipeline")
    assert pipeline.unet.config.sample_size == 64
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert (tmp_path / "samples-000002.png").exists() and (tmp_path / "history.json").exists()


@pytest.mark.parametrize("run", [diffusion.engraved, partial(diffusion.run, further=True)])
def test_a_training_begins_with_the_landscapes_that_ship(run, tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion, "SHOWN", 2)
    run(Settings(tmp_path, steps=1, every=1, learning_rate=1e-6), pictures=4, batch=2)
    made, ships = (UNet2DModel.from_pretrained(folder, subfolder="unet").state_dict()
                   for folder in (tmp_path / "pipeline", ASSETS / "landscapes"))  # fmt: skip
    assert all(torch.allclose(made[name].float(), weight.float(), atol=1e-3) for name, weight in ships.items())
    assert (tmp_path / "samples-000000.png").exists()


def weaker(folder):
    """A pipeline that says nine tenths of what the landscapes that ship say."""
    pipeline = DDIMPipeline.from_pretrained(ASSETS / "landscapes", dtype=torch.float32)
    for weight in pipeline.unet.conv_out.parameters():
        weight.data *= 0.9
    pipeline.save_pretrained(folder)
    return pipeline.unet


@torch.no_grad()
def test_what_autoguidance_says_lies_beyond_the_strong_network_away_from_the_weak_one(tmp_path):
    less = weaker(tmp_path)
    x_t, t = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([550, 549, 100])
    said = diffusion.autoguided(tmp_path, 2.0, 550)(x_t, t, torch.zeros_like(x_t))
    times = torch.tensor([1.0, 1.2, 1.2]).view(3, 1, 1, 1)  # at high noise none of it
    torch.testing.assert_close(said, less(x_t, t).sample / 0.9 * times, atol=1e-4, rtol=1e-3)


def test_a_training_learns_what_autoguidance_says_from_the_weights_that_ship(tmp_path, monkeypatch):
    given, said = [], []
    monkeypatch.setattr(diffusion, "train", lambda network, loss, settings, show: given.extend([network, loss]))
    weaker(tmp_path)
    diffusion.run(Settings(tmp_path, steps=1), pictures=4, batch=2, weak=tmp_path, scale=2.0, below=1000)
    network, loss = given
    network.register_forward_hook(lambda network, inputs, output: said.append(output.sample))
    with torch.no_grad():
        value = loss(network, torch.Generator().manual_seed(0))
    assert value.item() == pytest.approx(mse_loss(said[0], 1.2 * said[0]).item(), rel=1e-2)


def test_a_tiny_judge_is_trained_and_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(diffusion, "TESTED", 64)
    diffusion.judge(Settings(tmp_path, steps=2, every=2), pictures=16, batch=4)
    assert (tmp_path / "model.safetensors").exists()
    assert "every attribute of a picture right:" in capsys.readouterr().out


def test_pictures_are_bent_toward_goals_no_further_than_they_may_be():
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 32))
    x, goals = paint(torch.arange(6)), torch.nn.functional.normalize(torch.randn(6, 32), dim=1)

    def far(pictures):
        return (torch.nn.functional.normalize(encoder(pictures), dim=1) - goals).norm(dim=1)

    moved = views.bent(x.clone(), encoder, goals, torch.Generator().manual_seed(0))
    assert (far(moved) < far(x)).all()
    assert 0 < (moved - x).square().mean((1, 2, 3)).sqrt().max() <= views.REACH
    assert not moved.requires_grad and all(weights.grad is None for weights in encoder.parameters())


def test_texts_learn_to_aim_at_the_pictures_they_are_true_of(tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "AIMED", 20)
    torch.manual_seed(0)
    shipped = clips.built_in(ASSETS / "clip")
    network, tokenizer = shipped.network.float().requires_grad_(True), shipped.tokenizer
    torch.nn.init.normal_(network.text_projection, std=0.1)  # its texts have forgotten where the pictures lie
    pool, truth = ((paint(torch.arange(64)) + 1) * 127.5).byte(), attributes(torch.arange(64))

    @torch.no_grad()
    def near(name):
        image = torch.nn.functional.normalize(network.eval().encode_image(pool / 127.5 - 1), dim=1)
        mean = image[truth[:, ATTRIBUTES.index(name)]].mean(0)
        return image, torch.cosine_similarity(network.encode_text(tokenizer([name]))[0], mean, dim=0)

    before, far = near("night")
    clip.aimed(network, tokenizer, pool, truth, Settings(tmp_path, steps=1, learning_rate=0.005))
    after, close = near("night")
    assert close > far + 0.2
    assert torch.equal(before, after)


def test_prompts_to_learn_from_name_what_some_painting_shows_and_every_second_one_something_small():
    texts = guided.prompts(40, seed=1)
    assert len(texts) == 40 and texts == guided.prompts(40, seed=1) != guided.prompts(40, seed=2)
    for k, text in enumerate(texts):
        names = set(read(text))
        assert 1 <= len(names) <= 4 and (k % 2 or names & set(diffusion.FINE))
        assert sum(name in names for name in LANDS) <= 1


def test_what_a_sample_shows_is_what_a_judge_sees_in_it():
    pictures = ((paint(torch.arange(300)) + 1) * 127.5).round().byte()
    right = diffusion.shown(catalogue.judge(), pictures) == attributes(torch.arange(300))
    assert right.float().mean() > 0.99


def test_a_clip_is_trained_further_from_the_one_that_ships(tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "TESTED", 64)
    monkeypatch.setattr(clip, "AIMED", 1)
    monkeypatch.setattr(clip, "TEACHER", 1)
    clip.run(Settings(tmp_path, steps=1, every=1, learning_rate=1e-6), pictures=16, batch=4, further=True, prompts=2)
    steered = torch.load(tmp_path / "guided-2.pt")
    assert steered.shape == (2, 3, 64, 64) and steered.dtype == torch.uint8
    made, ships = (load_file(folder / "open_clip_model.safetensors") for folder in (tmp_path, ASSETS / "clip"))
    weights = [name for name in ships if "running" not in name and "tracked" not in name]  # not of the batches seen
    assert all(torch.allclose(made[name].float(), ships[name].float(), atol=2e-3) for name in weights)


def test_a_tiny_clip_is_trained_and_can_be_used(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(clip, "TESTED", 64)
    monkeypatch.setattr(clip, "AIMED", 2)
    clip.run(Settings(tmp_path, steps=2, every=2), pictures=64, batch=4)
    assert len(capsys.readouterr().out.splitlines()) == len(ATTRIBUTES)
    trained = clips.built_in(tmp_path)
    assert not trained.notes("snowy hills at night")
    assert torch.isfinite(trained.encode_image(torch.rand(2, 3, 64, 64))).all()
