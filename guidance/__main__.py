"""The command line: python -m guidance paint | color | clip | ... | again | train | finetune | evaluate | bench."""

import argparse
import dataclasses
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

from guidance import guides, recipe
from guidance.codec import pack
from guidance.fields import PICTURES, RecipeError, choices, look
from guidance.guides.base import Guide
from guidance.guides.digits import Digits
from guidance.recipe import Recipe

TRAININGS = ("landscapes", "attributes", "clip", "digits", "digit-classifier", "digit-judge", "notebook-digits")
TRAIN = {
    "out": (Path, "runs/NETWORK unless given; a checkpoint found there is resumed"), "steps": (int, "how many"),
    "minutes": (float, "end after so much time at the latest"), "batch": (int, "pictures a step"),
    "seed": (int, "of all that is drawn"), "pictures": (int, "landscapes: how many pictures to paint"),
    "fine": (float, "landscapes: how much more often stars, boats and auroras are shown"),
    "data": (Path, "digits: where MNIST is, or goes"),
}  # fmt: skip
FINETUNE = {
    "model": (str, "landscapes, a model on the Hub, or a folder"), "batch": (int, "pictures at once"),
    "push": (str, "put the result into this repository of the Hub"), "accumulate": (int, "batches a step"),
    "pictures": (int, "take so many pictures at most (10,000)"), "steps": (int, "how many"),
    "minutes": (float, "end after so much time"), "learning-rate": (float, "of AdamW"),
    "every": (int, "steps between samples"), "seed": (int, "of all that is drawn"),
}  # fmt: skip
EVALUATIONS = {
    "samples": {}, "color": {}, "clip": {"count": (int, "clip: prompts; digits: pictures")},
    "digits": {"data": TRAIN["data"], "count": (int, "clip: prompts; digits: pictures")},
    "finetune": {"steps": (int, "finetune: how many")},
    "blend": {"count": (int, "clip: prompts; digits: pictures"), "seeds": (int, "blend: pictures of each")},
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it went well, 2 with a sentence on stderr if what was asked for cannot be done."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except ModuleNotFoundError as error:  # what only training and measuring need is installed apart
        print(f"guidance: This command needs {error.name}: pip install -e '.[train]'", file=sys.stderr)
        return 2
    except (RecipeError, RuntimeError, OSError) as error:
        print(f"guidance: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """Every command with its options; values are checked by the recipes, so that all ways in say the same."""
    top = argparse.ArgumentParser(prog="guidance", description="Steer a diffusion model while it samples.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    for kind in guides.every().values():
        one = commands.add_parser(guides.endpoint(kind), help=kind.about)
        first, *others = recipe.form(kind)
        one.add_argument(first, help=recipe.about(kind, first).description)
        options(one, {name: recipe.about(kind, name) for name in others})
        one.set_defaults(kind=kind, run=lambda options: save(
            recipe.from_flat(options.kind, given(options, options.kind)), options.out))  # fmt: skip

    paint = commands.add_parser("paint", help="pictures steered by any number of guides, or by a recipe in a file")
    paint.add_argument("recipe", type=Path, nargs="?", help="a JSON file, or a PNG with its recipe inside")
    paint.add_argument("--guide", action="append", default=[], metavar="NAME:VALUE",
                       help='such as "brightness:0.8" or "prompt:a lake at dusk, scale=0.1"')  # fmt: skip
    options(paint, {name: info for name, info in Recipe.model_fields.items() if name not in ("guides", "weights")})
    paint.set_defaults(run=run_paint)

    again = commands.add_parser("again", help="make a picture again from its own metadata")
    again.add_argument("picture", type=Path)
    again.add_argument("--out", type=Path, required=True)
    again.set_defaults(run=lambda options: save(recipe.read_png(options.picture), options.out))

    train = commands.add_parser("train", help="train a network that ships")
    train.add_argument("network", choices=TRAININGS)
    flags(train, TRAIN)
    ways = choices(Digits.model_fields["conditioning"])
    train.add_argument("--conditioning", choices=ways, default=argparse.SUPPRESS,
                       help="digits: how the network is told the class")  # fmt: skip
    train.add_argument("--blind", action="store_true", default=argparse.SUPPRESS,
                       help="digit-classifier: train on clean digits alone")  # fmt: skip
    train.set_defaults(run=run_train)

    finetune = commands.add_parser("finetune", help="train a model further on pictures of your own")
    finetune.add_argument("--data", required=True, help="a folder of pictures, or a data set on the Hub")
    finetune.add_argument("--out", type=Path, required=True,
                          help="for the pipeline, samples, loss curve and a checkpoint, which is resumed")  # fmt: skip
    finetune.add_argument("--precision", choices=("no", "bf16", "fp16"), default=argparse.SUPPRESS)
    flags(finetune, FINETUNE)
    finetune.set_defaults(run=run_finetune)

    evaluate = commands.add_parser("evaluate", help="measure how good the pictures are")
    evaluate.add_argument("what", choices=EVALUATIONS)
    evaluate.add_argument("--out", type=Path, default=Path("runs/evaluate"))
    flags(evaluate, {name: about for row in EVALUATIONS.values() for name, about in row.items()})
    evaluate.set_defaults(run=run_evaluate)

    bench = commands.add_parser("bench", help="measure speed, as ratios in one run")
    bench.add_argument("--memory", dest="what", action="store_const", const="memory", default="bench",
                       help="measure memory instead")  # fmt: skip
    bench.set_defaults(run=lambda options: getattr(import_module("guidance.bench"), options.what)())

    deploy = commands.add_parser("deploy", help="put the page on a Space of the Hugging Face Hub")
    deploy.add_argument("--space", required=True, metavar="OWNER/NAME")
    deploy.add_argument("--docker", action="store_true", help="as a Docker Space instead of a Gradio one")
    deploy.add_argument("--push", action="store_true", help="send the files instead of listing them")
    deploy.set_defaults(
        run=lambda options: import_module("guidance.deploy").deploy(options.space, options.docker, options.push)
    )
    return top


def flags(parser: argparse.ArgumentParser, rows: dict[str, tuple[type, str]]) -> None:
    """An option for each row, that is there only where it is given."""
    for name, (kind, about) in rows.items():
        parser.add_argument(f"--{name}", type=kind, default=argparse.SUPPRESS, help=about)


def options(parser: argparse.ArgumentParser, fields: dict) -> None:
    """An option for each field, and the folder for the pictures."""
    for name, info in fields.items():
        among = f" ({' | '.join(choices(info))})" if choices(info) else ""
        default = "" if info.default in ("", None) else f" [{info.default}]"
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, metavar=name.upper(),
                            help=f"{info.title}: {info.description}{among}{default}".replace("%", "%%"))  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the folder for 000.png, 001.png, ...")


def given(options: argparse.Namespace, kind: type[Guide] | None = None) -> dict[str, object]:
    """The fields that were given; pictures are read from their files."""
    names = recipe.form(kind) if kind else [name for name in Recipe.model_fields if name != "guides"]
    values = {name: value for name, value in vars(options).items() if name in names}
    pictures = [name for name in values if kind and look(recipe.about(kind, name)).get("control") in PICTURES]
    return values | {name: pack(values[name]) for name in pictures}


def run_paint(options: argparse.Namespace) -> None:
    """Make the pictures of a recipe in a file, with what else is given changed, or of some guides."""
    file, asked = options.recipe, tuple(map(guides.parse, options.guide))
    if file:
        made = recipe.read_png(file) if file.suffix.lower() == ".png" else recipe.from_json(file.read_text())
        made = made.replace(guides=made.guides + asked, **given(options))
    else:
        made = Recipe(guides=asked, **given(options))
    save(made, options.out)


def save(made: Recipe, out: Path) -> None:
    """Make a recipe's pictures with a progress bar, and print a line for each file."""
    from tqdm import tqdm

    from guidance.engine import changed, generate

    if sentence := changed(made):
        print(f"guidance: {sentence}", file=sys.stderr)
    bar = tqdm(unit="step", leave=False)
    for last in generate(made):
        bar.total = last.steps
        bar.update()
    bar.close()
    for note in set(last.notes) - {sentence}:
        print(f"guidance: {note}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    made = made.replace(weights=last.weights)
    for k, image in enumerate(last.images()):
        print(recipe.save_png(image, out / f"{k:03d}.png", made.picture(k)))


def run_train(options: argparse.Namespace) -> None:
    """Train a network, resuming where an earlier run stopped."""
    from guidance.training import clip, diffusion, digits

    runs = (diffusion.run, diffusion.judge, clip.run, digits.run, digits.classifier, digits.judge, digits.notebook)
    run, given = dict(zip(TRAININGS, runs, strict=True))[options.network], vars(options)
    takes = signature(run).parameters
    data = {name: given[name] for name in takes if name in given}
    common = {name: given[name] for name in ("out", "steps", "minutes", "seed") if name in given}
    if stray := given.keys() - data.keys() - common.keys() - {"network", "run"}:
        raise RecipeError(f"The training of {options.network} takes no --{min(stray)}.")
    settings = takes["settings"].default
    variant = [settings.out.name, data.get("conditioning", ""), "blind" if "blind" in data else ""]
    common = {"out": settings.out.with_name("-".join(filter(None, variant)))} | common
    run(dataclasses.replace(settings, **common), **data)


def run_finetune(options: argparse.Namespace) -> None:
    """Train a model further, resuming where an earlier run stopped."""
    from guidance.training import finetune

    common = {field.name for field in dataclasses.fields(finetune.SETTINGS)}
    given = {name: value for name, value in vars(options).items() if name != "run"}
    settings = dataclasses.replace(finetune.SETTINGS, **{n: value for n, value in given.items() if n in common})
    rest = {"most" if name == "pictures" else name: value for name, value in given.items() if name not in common}
    finetune.run(settings, **rest)


def run_evaluate(options: argparse.Namespace) -> None:
    """Print the tables and save the plots of one evaluation."""
    data = {name: value for name, value in vars(options).items() if name in EVALUATIONS[options.what]}
    import_module(f"guidance.evaluation.{options.what}").evaluate(options.out, **data)


if __name__ == "__main__":
    sys.exit(main())
