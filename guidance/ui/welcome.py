"""What stands on the page before anything is painted, and how guidance works in three lines."""

from typing import NamedTuple


class Welcome(NamedTuple):
    """What a tab says before anything is painted."""

    invitation: str
    how_it_works: str  # HTML


COLOR = Welcome(
    "Pick a colour, press Paint.",
    """
<section class="g-how"><h2>How it works</h2>
<ol>
<li>The model starts from noise and removes a little at every step. From its guess of the noise,
  <var>&epsilon;</var>, follows an estimate of the finished picture, <var>x&#770;</var><sub>0</sub>.</li>
<li>A loss says how far that estimate is from what you asked for, and its gradient <var>g</var> which way leads
  closer.</li>
<li>The guess is bent that way, by your strength <var>s</var>, and the step is taken.
  The model itself never changes.</li>
</ol>
<p class="g-formula" role="math" aria-label="epsilon prime is epsilon plus s times w of t, times r m s of epsilon, times
g over r m s of g, where g is the gradient of the loss of x zero">
<span><var>&epsilon;&prime;</var> = <var>&epsilon;</var> + <var>s</var>&thinsp;<var>w</var>(<var>t</var>) &middot;
rms(<var>&epsilon;</var>) &middot; <var>g</var>&thinsp;/&thinsp;rms(<var>g</var>)</span>
<span><var>g</var> = &nabla; loss(<var>x&#770;</var><sub>0</sub>)</span></p>
</section>
""",
)

CLIP = Welcome(
    "Say what you want to see, press Paint.",
    """
<section class="g-how"><h2>How it works</h2>
<ol>
<li>At every step, the estimate <var>x&#770;</var><sub>0</sub> is cut at random places, and CLIP, a network that puts
  pictures and sentences into one space, judges every cut.</li>
<li>The loss is the squared angle between where the cut lies and where your sentence lies, by weight for several
  sentences; a negative weight pushes away.</li>
<li>Its gradient <var>g</var> bends the step by your strength <var>s</var>. The model that paints was never told a word;
  the built-in CLIP knows about 180, and says so when it does not know one of yours.</li>
</ol>
<p class="g-formula" role="math" aria-label="loss is the mean over cuts of two arc sine squared of half the distance
between the embeddings of the cut and of the prompt; epsilon prime is epsilon plus s times w of t, times r m s of
epsilon, times g over r m s of g">
<span>loss = mean<sub>cuts</sub> 2 arcsin<sup>2</sup>(&Vert;<var>f</var>(cut) &minus; <var>f</var>(prompt)&Vert; / 2)
</span>
<span><var>&epsilon;&prime;</var> = <var>&epsilon;</var> + <var>s</var>&thinsp;<var>w</var>(<var>t</var>) &middot;
rms(<var>&epsilon;</var>) &middot; <var>g</var>&thinsp;/&thinsp;rms(<var>g</var>)</span></p>
</section>
""",
)
DIGITS = Welcome(
    "Type digits, press Paint.",
    """
<section class="g-how"><h2>How it works</h2>
<ol>
<li>The network learned handwritten digits (MNIST) together with their class <var>y</var>, and now and then without it,
  so it can guess the noise both ways.</li>
<li><b>Classifier-free guidance</b> takes both guesses in one pass and goes beyond the one that knows the digit:
  strength <var>w</var> = 1 is the network alone, more is surer and less varied.</li>
<li><b>Classifier guidance</b> asks a second network instead, which reads noisy digits, and follows the gradient of what
  it reads. One that never saw noise leads astray: it is sure of what nobody else can read.</li>
</ol>
<p class="g-formula" role="math" aria-label="epsilon prime is epsilon of nothing plus w times the difference of epsilon
of y and epsilon of nothing; or epsilon prime is epsilon minus s sigma t times the gradient of log p of y given x t">
<span><var>&epsilon;&prime;</var> = <var>&epsilon;</var>(&empty;) + <var>w</var>
(<var>&epsilon;</var>(<var>y</var>) &minus; <var>&epsilon;</var>(&empty;))</span>
<span><var>&epsilon;&prime;</var> = <var>&epsilon;</var>(&empty;) &minus; <var>s</var>
<var>&sigma;<sub>t</sub></var> &nabla; log <var>p</var>(<var>y</var> | <var>x<sub>t</sub></var>)</span></p>
</section>
""",
)

NOISE = (
    '<filter id="g-noise"><feTurbulence type="fractalNoise" baseFrequency="0.9" numOctaves="2" seed="3"/>'
    '<feColorMatrix type="saturate" values="1.6"/></filter><rect width="64" height="64" filter="url(#g-noise)"/>'
)
SCENE = (
    '<g class="{name}"><rect class="sky" width="64" height="64"/><circle class="sun" cx="45" cy="20" r="7"/>'
    '<path class="far" d="M0 42 L14 27 L25 38 L39 22 L64 44 V64 H0Z"/>'
    '<path class="near" d="M0 50 C14 43 26 52 40 47 S58 45 64 48 V64 H0Z"/></g>'
)


def tile(label: str, drawing: str) -> str:
    """One drawn picture with its label."""
    return (
        f'<div class="g-shot"><div class="g-label">{label}</div><svg class="g-picture" viewBox="0 0 64 64" '
        f'aria-hidden="true">{drawing}</svg></div>'
    )


def placeholder(color: str) -> str:
    """Noise, what the model makes of it alone, and what it makes of it when steered toward `color` ("#rrggbb")."""
    tiles = (
        tile("Noise", NOISE)
        + tile("Unguided", SCENE.format(name="g-plain"))
        + tile("Guided", SCENE.format(name="g-steered"))
    )
    return (
        f'<div class="g-welcome" style="--target:{color}"><div class="g-tiles">{tiles}</div>'
        "<p>Every picture starts as noise. The model turns it into a landscape of its own choosing; guidance bends "
        "each step toward your colour. You will see both, side by side.</p></div>"
    )


STROKES = {  # a hand's way through some digits, in a square of 28
    "7": "M8 8 H20 L13 22",
    "2": "M9 10 C10 5 19 5 18.5 11 C18 15 10 18 9 21.5 H20",
}


def digit_tile(label: str, stroke: str, width: float) -> str:
    """A drawn digit with its label."""
    drawing = (
        f'<rect width="28" height="28" fill="#0b0c0d"/><path d="{stroke}" fill="none" stroke="#f4f4f1" '
        f'stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round"/>'
    )
    return tile(label, f'<g transform="scale({64 / 28:.4f})">{drawing}</g>')


DIGIT_TILES = (
    '<div class="g-welcome"><div class="g-tiles">'
    + tile("Noise", NOISE)
    + digit_tile("Not told", STROKES["7"], 2.2)
    + digit_tile("Told: 2", STROKES["2"], 2.6)
    + "</div><p>The network draws any digit it likes, unless it is told which, and guidance makes it listen. A second "
    "network that took no part reads the result, so you need not trust your eyes.</p></div>"
)
