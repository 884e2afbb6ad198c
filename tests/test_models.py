"""The networks that ship and the one wrapper around them."""

import copy
import threading

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler

from guidance import settings
from guidance.models import catalogue, clips, loading
from guidance.models.attributes import ATTRIBUTES
from guidance.models.cache import Cache, cache, weight
from guidance.models.device import activations, device, precision
from guidance.models.layout import frozen
from guidance.models.model import Model
from guidance.training.landscapes import attributes, paint
from tests.exact import generators, noise, tiny_unet


def test_a_model_is_loaded_once_by_two_callers(monkeypatch):
    loads = []
    monkeypatch.setattr(catalogue, "cache", Cache(lambda: 2**30, weight))
    monkeypatch.setattr(catalogue, "open_model", lambda *of: loads.append(of) or loading.open_model(*of))
    threads = [threading.Thread(target=catalogue.get, args=("landscapes",)) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(loads) == 1


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_every_prediction_type_is_turned_into_the_scheduler_s_eps(prediction):
    config = DDIMScheduler(prediction_type=prediction, clip_sample=False)
    config.set_timesteps(10)
    model, x = Model(tiny_unet(), dict(config.config)), noise(1)
    for t in (100, 500, 900):
        with torch.no_grad():
            output = model.unet(x, t).sample
            x0 = config.step(output, t, x).pred_original_sample
            alpha_bar = config.alphas_cumprod[t]
            eps = model.eps(x, t)
        assert torch.allclose((x - (1 - alpha_bar).sqrt() * eps) / alpha_bar.sqrt(), x0, rtol=1e-3, atol=1e-4)


def test_noise_is_the_seed_s_own():
    model = Model(tiny_unet(), dict(DDIMScheduler().config))
    assert torch.equal(model.noise(generators(1, 2, 3))[2], model.noise(generators(3))[0])
    assert not torch.equal(model.noise(generators(1))[0], model.noise(generators(2))[0])


def test_a_network_is_frozen_and_in_eval_mode():
    unet = catalogue.get("landscapes").unet
    assert not unet.training and not any(weight.requires_grad for weight in unet.parameters())


def gradient(layer, x, along):
    """A layer's output, and the gradient of its inner product with `along`, both float64."""
    x = x.detach().requires_grad_()
    y = layer(x)
    return y.detach().double(), torch.autograd.grad((y * along.to(y)).sum(), x)[0].double()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (torch.nn.GroupNorm(4, 16), (3, 16, 8, 12)),
        (torch.nn.GroupNorm(4, 16), (3, 16, 20)),
        (torch.nn.GroupNorm(4, 16, affine=False), (3, 16, 8, 12)),
        (torch.nn.Conv2d(3, 10, 4, 4), (2, 3, 8, 12)),
        (torch.nn.Conv2d(3, 10, 4, 4, bias=False), (2, 3, 9, 12)),
        (torch.nn.Conv2d(6, 10, 4, 4, groups=2), (2, 6, 8, 12)),
        (torch.nn.Conv2d(6, 10, 1), (2, 6, 8, 12)),
    ],
)
@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.01), (torch.float32, 1e-6)])
def test_layers_that_are_made_fast_give_what_torch_gives(layer, shape, dtype, error):
    draw = torch.Generator().manual_seed(0)
    fast = copy.deepcopy(layer)
    with torch.no_grad():
        for weight in fast.parameters():
            weight += 0.5 * torch.randn(weight.shape, generator=draw)
    plain = copy.deepcopy(fast.to(dtype)).double()
    frozen(fast)
    x = (1 + torch.randn(shape, generator=draw)).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    along = torch.randn(plain(x.double()).shape, generator=draw).to(dtype)
    for made, right in zip(gradient(fast, x, along), gradient(plain, x.double(), along), strict=True):
        assert (made - right).norm() <= error * right.norm()


def test_attention_that_is_not_fused_gives_what_torch_gives():
    torch.manual_seed(0)
    plain = torch.nn.MultiheadAttention(16, 2).double()
    unfused = copy.deepcopy(plain)
    clips.unfused(unfused)
    x, along = torch.randn(5, 3, 16).double(), torch.randn(5, 3, 16)
    made, right = (gradient(lambda x, a=a: a(x, x, x, need_weights=False)[0], x, along) for a in (unfused, plain))
    assert torch.allclose(made[0], right[0]) and torch.allclose(made[1], right[1])


