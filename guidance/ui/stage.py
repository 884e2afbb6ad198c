"""Where a tab's pictures appear, and the buttons that make them: the same in every tab."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components import Component

from guidance.recipes import Recipe
from guidance.ui import pictures, run
from guidance.ui.run import Progress
from guidance.ui.welcome import Welcome

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}  # for every event but the API's own
QUICK = {"queue": False} | PRIVATE  # for events that compute nothing
PRESS = "() => document.getElementById('%s-paint').click()"
# On a narrow screen the pictures lie below the controls.
SHOW = """() => {
  const line = document.getElementById('%s-status');
  if (line.getBoundingClientRect().top > window.innerHeight * 0.7) line.scrollIntoView({behavior: 'smooth'});
}"""
USE = """element.addEventListener('click', event => {
  const button = event.target.closest('.g-use');
  if (button) trigger('select', {seed: Number(button.dataset.seed)});
});"""
PICK = """element.addEventListener('click', event => {
  const button = event.target.closest('[data-example]');
  if (button) trigger('select', {index: Number(button.dataset.example)});
});"""


@dataclass(frozen=True)
class Stage:
    """The shared parts of one tab."""

    name: str
    paint: gr.Button
    stop: gr.Button
    status: gr.HTML
    view: gr.HTML
    recipe: gr.Code


def buttons(name: str) -> tuple[gr.Button, gr.Button]:
    """Paint and Stop, under the controls."""
    with gr.Row(elem_classes="g-buttons"):
        paint = gr.Button("Paint", variant="primary", elem_id=f"{name}-paint", scale=2, min_width=120)
        stop = gr.Button("Stop", interactive=False, elem_id=f"{name}-stop", scale=1, min_width=80)
    return paint, stop


def results(
    name: str, paint: gr.Button, stop: gr.Button, welcome: Welcome, placeholder: str, defaults: Recipe
) -> Stage:
    """The column of results: the status line, the pictures, the recipe, and how it works."""
    with gr.Column(scale=1, min_width=320, elem_classes="g-result"):
        status = gr.HTML(pictures.status("idle", welcome.invitation), elem_id=f"{name}-status", js_on_load=None)
        view = gr.HTML(placeholder, elem_id=f"{name}-view", js_on_load=USE)
        with gr.Accordion("Recipe", open=False, elem_id=f"{name}-recipe"):
            recipe = gr.Code(run.pretty(defaults), language="json", show_label=False, interactive=False)
        gr.HTML(welcome.how_it_works, js_on_load=None)
    return Stage(name, paint, stop, status, view, recipe)


def begin(progress: Progress) -> tuple:
    """What a click shows before the run has its turn: (status, Paint, Stop)."""
    progress.state = "waiting"
    return pictures.status("waiting", "Waiting for a turn"), gr.Button(interactive=False), gr.Button(interactive=True)


def settle(progress: Progress) -> tuple:
    """What stays when a run is over, however it ended: (status, Paint, Stop)."""
    stopped = {
        "waiting": "The run did not begin.",
        "stopped": f"Stopped at step {progress.step} of {progress.steps}." if progress.step else "Stopped.",
    }
    text = stopped.get(progress.state)
    line = pictures.status("stopped", text) if text else gr.skip()
    return line, gr.Button(interactive=True), gr.Button(interactive=False)


def use_seed(event: gr.EventData) -> tuple[int, int]:
    """The seed of the picture that was chosen, and a count of one."""
    return event.seed, 1


def wire(stage: Stage, handler: Callable[..., Iterator[tuple]], fields: dict[str, Component]) -> None:
    """Connect the buttons to a handler: begin at once, run in turn, stop within a step, settle at the end."""
    progress = gr.State(Progress())
    ends = [stage.status, stage.paint, stage.stop]
    begun = gr.on([stage.paint.click, fields["seed"].submit], begin, progress, ends, **QUICK)
    # Without preprocessing the recipe sees what was sent and answers in its own words.
    going = begun.then(
        handler, [progress, *fields.values()], [stage.view, stage.status, stage.recipe], preprocess=False,
        **run.SLOTS, **PRIVATE,
    )  # fmt: skip
    going.then(settle, progress, ends, **QUICK)  # also after a stop
    stage.stop.click(None, cancels=[going], api_visibility="private")
    stage.paint.click(None, js=SHOW % stage.name, api_visibility="private")
    stage.view.select(use_seed, None, [fields["seed"], fields["count"]], **QUICK)


def examples(stage: Stage, picks: gr.HTML, example: Callable[[gr.EventData], list], outputs: list[Component]) -> None:
    """Connect a row of examples: a click sets the controls and paints."""
    picks.select(example, None, outputs, **QUICK).then(None, js=PRESS % stage.name, api_visibility="private")


def examples_row(examples: dict[str, str], wide: bool = False) -> gr.HTML:
    """Examples to click, each a name and a colour or none; `wide` ones stand one below another."""
    buttons = ""
    for index, (name, color) in enumerate(examples.items()):
        dot = f'<i style="background:{color}"></i>' if color else ""
        buttons += f'<button type="button" data-example="{index}">{dot}{escape(name)}</button>'
    look = "g-examples g-wide" if wide else "g-examples"
    return gr.HTML(f'<div class="{look}" role="group" aria-label="Examples">{buttons}</div>', js_on_load=PICK)
