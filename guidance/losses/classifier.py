"""What a classifier says of pictures on their way: log p(y | x_t)."""

from collections.abc import Callable

import torch
from torch import Tensor

LogProbability = Callable[[Tensor, int], Tensor]  # x_t (B, C, H, W) and a timestep to (B,)


def aware(classifier: Callable[[Tensor, Tensor], Tensor], labels: Tensor) -> LogProbability:
    """log p(labels | x_t, t) of a classifier that is told the noise level; labels (B,)."""

    def log_probability(x_t: Tensor, t: int) -> Tensor:
        logits = classifier(x_t, torch.full((len(x_t),), t, device=x_t.device))
        return logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)

    return log_probability


def blind(classifier: Callable[[Tensor, Tensor], Tensor], labels: Tensor) -> LogProbability:
    """The same of a classifier that takes every picture for a clean one."""
    log_probability = aware(classifier, labels)
    return lambda x_t, t: log_probability(x_t, 0)


CLASSIFIERS = {"classifier": aware, "blind-classifier": blind}
