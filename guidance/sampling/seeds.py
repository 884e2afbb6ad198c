"""Where randomness comes from: a generator for each picture, on the CPU, so that a picture is its seed's anywhere."""

import numpy
import torch


def stream(seed: int, *key: int) -> torch.Generator:
    """A generator for a seed and, unless the key is 0, something of its own: torch looks at 32 bits of a seed."""
    if any(key):
        seed = int(numpy.random.SeedSequence([seed, *key]).generate_state(1)[0])
    return torch.Generator().manual_seed(seed)
