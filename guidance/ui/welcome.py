"""What stands on the page before anything is painted, and how guidance works in three lines."""

INVITATION = "Pick a colour, press Paint."

HOW_IT_WORKS = """
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
"""

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
