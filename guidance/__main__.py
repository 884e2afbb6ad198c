"""The command line: python -m guidance paint | color | ... | again | page | train | finetune | evaluate | bench."""

import argparse
import dataclasses
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from inspect import signature
from pathlib import Path
from threading import Thread

from guidance import guides, recipe
from guidance.codec import pack
from guidance.fields import PICTURES, RecipeError, choices, look
from guidance.guides.base import Guide
from guidance.guides.digits import Digits
from guidance.options import BATCH, EVALUATE, EVALUATIONS, FINETUNE, SERVE, TRAIN, flags, stray, taken
from guidance.recipe import Recipe
from guidance.settings import LOOKS
from guidance.ui import app

EXTRAS = {"ray": "'diffusion-guidance[ray]'", "pyarrow": "pyarrow"}  # else what training needs
BENCHES = {"bench": "guidance.bench", "memory": "guidance.bench", "arithmetic": "guidance.scale.arithmetic"}
TRAININGS = ("landscapes", "engravings", "upscaler", "attributes", "verifier", "clip", "digits", "digit-classifier",
             "digit-judge", "notebook-digits")  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it went well, 2 with a sentence on stderr if what was asked for cannot be done."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except ModuleNotFoundError as error:  # what only training and measuring need is installed apart
        extra = EXTRAS.get(error.name, "'diffusion-guidance[train]'")
        print(f"guidance: This command needs {error.name}: pip install {extra}", file=sys.stderr)
        return 2
    except OSError as error:  # the system's own name neither what was done nor in words to what
        said = f"{error.strerror}: {error.filename or 'the disk'}" if error.strerror else error
        print(f"guidance: {said}", file=sys.stderr)
        return 2
    except (RecipeError, RuntimeError) as error:
        print(f"guidance: {error}", file=sys.stderr)
        return 2
    return 0


def interrupted(number: int, frame: object) -> None:
    """End at once, with one line: whatever is being written takes its place only when it is whole.

    Raised as an exception, Ctrl-C would have to come through libraries that take it for an error of theirs.
    """
    with suppress(Exception):
        sys.stdout.flush()
    os.write(2, b"\rguidance: Stopped.\n")
    os._exit(128 + number)


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
    train.add_argument("--look", choices=LOOKS, default=argparse.SUPPRESS,
                       help="upscaler: of which built-in model")  # fmt: skip
    train.add_argument("--further", action="store_true", default=argparse.SUPPRESS,
                       help="landscapes, upscaler, clip: begin with the weights that ship")  # fmt: skip
    train.add_argument("--blind", action="store_true", default=argparse.SUPPRESS,
                       help="digit-classifier: train on clean digits alone")  # fmt: skip
    train.set_defaults(run=run_train)

    finetune = commands.add_parser("finetune", help="train a model further on pictures of your own")
    finetune.add_argument("--data", required=True, help="a folder of pictures, or a data set on the Hub")
    finetune.add_argument("--out", type=Path, required=True,
                          help="for the pipeline, samples, loss curve and a checkpoint, which is resumed")  # fmt: skip
    finetune.add_argument("--tethered", action="store_true", help="end when the standard input is closed")
    finetune.add_argument("--precision", choices=("no", "bf16", "fp16"), default=argparse.SUPPRESS)
    flags(finetune, FINETUNE)
    finetune.set_defaults(run=run_finetune)

    evaluate = commands.add_parser("evaluate", help="measure how good the pictures are")
    evaluate.add_argument("what", choices=EVALUATIONS)
    evaluate.add_argument("--out", type=Path, default=Path("runs/evaluate"))
    flags(evaluate, EVALUATE)
    evaluate.set_defaults(run=run_evaluate)

    bench = commands.add_parser("bench", help="measure speed, as ratios in one run")
    bench.add_argument("--memory", dest="what", action="store_const", const="memory", default="bench",
                       help="measure memory instead")  # fmt: skip
    bench.add_argument("--scale", dest="what", action="store_const", const="arithmetic",
                       help="work out what many of these machines make")  # fmt: skip
    bench.set_defaults(run=lambda options: getattr(import_module(BENCHES[options.what]), options.what)())

    many = commands.add_parser("batch", help="the pictures of many recipes, on Ray where it is installed")
    many.add_argument("recipes", type=Path, nargs="?", help="JSON in each line, or a CSV; else a grid of the "
                      "fields below, such as --color teal,gold --seed 0..999")  # fmt: skip
    kinds = guides.every().values()
    options(many, {name: recipe.about(kind, name) for kind in kinds for name in recipe.form(kind)})
    flags(many, BATCH)
    many.set_defaults(run=run_batch)

    page = commands.add_parser("page", help="open the page, as python app.py does in a checkout")
    app.options(page).set_defaults(run=app.serve)

    wide = commands.add_parser("serve", help="the same page on Ray, with painters on many machines")
    app.options(wide).add_argument("--replicas", default="", metavar="N or N..M", help="so many painters, or as many "
                                   "as are needed; unless given one a GPU, or one for four processors")  # fmt: skip
    flags(wide, SERVE)
    wide.set_defaults(run=run_serve)

    deploy = commands.add_parser("deploy", help="put the page on a Space of the Hugging Face Hub")
    deploy.add_argument("--space", required=True, metavar="OWNER/NAME")
    deploy.add_argument("--docker", action="store_true", help="as a Docker Space instead of a Gradio one")
    deploy.add_argument("--push", action="store_true", help="send the files instead of listing them")
    deploy.set_defaults(
        run=lambda options: import_module("guidance.deploy").deploy(options.space, options.docker, options.push)
    )
    return top


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
        png = file.suffix.lower() == ".png"
        made = recipe.read_png(file) if png else recipe.from_json(file.read_text(errors="replace"))
        made = made.replace(guides=made.guides + asked, **given(options))
    else:
        made = Recipe(guides=asked, **given(options))
    save(made, options.out)


