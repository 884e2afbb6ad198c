"""What stands on the page before anything is painted, and how guidance works in three lines and a formula."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from guidance.ui.html.pictures import CRISP
from guidance.ui.html.words import Say

SHOTS = Path(__file__).parent / "shots"

EPS = "<var>&epsilon;</var>"  # the network's guess of the noise
X0 = "<var>x&#770;</var><sub>0</sub>"  # the estimate of the picture


class Welcome(NamedTuple):
    """What a tab says before anything is painted."""

    invitation: str
    steps: tuple[str, ...]  # how it works (HTML)


def how_it_works(welcome: Welcome) -> Callable[[Say], str]:
    """How it works, step by step (HTML)."""

    def section(say: Say) -> str:
        items = "".join(f"<li>{say(step)}</li>" for step in welcome.steps)
        return f'<section class="g-how"><h2>{say("How it works")}</h2><ol>{items}</ol></section>'

    return section


COLOR = Welcome(
    "Pick a colour, press Paint.",
    (
        f"The model starts from noise and removes a little at every step. From its guess of the noise, {EPS}, follows "
        f"an estimate of the finished picture, {X0}.",
        "A loss says how far that estimate is from what you asked for, and its gradient <var>g</var> which way leads "
        "closer.",
        "The guess is bent that way, by your strength <var>s</var>, and the step is taken. The model itself never "
        "changes.",
    ),
)
PLAIN = Welcome("Set it, press Paint.", COLOR.steps)
BLEND = Welcome(
    "Add guides, or take an example, and press Paint.",
    (
        f"Each guide has a loss of its own on the same estimate {X0}. Every gradient is brought to one size before its "
        "strength, so a slider means the same whatever stands beside it.",
        "The bends are added up, with one cap on the sum; where two disagree, the earlier card gives way. In a region "
        "a guide bends that part alone; its edge is soft.",
        "Switch a card off, or compare with one left out at a time: the noise stays, so what changes is what that "
        "guide did.",
    ),
)
CLIP = Welcome(
    "Say what you want to see, press Paint.",
    (
        f"At every step, the estimate {X0} is cut at random places, and CLIP, a network that puts pictures and "
        "sentences into one space, judges every cut.",
        "The loss is the squared angle between where the cut lies and where your sentence lies, by weight for several "
        "sentences; a negative weight pushes away.",
        "Its gradient <var>g</var> bends the step by your strength <var>s</var>. The model that paints was never told "
        "a word; the built-in CLIP knows about 180, and says so when it does not know one of yours.",
    ),
)
DIGITS = Welcome(
    "Type digits, press Paint.",
    (
        "The network learned handwritten digits (MNIST) together with their class <var>y</var>, and now and then "
        "without it, so it can guess the noise both ways.",
        "<b>Classifier-free guidance</b> takes both guesses in one pass and goes beyond the one that knows the digit: "
        "strength <var>w</var> = 1 is the network alone, more is surer and less varied.",
        "<b>Classifier guidance</b> asks a second network instead, which reads noisy digits, and follows the gradient "
        "of what it reads. One that never saw noise leads astray: it is sure of what nobody else can read.",
    ),
)


def term(symbol: str, name: str, target: str, say: Say) -> str:
    """A term of a formula that leads to the control it stands for."""
    return (
        f'<button type="button" class="g-term" data-focus="{target}"><span>{symbol}</span><small>{say(name)}</small>'
        "</button>"
    )


def loss_formula(name: str, loss: tuple[str, str, str]) -> Callable[[Say], str]:
    """The formula of loss guidance with its terms naming a tab's controls; `loss` is (symbol, name, control)."""

    def formula(say: Say) -> str:
        strength = term("<var>s</var>", "Strength", f"{name}-scale", say)
        weight = term("<var>w</var>(<var>t</var>)", "Weight", f"{name}-weight", say)
        gradient = term("<var>g</var>", "Gradient", f"{name}-method", say)
        return (
            f'<div class="g-formula" role="group" aria-label="{say("The formula of the step")}">'
            f"<p><var>&epsilon;&prime;</var> = {EPS} + {strength} {weight} &middot; rms({EPS}) &middot; {gradient} / "
            f"rms(<var>g</var>)</p><p><var>g</var> = &nabla; {term(loss[0], loss[1], loss[2], say)}({X0})</p></div>"
        )

    return formula


def class_formulas(say: Say) -> str:
    """The formulas of classifier-free and classifier guidance, the strength naming its slider."""
    strength = [term(f"<var>{symbol}</var>", "Strength", "digits-scale", say) for symbol in "ws"]
    kinds = [
        term("<var>&epsilon;&prime;</var>", name, "digits-guidance", say) for name in ("Classifier-free", "Classifier")
    ]
    return (
        f'<div class="g-formula" role="group" aria-label="{say("The formula of the step")}">'
        f"<p>{kinds[0]} = {EPS}(&empty;) + {strength[0]} ({EPS}(<var>y</var>) &minus; {EPS}(&empty;))</p>"
        f"<p>{kinds[1]} = {EPS}(&empty;) &minus; {strength[1]} <var>&sigma;<sub>t</sub></var> &nabla; log <var>p</var>"
        "(<var>y</var> | <var>x<sub>t</sub></var>)</p></div>"
    )


def drawing(tab: str, text: str, labels: tuple[str, str] = ("Unguided", "Guided")) -> Callable[[Say], str]:
    """What the models that ship make, left alone and steered (HTML), if there is any of a tab, and a text."""

    def drawn(say: Say) -> str:
        tiles = ""
        for path, label in zip(sorted(SHOTS.glob(f"{tab}-*.webp")), labels * 2, strict=False):
            with Image.open(path) as image:
                crisp, url = " g-crisp" * (image.height <= CRISP), b64encode(path.read_bytes()).decode()
            tiles += (
                f'<div class="g-shot"><div class="g-label">{say(label)}</div><img class="g-picture{crisp}" '
                f'src="data:image/webp;base64,{url}" alt="{say(label)}"></div>'
            )
        shown = f'<div class="g-tiles">{tiles}</div>' if tiles else ""
        return f'<div class="g-welcome">{shown}<p>{say(text)}</p></div>'

    return drawn


LANDSCAPES = (
    "Every picture starts as noise. The model turns it into a landscape of its own choosing; guidance bends each step "
    "toward what you ask for. You will see both, side by side."
)
MIXTURES = (
    "Any number of guides at once: a prompt here, a colour there, a sketch beneath. Each keeps its own strength and "
    "its own part of the picture, and all of them come back from a saved PNG."
)
NUMERALS = (
    "The network draws any digit it likes, unless it is told which, and guidance makes it listen. A second network "
    "that took no part reads the result, so you need not trust your eyes."
)
