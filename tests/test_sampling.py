"""The schedule and the loop against diffusers' own schedulers and exact solutions."""

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DPMSolverMultistepScheduler

from guidance.sampling.guides import network
from guidance.sampling.sample import sample
from guidance.sampling.schedule import WEIGHTS, Schedule, strengths
from guidance.sampling.seeds import stream
from guidance.sampling.spectrum import wiener
from tests.exact import Mixture, generators, noise, tiny_unet

CONFIGS = {
    "linear, leading": DDIMScheduler(),
    "linear, trailing": DDIMScheduler(timestep_spacing="trailing"),
    "cosine": DDIMScheduler(beta_schedule="squaredcos_cap_v2"),
    "not clipped": DDIMScheduler(clip_sample=False),
}


def run(schedule, eps, x):
    return list(sample(network(eps, schedule), x, schedule))


@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_unguided_ddim_is_the_pipeline_of_diffusers(name, eta):
    unet, scheduler = tiny_unet(), CONFIGS[name]
    pipeline = DDIMPipeline(unet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(2, generators(5, 6), eta=eta, num_inference_steps=12, output_type="np").images
    draws = generators(5, 6)
    x = torch.stack([torch.randn(3, 16, 16, generator=generator) for generator in draws])
    schedule = Schedule(scheduler.config, "ddim", 12, draws, eta)
    ours = run(schedule, lambda x, t: unet(x, t).sample, x)[-1].x_t
    theirs = torch.from_numpy(theirs).permute(0, 3, 1, 2)
    assert torch.allclose((ours / 2 + 0.5).clamp(0, 1), theirs, atol=1e-5)


def test_unguided_dpm_solver_is_the_scheduler_of_diffusers():
    unet, scheduler = tiny_unet(), DDIMScheduler(clip_sample=False)
    theirs = DPMSolverMultistepScheduler.from_config(scheduler.config)
    theirs.set_timesteps(10)
    x = noise()
    for t in theirs.timesteps:
        with torch.no_grad():
            x = theirs.step(unet(x, t).sample, t, x).prev_sample
    schedule = Schedule(scheduler.config, "dpm++", 10)
    ours = run(schedule, lambda x, t: unet(x, t).sample, noise())[-1].x_t
    assert torch.allclose(ours, x, atol=1e-5)


@pytest.mark.parametrize("solver", ["ddim", "dpm++"])
def test_both_solvers_come_close_to_the_exact_flow_of_a_mixture(solver):
    config = DDIMScheduler(clip_sample=False, timestep_spacing="trailing").config
    ends = []
    for steps in (1000, 50):
        schedule = Schedule(config, solver if steps == 50 else "ddim", steps)
        ends.append(run(schedule, Mixture(schedule), noise().double())[-1].x_t)
    assert (ends[0] - ends[1]).abs().mean() < 0.03


def test_dpm_solver_clips_when_the_model_wants_it():
    schedule = Schedule(DDIMScheduler().config, "dpm++", 10)
    picture = run(schedule, lambda x, t: x * 0 + 1, noise())[-1].x_t
    assert picture.abs().max() <= 1 + 1e-4


def test_x0_and_step_are_those_of_the_scheduler():
    schedule, scheduler = Schedule(DDIMScheduler(clip_sample=False).config, "ddim", 7), DDIMScheduler(clip_sample=False)
    scheduler.set_timesteps(7)
    x, eps = noise(), noise(seed=1)
    for i, t in enumerate(scheduler.timesteps):
        theirs = scheduler.step(eps, t, x)
        assert torch.allclose(schedule.x0(x, eps, i), theirs.pred_original_sample, rtol=1e-4, atol=1e-4)
        assert torch.allclose(schedule.step(x, eps, i), theirs.prev_sample, atol=1e-5)


def test_a_run_is_left_without_gradients_and_leaves_its_consumer_alone():
    schedule = Schedule(DDIMScheduler().config, "ddim", 3)
    for step in sample(network(lambda x, t: x, schedule), noise(), schedule):
        assert torch.is_grad_enabled()
        assert not step.x_t.requires_grad


def test_weights_are_indexed_by_the_timestep_and_the_counter_as_named():
    schedule = Schedule(DDIMScheduler().config, "ddim", 40)
    late, counter = strengths(schedule, "late"), strengths(schedule, "counter")
    assert late[0] == pytest.approx(schedule.alphas_cumprod[975].sqrt().item())
    assert late[0] < 0.05 and late[-1] > 0.99
    assert counter[0] == pytest.approx(schedule.alphas_cumprod[0].sqrt().item())
    assert min(counter) > 0.98
    assert strengths(schedule, "early")[0] > 0.99


def test_an_interval_silences_the_rest():
    schedule = Schedule(DDIMScheduler().config, "ddim", 10)
    assert strengths(schedule, "constant", 0.2, 0.5) == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]


def test_weights_never_leave_their_range():
    schedule = Schedule(DDIMScheduler().config, "ddim", 25)
    for kind in WEIGHTS:
        assert len(strengths(schedule, kind)) == 25
        assert all(0 <= weight <= 1 for weight in strengths(schedule, kind))


def test_a_filtered_gradient_is_itself_without_noise_and_coarse_in_noise():
    for shape in ((2, 3, 16, 16), (1, 1, 9, 14)):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(wiener(gradient, 1.0, 0.0), gradient, atol=1e-5)
        coarse = wiener(gradient, 0.1, 0.99)
        assert coarse.shape == gradient.shape

        def roughness(picture):
            return (picture - picture.roll(1, -1)).square().mean() / picture.square().mean()

        assert roughness(coarse) < 0.5 * roughness(gradient)
    flat = torch.full((1, 3, 8, 8), 2.0)
    filtered = wiener(flat, 0.5, 0.8)
    assert torch.allclose(filtered, filtered.mean().expand_as(filtered), atol=1e-5) and 0 < filtered.mean() < 8


def test_a_stream_is_its_seed_s_and_each_key_has_another():
    assert torch.equal(stream(7).get_state(), torch.Generator().manual_seed(7).get_state())
    assert torch.equal(stream(7, 0, 0).get_state(), stream(7).get_state())
    states = [bytes(stream(*key).get_state().numpy()) for key in ((7,), (8,), (7, 1), (7, 1, 1), (7, 0, 1), (8, 1))]
    assert len(set(states)) == len(states)
