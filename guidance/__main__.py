"""The command line: python -m guidance color | clip | digits | again | train | finetune | evaluate | bench | deploy."""

import argparse
import dataclasses
import sys
from pathlib import Path

from guidance import metadata, recipes
from guidance.checks import pack
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, RecipeError

HELP = {
    "model": "which model", "loss": " | ".join(recipes.COLOR_LOSSES), "scale": "strength of the guidance",
    "method": " | ".join(recipes.METHODS), "rule": " | ".join(recipes.RULES),
    "weight": f"w(t): {' | '.join(recipes.WEIGHTS)}", "start": "share of the steps before guidance begins",
    "stop": "share of the steps after which it ends", "solver": " | ".join(recipes.SOLVERS), "steps": "how many",
    "seed": "of the first picture", "count": "how many pictures, or rounds of the digits",
    "image": "a picture as a prompt", "clip": " | ".join(recipes.CLIPS), "preset": " | ".join(recipes.PRESETS),
    "cuts": "random cuts that CLIP judges", "travel": "how often the early steps are taken again",
    "candidates": "from how many each picture is chosen", "eta": "noise that a step of ddim adds, 0 to 1",
    "text": "to a model that is told one, such as Stable Diffusion", "negative": "what such a model is led away from",
    "text_scale": "how strongly the text leads; 1: the model alone",
    "guidance": " | ".join(recipes.GUIDANCES), "conditioning": " | ".join(recipes.CONDITIONINGS),
}  # fmt: skip
# What each training takes beside what they all have.
TRAININGS = {
    "landscapes": ("batch", "pictures", "fine"), "attributes": ("batch", "pictures"), "clip": ("batch", "pictures"),
    "digits": ("batch", "data", "conditioning"), "digit-classifier": ("batch", "data", "blind"),
    "digit-judge": ("batch", "data"), "notebook-digits": ("batch", "data"),
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

    color = commands.add_parser("color", help="pictures steered toward a colour")
    color.add_argument("color", help='"#2080ff", a CSS name, or "rgb(32, 128, 255)"')
    recipe_options(color, ColorRecipe)
    clip = commands.add_parser("clip", help="pictures steered toward a prompt")
    clip.add_argument("prompt", help='"a snowy mountain at night", or parts with weights: "snow:1 | clouds:-0.5"')
    recipe_options(clip, ClipRecipe)
    digits = commands.add_parser("digits", help="pictures of the digits asked for")
    digits.add_argument("digits", help="such as 2026 or 0123456789")
    recipe_options(digits, DigitRecipe)

    again = commands.add_parser("again", help="make a picture again from its own metadata")
    again.add_argument("picture", type=Path)
    again.add_argument("--out", type=Path, required=True)
    again.set_defaults(run=lambda options: save(metadata.read_png(options.picture), options.out))

    train = commands.add_parser("train", help="train a network that ships")
    train.add_argument("network", choices=TRAININGS)
    train.add_argument("--out", type=Path, default=argparse.SUPPRESS,
                       help="runs/NETWORK unless given; a checkpoint found there is resumed")  # fmt: skip
    train.add_argument("--steps", type=int, default=argparse.SUPPRESS)
    train.add_argument("--minutes", type=float, default=argparse.SUPPRESS, help="end after so much time at the latest")
    train.add_argument("--batch", type=int, default=argparse.SUPPRESS, help="pictures a step")
    train.add_argument("--seed", type=int, default=argparse.SUPPRESS)
    train.add_argument("--pictures", type=int, default=argparse.SUPPRESS, help="landscapes: how many pictures to paint")
    train.add_argument("--fine", type=float, default=argparse.SUPPRESS,
                       help="landscapes: how much more often stars, boats and auroras are shown")  # fmt: skip
    train.add_argument("--data", type=Path, default=argparse.SUPPRESS, help="digits: where MNIST is, or goes")
    train.add_argument("--conditioning", choices=recipes.CONDITIONINGS, default=argparse.SUPPRESS,
                       help="digits: how the network is told the class")  # fmt: skip
    train.add_argument("--blind", action="store_true", default=argparse.SUPPRESS,
                       help="digit-classifier: train on clean digits alone")  # fmt: skip
    train.set_defaults(run=run_train)

    finetune = commands.add_parser("finetune", help="train a model further on pictures of your own")
    finetune.add_argument("--model", default=argparse.SUPPRESS, help="landscapes, a model on the Hub, or a folder")
    finetune.add_argument("--data", required=True, help="a folder of pictures, or a data set on the Hub")
    finetune.add_argument("--out", type=Path, required=True,
                          help="for the pipeline, samples, loss curve and a checkpoint, which is resumed")  # fmt: skip
    finetune.add_argument("--push", metavar="ID", default=argparse.SUPPRESS,
                          help="put the result into this repository of the Hub")  # fmt: skip
    finetune.add_argument("--pictures", dest="most", type=int, default=argparse.SUPPRESS,
                          help="take so many pictures at most (10,000)")  # fmt: skip
    finetune.add_argument("--steps", type=int, default=argparse.SUPPRESS)
    finetune.add_argument("--minutes", type=float, default=argparse.SUPPRESS, help="end after so much time")
    finetune.add_argument("--batch", type=int, default=argparse.SUPPRESS, help="pictures at once")
    finetune.add_argument("--accumulate", type=int, default=argparse.SUPPRESS, help="batches a step")
    finetune.add_argument("--learning-rate", type=float, default=argparse.SUPPRESS)
    finetune.add_argument("--every", type=int, default=argparse.SUPPRESS, help="steps between samples")
    finetune.add_argument("--precision", choices=("no", "bf16", "fp16"), default=argparse.SUPPRESS)
    finetune.add_argument("--seed", type=int, default=argparse.SUPPRESS)
    finetune.set_defaults(run=run_finetune)

    evaluate = commands.add_parser("evaluate", help="measure how good the pictures are")
    evaluate.add_argument("what", choices=("samples", "color", "clip", "digits", "finetune"))
    evaluate.add_argument("--data", type=Path, default=argparse.SUPPRESS, help="digits: where MNIST is, or goes")
    evaluate.add_argument("--count", type=int, default=argparse.SUPPRESS, help="clip: prompts; digits: pictures")
    evaluate.add_argument("--steps", type=int, default=argparse.SUPPRESS, help="finetune: how many")
    evaluate.add_argument("--out", type=Path, default=Path("runs/evaluate"))
    evaluate.set_defaults(run=run_evaluate)

    bench = commands.add_parser("bench", help="measure speed, as ratios in one run")
    bench.add_argument("--memory", action="store_true", help="measure memory instead")
    bench.set_defaults(run=run_bench)

    deploy = commands.add_parser("deploy", help="put the page on a Space of the Hugging Face Hub")
    deploy.add_argument("--space", required=True, metavar="OWNER/NAME")
    deploy.add_argument("--docker", action="store_true", help="as a Docker Space instead of a Gradio one")
    deploy.add_argument("--push", action="store_true", help="send the files instead of listing them")
    deploy.set_defaults(run=run_deploy)
    return top


def recipe_options(parser: argparse.ArgumentParser, kind: type[Recipe]) -> None:
    """An option for each field of a recipe but the first, which stands alone, and the folder for the pictures."""
    for field in dataclasses.fields(kind)[1:]:
        default = "by what is chosen" if field.default is None else field.default
        parser.add_argument(f"--{field.name.replace('_', '-')}", default=argparse.SUPPRESS, metavar=field.name.upper(),
                            help=f"{HELP[field.name]} ({default})" if default != "" else HELP[field.name])  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the folder for 000.png, 001.png, ...")
    parser.set_defaults(run=lambda options: run_recipe(kind, options))


def run_recipe(kind: type[Recipe], options: argparse.Namespace) -> None:
    """Make the pictures of a recipe."""
    names = {field.name for field in dataclasses.fields(kind)}
    values = {name: value for name, value in vars(options).items() if name in names}
    if "image" in values:
        values["image"] = pack(values["image"])
    save(kind(**values), options.out)


def save(recipe: Recipe, out: Path) -> None:
    """Make a recipe's pictures with a progress bar, and print a line for each file."""
    from tqdm import tqdm

    from guidance import generate

    bar = tqdm(unit="step", leave=False)
    for last in generate(recipe):
        bar.total = last.steps
        bar.update()
    bar.close()
    for note in last.notes:
        print(f"guidance: {note}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(last.images()):
        print(metadata.save_png(image, out / f"{k:03d}.png", recipe.picture(k)))


def run_train(options: argparse.Namespace) -> None:
    """Train a network, resuming where an earlier run stopped."""
    from guidance.training import attributes, clip, diffusion, digits

    run, settings = {
        "landscapes": (diffusion.run, diffusion.SETTINGS), "attributes": (attributes.run, attributes.SETTINGS),
        "clip": (clip.run, clip.SETTINGS), "digits": (digits.run, digits.DENOISER),
        "digit-classifier": (digits.classifier, digits.CLASSIFIER),
        "digit-judge": (digits.judge, digits.JUDGE), "notebook-digits": (digits.notebook, digits.NOTEBOOK),
    }[options.network]  # fmt: skip
    given = vars(options)
    data = {name: given[name] for name in TRAININGS[options.network] if name in given}
    if stray := set().union(*TRAININGS.values()) & set(given) - set(data):
        raise RecipeError(f"The training of {options.network} takes no --{min(stray)}.")
    variant = [settings.out.name, data.get("conditioning", ""), "blind" if "blind" in data else ""]
    common = {"out": settings.out.with_name("-".join(filter(None, variant)))}
    common |= {name: given[name] for name in ("out", "steps", "minutes", "seed") if name in given}
    run(dataclasses.replace(settings, **common), **data)


def run_finetune(options: argparse.Namespace) -> None:
    """Train a model further, resuming where an earlier run stopped."""
    from guidance.training import finetune

    common = {field.name for field in dataclasses.fields(finetune.SETTINGS)}
    given = {name: value for name, value in vars(options).items() if name != "run"}
    settings = dataclasses.replace(finetune.SETTINGS, **{n: value for n, value in given.items() if n in common})
    finetune.run(settings, **{name: value for name, value in given.items() if name not in common})


def run_evaluate(options: argparse.Namespace) -> None:
    """Print the tables and save the plots of one evaluation."""
    from guidance.evaluation import clip, color, digits, finetune, samples

    takes = {"clip": ("count",), "digits": ("data", "count"), "finetune": ("steps",)}.get(options.what, ())
    data = {name: value for name, value in vars(options).items() if name in takes}
    kinds = {"samples": samples, "color": color, "clip": clip, "digits": digits, "finetune": finetune}
    what = kinds[options.what]
    what.evaluate(options.out, **data)


def run_bench(options: argparse.Namespace) -> None:
    """Print the tables of speed, or that of memory."""
    from guidance import bench

    (bench.memory if options.memory else bench.bench)()


def run_deploy(options: argparse.Namespace) -> None:
    """List what a Space of the page consists of, and push it if told to."""
    from guidance import deploy

    deploy.deploy(options.space, options.docker, options.push)


if __name__ == "__main__":
    sys.exit(main())
