"""Guidance against the notebook's loop, finite differences and an exact denoiser."""

import pytest
import torch
from diffusers import DDIMScheduler

from guidance.guides.color import LOSSES, target
from guidance.sampling.guides import GuidanceError, loss_guide, network
from guidance.sampling.sample import Prediction, sample
from guidance.sampling.schedule import Schedule, strengths
from guidance.sampling.spectrum import SPECTRUM, wiener
from tests.exact import Mixture, noise, tiny_unet

COLOR = target("#1ae680")
EXACT = DDIMScheduler(clip_sample=False, timestep_spacing="trailing").config


def notebook(unet, scheduler, x, steps, scale, full):
    """The colour guidance loop of the diffusion course's unit 2, written out plainly."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        if full:
            x = x.detach().requires_grad_()
            noise_pred = unet(scheduler.scale_model_input(x, t), t)["sample"]
        else:
            with torch.no_grad():
                noise_pred = unet(scheduler.scale_model_input(x, t), t)["sample"]
            x = x.detach().requires_grad_()
        x0 = scheduler.step(noise_pred, t, x).pred_original_sample
        loss = torch.abs(x0 - COLOR).mean() * scale
        x = x.detach() - torch.autograd.grad(loss, x)[0]
        x = scheduler.step(noise_pred, t, x).prev_sample
    return x.detach()


def steer(eps, schedule, x, *, loss="tone", scale=0.1, method="shortcut", rule="normalized", fade=True, weights=None):
    loss = LOSSES[loss](COLOR)
    weights = weights or strengths(schedule)
    predict = network(eps, schedule)
    predict = loss_guide(
        predict,
        loss,
        schedule,
        scale=scale,
        weights=weights,
        method=method,
        rule=rule,
        fade=fade and rule == "normalized",
    )
    *_, last = sample(predict, x, schedule)
    return last.x_t


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("method", ["shortcut", "full"])
@pytest.mark.parametrize(
    ("count", "dtype", "error"), [(1, torch.float64, 1e-9), (3, torch.float64, 1e-9), (1, torch.float32, 1e-3)]
)
def test_the_course_rule_is_the_notebook(method, count, dtype, error, clip):
    # The sign in L1's gradient turns the last bit of a sum into a larger difference: hence float64, and exactly. With
    # clipping and through the network it does so on some processors in a few values of float32, not in their mean.
    of = torch.mean if clip and method == "full" and dtype == torch.float32 else torch.amax
    unet, scheduler = tiny_unet().to(dtype), DDIMScheduler(clip_sample=clip)
    x = noise(count).to(dtype)
    theirs = notebook(unet, scheduler, x, 10, 40 * count, method == "full")  # the notebook averages over the batch
    schedule = Schedule(scheduler.config, "ddim", 10)
    eps = lambda x, t: unet(x, t).sample  # noqa: E731
    ours = steer(eps, schedule, x, loss="pixel-l1", scale=40.0, method=method, rule="course")
    assert of((ours - theirs).abs() / (1 + theirs.abs())) < error
    unguided = steer(eps, Schedule(scheduler.config, "ddim", 10), x, scale=0.0)
    assert not torch.allclose(ours, unguided, atol=1e-2)


@pytest.mark.parametrize("method", ["shortcut", "full"])
def test_the_normalized_rule_follows_the_finite_difference_of_the_loss(method):
    schedule = Schedule(EXACT, "ddim", 10)
    eps, loss, i, scale = Mixture(schedule), LOSSES["tone"](COLOR.double()), 5, 0.1
    x = noise(2, size=4).double()
    plain = eps(x, schedule.timesteps[i])

    def value(x_t):
        return loss(schedule.x0(x_t, eps(x_t, schedule.timesteps[i]) if method == "full" else plain, i), i).sum()

    gradient = torch.zeros_like(x)
    for place in range(x.numel()):
        nudge = torch.zeros_like(x).view(-1)
        nudge[place] = 1e-5
        gradient.view(-1)[place] = (value(x + nudge.view_as(x)) - value(x - nudge.view_as(x))) / 2e-5
    rms = lambda g: g.square().mean((1, 2, 3), keepdim=True).sqrt()  # noqa: E731
    expected = plain + scale * rms(plain) * gradient / rms(gradient)
    predict = loss_guide(
        network(eps, schedule), lambda x0, i: loss(x0.double(), i), schedule, scale=scale, weights=strengths(schedule),
        method=method,
    )  # fmt: skip
    assert torch.allclose(predict(x, i).eps, expected, atol=1e-4)


@pytest.mark.parametrize("method", ["shortcut", "full"])
def test_strength_does_not_depend_on_the_number_of_steps(method):
    ends = []
    for steps in (20, 40, 80):
        schedule = Schedule(EXACT, "ddim", steps)
        x = noise(8, size=8).double()
        moved = steer(Mixture(schedule), schedule, x, method=method, scale=0.05)
        ends.append((moved.mean((2, 3)) - COLOR.view(1, 3)).norm(dim=1).mean())
    schedule = Schedule(EXACT, "ddim", 40)
    bare = steer(Mixture(schedule), schedule, noise(8, size=8).double(), scale=0.0)
    before = (bare.mean((2, 3)) - COLOR.view(1, 3)).norm(dim=1).mean()
    assert ends[1] < 0.8 * before
    assert all(abs(end - ends[1]) < 0.1 * before for end in ends)


@pytest.mark.parametrize("rule", ["normalized", "course"])
@pytest.mark.parametrize("method", ["shortcut", "full"])
def test_a_picture_does_not_depend_on_its_neighbours(method, rule):
    schedules = [Schedule(EXACT, "ddim", 8) for _ in range(3)]
    x, other = noise(3).double(), noise(3, seed=9).double()
    together = steer(Mixture(schedules[0]), schedules[0], x, method=method, rule=rule)
    alone = steer(Mixture(schedules[1]), schedules[1], x[:1], method=method, rule=rule)
    beside = steer(Mixture(schedules[2]), schedules[2], torch.cat([x[:1], other]), method=method, rule=rule)
    assert torch.allclose(together[:1], alone, atol=1e-9)
    assert torch.allclose(beside[:1], alone, atol=1e-9)


def test_the_shortcut_bends_as_a_perfect_network_of_gaussian_pictures_would():
    size, i = 8, 7
    schedule = Schedule(EXACT, "ddim", 10)
    alpha, sigma = schedule.alpha[i], schedule.sigma[i]
    place = torch.cartesian_prod(torch.arange(size), torch.arange(size)).double()
    wave = torch.minimum(place, size - place)
    power = SPECTRUM / ((wave / size).square().sum(1)).clamp_min(1 / size**2)
    phase = 2 * torch.pi / size * (place[:, None] - place[None]) @ place.T  # (from, to, wave)
    covariance = (phase.cos() * power).mean(2)
    denoiser = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * torch.eye(size**2))
    x = noise(2, size).double()
    goal = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).double()

    def eps(x_t, t):
        return (x_t - alpha * (x_t.flatten(2) @ denoiser.T).view_as(x_t)) / sigma

    bends = {}
    for method in ("shortcut", "full"):
        predict = loss_guide(
            network(eps, schedule), lambda x0, i: (x0 * goal).sum((1, 2, 3)), schedule, scale=0.1,
            weights=strengths(schedule), method=method, precondition=wiener,
        )  # fmt: skip
        bends[method] = predict(x, i).eps - eps(x, 0)
    assert torch.allclose(bends["shortcut"], bends["full"], atol=1e-5)
    assert bends["full"].square().mean() > 1e-3


def test_strength_does_not_depend_on_resolution():
    ends = []
    for size in (8, 32):
        schedule = Schedule(EXACT, "ddim", 20)
        bent, plain = (
            steer(lambda x, t: torch.ones_like(x), schedule, noise(1, size), fade=False, scale=scale)
            for scale in (0.1, 0.0)
        )
        ends.append((bent - plain).square().mean().sqrt())
    assert ends[0] == pytest.approx(ends[1].item(), rel=1e-3)


def test_no_gradient_means_no_guidance():
    schedule = Schedule(EXACT, "ddim", 5)
    predict = loss_guide(
        network(Mixture(schedule), schedule), lambda x0, i: (x0 * 0).sum((1, 2, 3)), schedule, scale=1.0,
        weights=strengths(schedule), fade=True,
    )  # fmt: skip
    assert torch.equal(predict(noise(), 2).eps, network(Mixture(schedule), schedule)(noise(), 2).eps)


def test_a_step_is_never_bent_by_more_than_its_noise():
    schedule = Schedule(EXACT, "ddim", 5)
    eps = Mixture(schedule)
    predict = loss_guide(
        network(eps, schedule), LOSSES["tone"](COLOR), schedule, scale=1e6, weights=strengths(schedule)
    )
    plain = eps(noise(), schedule.timesteps[2])
    bend = predict(noise(), 2).eps - plain
    assert bend.square().mean().sqrt() <= plain.square().mean().sqrt() * 1.3


def test_a_gradient_that_is_not_finite_stops_with_a_sentence():
    schedule = Schedule(EXACT, "ddim", 5)
    predict = loss_guide(
        network(Mixture(schedule), schedule), lambda x0, i: (x0 * float("nan")).sum((1, 2, 3)), schedule, scale=3.0,
        weights=strengths(schedule),
    )  # fmt: skip
    with pytest.raises(GuidanceError, match=r"blew up at step 2 of 5 with scale 3: lower the scale\."):
        predict(noise(), 1)


def test_where_x0_is_clipped_a_bend_still_points_downhill():
    # With clip_sample, DDIM keeps the bent eps and clips the x0 it belongs to: at high noise a step would go uphill.
    clipped = DDIMScheduler(timestep_spacing="trailing").config
    ends = []
    for scale in (0.0, 0.3):
        schedule = Schedule(clipped, "ddim", 20)
        ends.append(steer(Mixture(schedule), schedule, noise(4).double(), scale=scale).mean((2, 3)))
    before, after = ((end - COLOR.view(1, 3)).norm(dim=1).mean() for end in ends)
    assert after < 0.5 * before


@pytest.mark.parametrize("outer", ["shortcut", "full"])
@pytest.mark.parametrize("inner", ["shortcut", "full"])
def test_guides_stack(inner, outer):
    schedule = Schedule(EXACT, "ddim", 10)
    predict = network(Mixture(schedule), schedule)
    for name, method, color in (("first", inner, "#ff0000"), ("second", outer, "#0000ff")):
        loss = LOSSES["tone"](target(color))
        predict = loss_guide(predict, loss, schedule, scale=0.05, weights=strengths(schedule), method=method, name=name)
    for step in sample(predict, noise().double(), schedule):
        assert set(step.losses) == {"first", "second"}
    bare = list(sample(network(Mixture(schedule), schedule), noise().double(), Schedule(EXACT, "ddim", 10)))[-1].x_t
    purple = target("#ff00ff").view(1, 3)
    assert (step.x_t.mean((2, 3)) - purple).norm(dim=1).mean() < (bare.mean((2, 3)) - purple).norm(dim=1).mean()


def test_a_full_gradient_goes_through_the_network_and_the_guide_inside():
    schedule = Schedule(EXACT, "ddim", 10)
    seen = []

    def spy(x_t, i):
        seen.append(x_t.requires_grad)
        return Prediction(x_t, Mixture(schedule)(x_t, schedule.timesteps[i]))

    for method in ("shortcut", "full"):
        loss_guide(spy, LOSSES["tone"](COLOR), schedule, scale=1, weights=strengths(schedule), method=method)(
            noise(), 3
        )
    assert seen == [False, True]
