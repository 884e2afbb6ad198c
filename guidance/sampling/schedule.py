"""The noise schedule and its solver: one small adapter over diffusers' schedulers.

torch and diffusers are imported where they are used, so that the names of solvers and weights can be had without.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SOLVERS = {"ddim": "DDIMScheduler", "dpm++": "DPMSolverMultistepScheduler", "ddpm": "DDPMScheduler"}  # of diffusers


class Schedule:
    """x_t = alpha_t x0 + sigma_t eps with alpha_t**2 = alpha_bar_t and alpha_t**2 + sigma_t**2 = 1, over `steps` steps.

    `config` is any diffusers scheduler's; `solver` is "ddim" (arXiv:2010.02502; `eta`, its equation 16, is the noise of
    a step: 1 is DDPM's), "dpm++" (second-order DPM-Solver++, arXiv:2211.01095) or "ddpm" (arXiv:2006.11239); picture
    k's noise comes from the torch.Generator `generators[k]`. A schedule serves one run: solvers remember.
    """

    def __init__(self, config: dict, solver: str = "ddim", steps: int = 40, generators: Sequence = (), eta: float = 0):
        # Networks are asked for eps whatever they were trained to predict, so the solver is told "epsilon".
        kind = getattr(import_module("diffusers"), SOLVERS[solver])
        self.solver = kind.from_config(config, prediction_type="epsilon")
        self.solver.set_timesteps(steps)
        self.options = {"generator": list(generators) or None} | ({"eta": eta} if solver == "ddim" else {})
        self.timesteps: list[int] = self.solver.timesteps.tolist()
        self.alphas_cumprod: Tensor = self.solver.alphas_cumprod
        alpha_bar = self.alphas_cumprod[self.timesteps]  # float32, to the bit what the solver uses
        self.alpha, self.sigma = alpha_bar.sqrt().tolist(), (1 - alpha_bar).sqrt().tolist()
        self.clips: bool = config.get("clip_sample", True)  # diffusers' schedulers clip unless told not to

    def x0(self, x_t: Tensor, eps: Tensor, i: int) -> Tensor:
        """The estimate of the clean picture at step i, (B, C, H, W), unclamped (DDIM, equation 9)."""
        return (x_t - self.sigma[i] * eps) / self.alpha[i]

    def step(self, x_t: Tensor, eps: Tensor, i: int) -> Tensor:
        """x at the next timestep; called once for each i in order."""
        if self.clips and "clip_sample" not in self.solver.config:  # DPM-Solver++ has no clipping of its own
            eps = (x_t - self.alpha[i] * self.x0(x_t, eps, i).clamp(-1, 1)) / self.sigma[i]
        return self.solver.step(eps, self.timesteps[i], x_t, **self.options).prev_sample

    def back(self, x_t: Tensor, i: int) -> Tensor:
        """x before step i from x after it: noise added by the forward process, picture k's from `generators[k]`."""
        import torch

        ratio = self.alpha[i] / self.alpha[i + 1]
        noise = [torch.randn(x_t.shape[1:], generator=generator) for generator in self.options["generator"]]
        return ratio * x_t + (1 - ratio**2) ** 0.5 * torch.stack(noise).to(x_t)


# The strength over the steps, each in [0, 1]: schedule to one weight per step.
WEIGHTS = {
    # The course's square root of alpha_bar: at the timestep, as it is meant, and at the loop counter, as it is run.
    "late": lambda schedule: schedule.alpha,
    "constant": lambda schedule: [1.0] * len(schedule.timesteps),
    "early": lambda schedule: schedule.sigma,
    "counter": lambda schedule: schedule.alphas_cumprod[: len(schedule.timesteps)].sqrt().tolist(),
}


def strengths(schedule: Schedule, kind: str = "constant", start: float = 0.0, stop: float = 1.0) -> list[float]:
    """w(t) for each step: a kind of WEIGHTS from `start` to `stop` (shares of the steps), else 0 (arXiv:2404.07724)."""
    steps = len(schedule.timesteps)
    return [w if start <= i / steps < stop else 0.0 for i, w in enumerate(WEIGHTS[kind](schedule))]
