"""The command line: python -m guidance color | again | train | evaluate | bench."""

import argparse
import dataclasses
import sys
from pathlib import Path

from guidance import recipes
from guidance.recipes import ColorRecipe, RecipeError


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
    helps = {
        "model": "which model", "loss": " | ".join(recipes.COLOR_LOSSES), "scale": "strength; 0: unguided",
        "method": " | ".join(recipes.METHODS), "rule": " | ".join(recipes.RULES),
        "weight": f"w(t): {' | '.join(recipes.WEIGHTS)}", "start": "share of the steps before guidance begins",
        "stop": "share of the steps after which it ends", "solver": " | ".join(recipes.SOLVERS), "steps": "how many",
        "seed": "of the first picture", "count": "how many pictures",
    }  # fmt: skip
    for field in dataclasses.fields(ColorRecipe):
        if field.name != "color":
            default = "by rule" if field.default is None else field.default
            color.add_argument(f"--{field.name}", default=argparse.SUPPRESS, metavar=field.name.upper(),
                               help=f"{helps[field.name]} ({default})")  # fmt: skip
    color.add_argument("--out", type=Path, required=True, help="the folder for 000.png, 001.png, ...")
    color.set_defaults(run=run_color)

    again = commands.add_parser("again", help="make a picture again from its own metadata")
    again.add_argument("picture", type=Path)
    again.add_argument("--out", type=Path, required=True)
    again.set_defaults(run=lambda options: save(recipes.read_png(options.picture), options.out))

    train = commands.add_parser("train", help="train a network that ships")
    train.add_argument("network", choices=("landscapes", "attributes"))
    train.add_argument("--out", type=Path, default=argparse.SUPPRESS,
                       help="runs/NETWORK unless given; a checkpoint found there is resumed")  # fmt: skip
    train.add_argument("--steps", type=int, default=argparse.SUPPRESS)
    train.add_argument("--minutes", type=float, default=argparse.SUPPRESS, help="end after so much time at the latest")
    train.add_argument("--batch", type=int, default=argparse.SUPPRESS, help="pictures a step")
    train.add_argument("--seed", type=int, default=argparse.SUPPRESS)
    train.add_argument("--pictures", type=int, default=argparse.SUPPRESS, help="how many pictures to paint")
    train.set_defaults(run=run_train)

    evaluate = commands.add_parser("evaluate", help="measure how good the pictures are")
    evaluate.add_argument("what", choices=("samples", "color"))
    evaluate.add_argument("--out", type=Path, default=Path("runs/evaluate"))
    evaluate.set_defaults(run=run_evaluate)

    bench = commands.add_parser("bench", help="measure speed, as ratios in one run")
    bench.set_defaults(run=run_bench)
    return top


def run_color(options: argparse.Namespace) -> None:
    """Make the pictures of a colour recipe."""
    names = {field.name for field in dataclasses.fields(ColorRecipe)}
    save(ColorRecipe(**{name: value for name, value in vars(options).items() if name in names}), options.out)


def save(recipe: ColorRecipe, out: Path) -> None:
    """Make a recipe's pictures with a progress bar, and print a line for each file."""
    from tqdm import tqdm

    from guidance import generate

    *_, last = tqdm(generate(recipe), total=recipe.steps, unit="step", leave=False)
    out.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(last.images()):
        print(recipes.save_png(image, out / f"{k:03d}.png", recipe.picture(k)))


def run_train(options: argparse.Namespace) -> None:
    """Train a network, resuming where an earlier run stopped."""
    from guidance.training import attributes, diffusion

    network = {"landscapes": diffusion, "attributes": attributes}[options.network]
    given = vars(options)
    settings = {name: given[name] for name in ("out", "steps", "minutes", "seed") if name in given}
    data = {name: given[name] for name in ("batch", "pictures") if name in given}
    network.run(dataclasses.replace(network.SETTINGS, **settings), **data)


def run_evaluate(options: argparse.Namespace) -> None:
    """Print the tables and save the plots of one evaluation."""
    from guidance.evaluation import color, samples

    {"samples": samples.evaluate, "color": color.evaluate}[options.what](options.out)


def run_bench(options: argparse.Namespace) -> None:
    """Print the speed table."""
    from guidance import bench

    bench.bench()


if __name__ == "__main__":
    sys.exit(main())