def save(made: Recipe, out: Path) -> None:
    """Make a recipe's pictures with a progress bar, and print a line for each file."""
    from tqdm import tqdm

    from guidance.engine import changed, generate

    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):  # before the work rather than after it
        raise OSError(f"Nothing can be written to {out}.")
    if sentence := changed(made):
        print(f"guidance: {sentence}", file=sys.stderr)
    bar = tqdm(unit="step", leave=False)
    for last in generate(made):
        bar.total = last.steps
        bar.update()
    bar.close()
    for note in set(last.notes) - {sentence}:
        print(f"guidance: {note}", file=sys.stderr)
    made = made.replace(weights=last.weights)
    for k, (image, seen) in enumerate(zip(last.images(), last.seen, strict=True)):
        readings = made.readings(k, seen)
        print(recipe.save_png(image, out / f"{k:03d}.png", made.picture(k), readings), flush=True)
        if readings:
            seen = ", ".join(f"{one.mark} {one.seen} {one.sure:.0%}" for one in readings)
            print(f"guidance: In {k:03d}.png an independent network sees {seen}", file=sys.stderr)


def run_train(options: argparse.Namespace) -> None:
    """Train a network, resuming where an earlier run stopped."""
    from guidance.training import clip, diffusion, digits, upscaler

    runs = (diffusion.run, diffusion.engraved, upscaler.run, diffusion.judge, diffusion.verifier, clip.run, digits.run,
            digits.classifier, digits.judge, digits.notebook)
    run, given = dict(zip(TRAININGS, runs, strict=True))[options.network], taken(options, TRAIN)
    takes = signature(run).parameters
    data = {name: given[name] for name in takes if name in given}
    common = {name: given[name] for name in ("out", "steps", "minutes", "seed") if name in given}
    alone = {"scale", "below"} & data.keys() if "weak" not in data else set()
    what = f"training of {options.network}" + " without --weak" * bool(alone)
    stray(given, {*data, *common, "network"} - alone, what)
    settings = takes["settings"].default
    variant = [settings.out.name, data.get("conditioning", ""), data.get("look", ""), "blind" * ("blind" in data)]
    common = {"out": settings.out.with_name("-".join(filter(None, variant)))} | common
    run(dataclasses.replace(settings, **common), **data)


def run_finetune(options: argparse.Namespace) -> None:
    """Train a model further, resuming where an earlier run stopped."""
    if options.__dict__.pop("tethered"):
        Thread(target=outlive, daemon=True).start()
    from guidance.training import finetune

    common = {field.name for field in dataclasses.fields(finetune.SETTINGS)}
    given = taken(options, FINETUNE)
    settings = dataclasses.replace(finetune.SETTINGS, **{n: value for n, value in given.items() if n in common})
    rest = {"most" if name == "pictures" else name: value for name, value in given.items() if name not in common}
    finetune.run(settings, **rest)


def outlive() -> None:
    """End this process when its standard input is closed: what started it has died, however it did."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def run_batch(options: argparse.Namespace) -> None:
    """Make the pictures of many recipes, going on where an earlier run stopped."""
    from guidance.scale import batch, rows

    given = taken(options, BATCH)
    out, file, ours = given.pop("out"), given.pop("recipes"), {name: given.pop(name) for name in BATCH if name in given}
    if (file is None) == (not given):
        raise RecipeError("A batch is of the recipes in a file, or of a grid such as --color teal,gold --seed 0..999.")
    batch.batch(rows.read(file) if file else rows.grid(given), out, **ours)


def run_serve(options: argparse.Namespace) -> None:
    """Serve the page on Ray until SIGINT or SIGTERM, which lets what goes on come to its end; a second one does not."""
    app.apply(options)
    if options.share:
        raise RecipeError("A link through Gradio's servers leads to one process: python app.py --share")
    _, start = app.ready()
    start.ready()
    import_module("guidance.scale.cluster").needed()
    import_module("guidance.scale.serve").run(options.replicas, taken(options, SERVE).get("cores", 0))


def run_evaluate(options: argparse.Namespace) -> None:
    """Print the tables and save the plots of one evaluation."""
    given, takes = taken(options, EVALUATE), EVALUATIONS[options.what]
    stray(given, {*takes, "what", "out"}, f"evaluation of {options.what}")
    data = {name: value for name, value in given.items() if name in takes}
    import_module(f"guidance.evaluation.{options.what}").evaluate(options.out, **data)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupted)
    sys.exit(main())
