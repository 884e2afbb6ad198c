"""Train the built-in CLIP: an open_clip model on the painted landscapes, as samplers see them, and their captions."""

import copy
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize

from guidance.atomic import written
from guidance.models.attributes import ATTRIBUTES, SYNONYMS, WORDS
from guidance.models.clips import build
from guidance.models.words import WordTokenizer, split
from guidance.settings import ASSETS
from guidance.training import captions, guided
from guidance.training.diffusion import JUDGE, painted, shown, taught
from guidance.training.trainer import DEVICE, Settings, keep, save_half, train
from guidance.training.views import bent, seen

SETTINGS = Settings(Path("runs/clip"), steps=40_000, learning_rate=1e-3, ema_decay=0.999, warmup=300)
SHARES = 0.35, 0.35, 0.3  # of pictures as they are painted, as the landscape model makes them, and as guidance does
TEACHER = 450  # batches that teach the network which says what is to be seen in the last
TESTED = 1024  # unseen pictures
AIMED = 1000  # batches in which the texts learn where to aim


def vocabulary() -> list[str]:
    """Every word of the grammar, in alphabetical order."""
    phrases = [*captions.LEADS, *captions.TONE_PHRASES, "snowy snow-covered a scene at in with and over under"]
    phrases += [phrase for table in (SYNONYMS, WORDS) for group in table.values() for phrase in group]
    return sorted({word for phrase in phrases for word in split(phrase.replace("{}", ""))})


def config(tokenizer: WordTokenizer) -> dict:
    """The model as open_clip describes models: a narrow ModifiedResNet at 64 px, a text transformer of two layers."""
    return {
        "embed_dim": 256, "vision_cfg": {"layers": [1, 2, 2, 1], "width": 24, "image_size": 64, "head_width": 32},
        "text_cfg": {"context_length": tokenizer.context, "vocab_size": tokenizer.vocab_size, "width": 128, "heads": 4,
                     "layers": 2},
        "init_logit_scale": 2.303, "init_logit_bias": -6.0,
    }  # fmt: skip


def said(truth: Tensor, words: random.Random) -> tuple[Tensor, list[str]]:
    """What pictures are told of, and how: attributes (T, len(ATTRIBUTES)) bool, and as many texts.

    `truth` (B, len(ATTRIBUTES)) bool is what they show. First comes a caption that is true of each, then one of each in
    which one thing is wrong, then every attribute alone.
    """
    named = []
    for row in truth:
        names = captions.named(row, words)
        named.append(words.sample(names, min(len(names), words.randint(1, 4))) if words.random() < 0.5 else names)
    broken = [captions.broken(names, row, words) for names, row in zip(named, truth, strict=True)]
    told, texts = torch.zeros(2 * len(truth) + len(ATTRIBUTES), len(ATTRIBUTES), dtype=torch.bool), []
    for k, names in enumerate([*named, *broken, *([name] for name in ATTRIBUTES)]):
        say = captions.fragment if words.random() < 0.5 else captions.sentence
        texts.append(say(names, words))
        told[k, [ATTRIBUTES.index(name) for name in names]] = True
    return told, texts


@torch.no_grad()
def embedded(network: nn.Module, pictures: Tensor) -> Tensor:
    """The unit vectors (N, D) of pictures (N, 3, 64, 64) uint8, on the network's device."""
    device = next(network.parameters()).device
    parts = [network.eval().encode_image(part.to(device) / 127.5 - 1).float() for part in pictures.split(128)]
    return normalize(torch.cat(parts), dim=-1)


def aimed(network: nn.Module, tokenizer: WordTokenizer, pool: Tensor, truth: Tensor, settings: Settings) -> None:
    """Teach the texts, in place, to point half way to the mean of the pictures that they are true of.

    To tell pictures apart, a text lies far from those it is not true of, and so beyond those it is: guidance that goes
    there paints all that hints at it, a night with moon, stars and aurora. The mean is what can be foretold of a
    picture's embedding, as the prior of Ramesh et al. 2022 (arXiv:2204.06125) does it. `pool` (N, 3, 64, 64) uint8 and
    `truth` (N, len(ATTRIBUTES)) bool are the pictures and what they show.
    """
    image, teacher, shown = embedded(network, pool), copy.deepcopy(network), truth.float()

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        draw = torch.randint(2**31, (), generator=generator, device=generator.device)
        chosen = torch.randint(len(pool), (64,), generator=generator, device=generator.device)
        told, texts = said(truth[chosen].cpu(), random.Random(int(draw)))
        tokens, told = tokenizer(texts).to(image.device), told.to(image.device).float()
        fits = (shown @ told.T == told.sum(1)).float()
        with torch.no_grad():  # where a text is true of no picture, it stays
            goal = normalize(teacher.encode_text(tokens).float(), dim=-1) + normalize(fits.T @ image, dim=-1)
        return 1 - (normalize(network.encode_text(tokens).float(), dim=-1) * normalize(goal, dim=-1)).sum(1).mean()

    out = settings.out / "aim"
    shutil.rmtree(out, ignore_errors=True)  # what was learned from an earlier network
    train(network, loss, replace(settings, out=out, steps=AIMED, every=AIMED, warmup=50))


