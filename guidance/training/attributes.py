"""Train the network that tells which attributes a landscape shows: the judge of what guidance makes."""

from pathlib import Path

import torch

from guidance.models.networks import AttributeNetwork
from guidance.training.diffusion import SEEDS, painted
from guidance.training.landscapes import ATTRIBUTES, attributes
from guidance.training.trainer import Settings, save_half, train

SETTINGS = Settings(Path("runs/attributes"), steps=2_000, learning_rate=1e-3, ema_decay=0.998, warmup=100)
TESTED = 4096  # unseen pictures


def run(settings: Settings, *, pictures: int = 40_000, batch: int = 128) -> None:
    """Train on painted pictures, slightly noisy ones among them, and keep fp16 weights in `settings.out`."""
    torch.manual_seed(settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = AttributeNetwork(len(ATTRIBUTES))
    pool = painted(SEEDS["attributes"], pictures, device)
    truth = attributes(torch.arange(pictures) + SEEDS["attributes"]).float().to(device)

    def loss(network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        here = {"generator": generator, "device": generator.device}
        chosen = torch.randint(pictures, (batch,), **here)
        x = pool[chosen].float() / 127.5 - 1
        # A little noise keeps it from reading the painter's exact pixels, which no sampler reproduces.
        x = x + 0.15 * torch.rand(batch, 1, 1, 1, **here) * torch.randn(x.shape, **here)
        return torch.nn.functional.binary_cross_entropy_with_logits(network(x).float(), truth[chosen])

    train(network, loss, settings)
    save_half(network, settings.out / "model.safetensors")
    test = painted(SEEDS["evaluation"], TESTED)
    with torch.no_grad():
        logits = torch.cat([network.eval()(part.to(device).float() / 127.5 - 1).cpu() for part in test.split(256)])
    right = ((logits > 0) == attributes(torch.arange(TESTED) + SEEDS["evaluation"])).float()
    for name, share in zip(ATTRIBUTES, right.mean(0).tolist(), strict=True):
        print(f"{name:10s} {share:.4f}")
    print(f"every attribute of a picture right: {right.all(1).float().mean():.4f}, an attribute: {right.mean():.4f}")
