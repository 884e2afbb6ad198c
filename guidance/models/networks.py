"""Our own networks: denoisers of MNIST's digits told the class in three ways, their classifier, and both judges."""

from types import SimpleNamespace

import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

NULL = 10  # the class that stands for none: an eleventh label, seen in training where the label was dropped
# The noise schedule of the course's notebook. v is accurate at both ends of it, and "trailing" starts at pure noise.
SCHEDULER = {
    "num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction",
    "timestep_spacing": "trailing", "clip_sample": True, "clip_sample_range": 1.0,
}  # fmt: skip


class ChannelsUNet(nn.Module):
    """The class as extra input channels, the course's `ClassConditionedUnet`: an embedding of size 4 at every pixel."""

    config, null = SimpleNamespace(in_channels=1, sample_size=28), NULL

    def __init__(self, width: int = 4):
        super().__init__()
        self.embedding = nn.Embedding(NULL + 1, width)
        self.unet = UNet2DModel(
            sample_size=28, in_channels=1 + width, out_channels=1, layers_per_block=2, block_out_channels=(32, 64, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> UNet2DOutput:
        """v from x_t (B, 1, 28, 28), t () or (B,) and labels (B,)."""
        planes = self.embedding(labels)[:, :, None, None].expand(-1, -1, *x_t.shape[2:])
        return self.unet(torch.cat([x_t, planes], 1), t)


class EmbeddingUNet(nn.Module):
    """The class's embedding added to the timestep's, which scales and shifts every block (AdaGN, arXiv:2105.05233)."""

    config, null = SimpleNamespace(in_channels=1, sample_size=28), NULL

    def __init__(self):
        super().__init__()
        self.unet = UNet2DModel(
            sample_size=28, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(32, 64, 96),
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"), norm_num_groups=16,
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"), attention_head_dim=32,
            num_class_embeds=NULL + 1, resnet_time_scale_shift="scale_shift",
        )  # fmt: skip

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> UNet2DOutput:
        """v from x_t (B, 1, 28, 28), t () or (B,) and labels (B,)."""
        return self.unet(x_t, t, class_labels=labels)


class AttentionUNet(nn.Module):
    """The class as a token that the inner blocks attend to, as text-to-image models do."""

    config, null = SimpleNamespace(in_channels=1, sample_size=28), NULL

    def __init__(self, width: int = 64):
        super().__init__()
        self.embedding = nn.Embedding(NULL + 1, 2 * width)  # two tokens, or attention would have nothing to choose
        self.unet = UNet2DConditionModel(
            sample_size=28, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(32, 64, 80),
            down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"), norm_num_groups=16,
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"), cross_attention_dim=width,
            attention_head_dim=4,
        )  # fmt: skip

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> UNet2DOutput:
        """v from x_t (B, 1, 28, 28), t () or (B,) and labels (B,)."""
        return self.unet(x_t, t, encoder_hidden_states=self.embedding(labels).unflatten(1, (2, -1)))


DENOISERS = {"channels": ChannelsUNet, "embedding": EmbeddingUNet, "attention": AttentionUNet}


class DigitClassifier(nn.Module):
    """p(y | x_t, t): a classifier that is told how noisy its picture is (Dhariwal and Nichol, arXiv:2105.05233)."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96)):
        super().__init__()
        self.time = nn.Sequential(Timesteps(32, True, 0), TimestepEmbedding(32, 128), nn.SiLU())
        self.stem = nn.Conv2d(1, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(nn.ModuleDict({
            "first": nn.Conv2d(before, after, 3, stride=1 if before == after else 2, padding=1),
            "norm": nn.GroupNorm(8, after), "time": nn.Linear(128, 2 * after),
            "second": nn.Sequential(nn.SiLU(), nn.Conv2d(after, after, 3, padding=1), nn.GroupNorm(8, after)),
        }) for before, after in zip((widths[0], *widths), widths, strict=False))  # fmt: skip
        self.head = nn.Linear(widths[-1] * 49, 10)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits (B, 10) of pictures x_t (B, 1, 28, 28) at timesteps t (B,)."""
        time, x = self.time(t), self.stem(x_t)
        for stage in self.stages:
            x = stage["norm"](stage["first"](nn.functional.silu(x)))
            scale, shift = stage["time"](time)[:, :, None, None].chunk(2, 1)
            x = x * (1 + scale) + shift
            x = x + stage["second"](x)
        return self.head(nn.functional.silu(x).flatten(1))


class Judge(nn.Module):
    """Judges pictures and never guides them; its features are the space in which distances are measured."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [-1, 1] to logits (B, outputs)."""
        return self.head(self.features(pictures))


class DigitJudge(Judge):
    """Reads digits for the evaluation and the page; of another architecture than the classifier that guides."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)):
        super().__init__()
        layers, before = [], 1
        for width in widths:
            for channels in (before, width):
                layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2), nn.Dropout2d(0.1)]
            before = width
        self.blocks = nn.Sequential(*layers)  # (B, 1, 28, 28) to (B, 128, 3, 3)
        self.project = nn.Sequential(nn.Flatten(), nn.Linear(before * 9, 128), nn.BatchNorm1d(128), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(128, 10))

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 1, 28, 28) in [-1, 1] to features (B, 128)."""
        return self.project(self.blocks(pictures))


class AttributeNetwork(Judge):
    """Tells which attributes a 64 px landscape shows."""

    def __init__(self, outputs: int, widths: tuple[int, ...] = (32, 64, 128, 192), features: int = 256):
        super().__init__()
        blocks, previous = [], 3
        for stage, width in enumerate(widths):
            for channels, stride in ((previous, 1 if stage == 0 else 2), (width, 1)):
                blocks += [nn.Conv2d(channels, width, 3, stride, 1), nn.GroupNorm(8, width), nn.SiLU()]
            previous = width
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Sequential(nn.Linear(2 * previous, features), nn.SiLU())
        self.head = nn.Linear(features, outputs)

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] to features (B, 256)."""
        x = self.blocks(pictures)
        return self.project(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