def kept(path: Path, make: Callable[[], Tensor]) -> Tensor:
    """What is made, or was before, for when a run is resumed."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        keep(make().cpu(), path)
    return torch.load(path, map_location=DEVICE, weights_only=True)


def run(
    settings: Settings = SETTINGS, *, pictures: int = 32_768, batch: int = 64, further: bool = False,
    prompts: int = 1_536,
) -> None:  # fmt: skip
    """Train with a pairwise sigmoid loss (Zhai et al. 2023, arXiv:2303.15343) and keep the model in `settings.out`.

    A caption matches every picture it is true of, so partial captions are no false negatives. With `further` it begins
    with the weights that ship, at half the learning rate, and sees what they guide to: a picture of each of so many
    `prompts`, and what another network, which never guides, finds in it.
    """
    torch.manual_seed(settings.seed)
    tokenizer = WordTokenizer(vocabulary())
    network = build(config(tokenizer)).to(memory_format=torch.channels_last)
    pool, truth = painted("diffusion", pictures, DEVICE)
    several = [pool, kept(settings.out / f"repainted-{pictures}.pt", lambda: guided.repainted(pool.cpu()))]
    truths = [truth, truth.clone()]
    if further:
        network.load_state_dict(load_file(ASSETS / "clip" / "open_clip_model.safetensors"))
        settings = settings.gentler()
        several.append(kept(settings.out / f"guided-{prompts}.pt", lambda: guided.drawn(prompts, settings.seed)))
        another = replace(JUDGE, out=settings.out / "teacher", steps=TEACHER, seed=settings.seed + 1)
        teacher = taught(pool, truth, another)
        samples = guided.sampled(pictures)
        truths[1][samples] = shown(teacher, several[1][samples])  # what is left there of a painting's
        truths.append(shown(teacher, several[2]))
    parts = zip(several, SHARES, strict=False)
    weights = torch.cat([torch.full([len(part)], share / len(part), device=DEVICE) for part, share in parts])
    every, shows = torch.cat(several), torch.cat(truths)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        here = {"generator": generator, "device": generator.device}
        chosen = weights.multinomial(batch, replacement=True, generator=generator)
        x, true = every[chosen].float() / 127.5 - 1, shows[chosen]
        told, texts = said(true.cpu(), random.Random(int(torch.randint(2**31, (), **here))))
        text = normalize(network.encode_text(tokenizer(texts).to(x.device)).float(), dim=-1)
        goals = text.detach()[torch.randint(len(text), (batch,), **here)]
        x = bent(seen(x, generator), network.encode_image, goals, generator)
        image = normalize(network.encode_image(x).float(), dim=-1)
        logits = image @ text.T * network.logit_scale.exp() + network.logit_bias
        # A caption is true of a picture when the picture shows all that the caption names.
        fits = ~(told.to(x.device)[None] & ~true[:, None]).any(2)
        pairs = -logsigmoid(logits * (2.0 * fits - 1))
        broken = pairs[:, batch : 2 * batch].diagonal()
        return (pairs * fits).sum() / fits.sum() + (pairs * ~fits).sum() / (~fits).sum() + broken.mean()

    def show(network: nn.Module, path: Path) -> None:
        about = {"model_cfg": config(tokenizer), "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 64}}
        with written(settings.out / "open_clip_config.json") as part:
            part.write_text(json.dumps(about, indent=1))
        with written(settings.out / "vocabulary.json") as part:
            tokenizer.write(part)
        save_half(network, settings.out / "open_clip_model.safetensors")

    train(network, loss, settings, show=show)
    aimed(network, tokenizer, pool, truth, settings)
    show(network, settings.out)
    check(network, tokenizer, settings.seed)


@torch.no_grad()
def check(network: nn.Module, tokenizer: WordTokenizer, seed: int) -> None:
    """Print, over unseen pictures, how often a true phrase outranks a false one of the same kind."""
    test, truth = painted("evaluation", TESTED)
    image, words = embedded(network, test), random.Random(seed)
    for name, column in zip(ATTRIBUTES, truth.T, strict=True):
        texts = [words.choice(SYNONYMS[name]) for _ in range(4)]
        text = normalize(network.encode_text(tokenizer(texts).to(image.device)), dim=-1)
        score = (image @ text.T).mean(1).cpu()
        yes, no = score[column], score[~column]
        print(f"{name:10s} a picture with it scores higher than one without: {(yes[:, None] > no).float().mean():.3f}")