def test_a_network_that_was_frozen_can_be_trained_again():
    norm = frozen(torch.nn.GroupNorm(4, 16).bfloat16()).requires_grad_(True)
    x = torch.randn(2, 16, 8, 8).bfloat16().contiguous(memory_format=torch.channels_last)
    norm(x.requires_grad_()).square().sum().backward()
    assert norm.weight.grad.abs().sum() > 0 and norm.bias.grad.abs().sum() > 0


@pytest.mark.parametrize(("free", "checkpointed"), [(0, True), (2**40, False)])
def test_gradients_are_checkpointed_where_memory_is_short_and_stay_the_same(free, checkpointed, monkeypatch):
    monkeypatch.setattr("guidance.models.model.free", lambda: free)
    model, x = Model(tiny_unet(), dict(DDIMScheduler().config)), noise(2).requires_grad_()
    with torch.no_grad():
        model.eps(x, 300)
    assert not model.short  # nothing to spare without a gradient
    (gradient,) = torch.autograd.grad(model.eps(x, 300).square().sum(), x)
    assert model.short == {2: checkpointed} and model.unet.is_gradient_checkpointing == checkpointed
    (plain,) = torch.autograd.grad(model.unet(x, 300).sample.square().sum(), x)
    assert torch.allclose(gradient, plain, rtol=1e-4, atol=1e-5)


def test_what_a_gradient_holds_is_known_before_it_is_computed():
    model, held = catalogue.get("landscapes"), {}
    x_t = noise(1, size=64).to(model.dtype).requires_grad_()

    def hold(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        model.unet(x_t, 300)
    for weight_ in model.unet.parameters():
        held.pop(weight_.untyped_storage().data_ptr(), None)
    real = sum(tensor.untyped_storage().nbytes() for tensor in held.values())
    assert activations(model.unet, model.dtype, x_t) == pytest.approx(real, rel=0.2)


def test_low_precision_does_not_hurt_the_pictures():
    from diffusers import UNet2DModel

    from guidance.sampling.guides import network
    from guidance.sampling.sample import sample
    from guidance.sampling.schedule import Schedule

    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        unet = UNet2DModel.from_pretrained(catalogue.BUILT_IN["landscapes"], subfolder="unet", torch_dtype=dtype)
        config = dict(DDIMScheduler.from_pretrained(catalogue.BUILT_IN["landscapes"], subfolder="scheduler").config)
        model = Model(unet, config)
        schedule = Schedule(config, "ddim", 20)
        *_, step = sample(network(model.eps, schedule), model.noise(generators(1, 2, 3, 4)), schedule)
        ends.append(step.x_t.clamp(-1, 1) / 2)
    assert 10 * torch.log10(1 / (ends[0] - ends[1]).square().mean()) >= 35


def test_plain_diffusers_loads_what_ships():
    pipeline = DDIMPipeline.from_pretrained(settings.ASSETS / "landscapes")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(1, num_inference_steps=2, output_type="np").images.shape == (1, 64, 64, 3)


def test_files_that_ship_are_small_safetensors():
    files = [path for path in settings.ASSETS.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    assert all(path.stat().st_size < 10_000_000 for path in files)
    assert not any(path.suffix in (".bin", ".pt", ".ckpt", ".pth") for path in files)


def test_the_judge_reads_pictures_it_never_saw():
    seeds = torch.arange(256) + 70_000_000
    with torch.no_grad():
        right = (catalogue.judge()(paint(seeds)) > 0) == attributes(seeds)
    assert right.float().mean() > 0.99
    assert right.shape[1] == len(ATTRIBUTES)


def test_networks_built_at_once_do_not_change_one_another():
    dtypes = {}
    kinds = {
        "landscapes": lambda: catalogue.get("landscapes").unet, "digits": lambda: catalogue.digits("embedding").unet,
        "judge": catalogue.digit_judge, "clip": lambda: clips.get("landscapes").network,
    }  # fmt: skip
    for _ in range(3):
        cache.things.clear()
        threads = [
            threading.Thread(target=lambda name, load: dtypes.update({name: next(load().parameters())}), args=pair)
            for pair in kinds.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(dtypes) == len(kinds)
        assert not any(weight.is_meta for weight in dtypes.values())
        assert {dtypes[name].dtype for name in ("digits", "judge")} == {torch.float32}
        assert dtypes["clip"].dtype == precision(device())
