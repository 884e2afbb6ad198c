"""What every tab has: the buttons, where its pictures appear, and how both are connected to runs."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from guidance.recipes import Recipe
from guidance.ui import pictures, run
from guidance.ui.runner import Runner
from guidance.ui.welcome import Welcome
from guidance.ui.words import html, t

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}  # for every event but the API's own
QUICK = {"queue": False} | PRIVATE  # for events that compute nothing
WATCH = {"concurrency_limit": None, "queue": True} | PRIVATE  # for those that only look at a run
PRESS = "() => document.getElementById('%s-paint').click()"
# On a narrow screen the pictures lie below the controls.
SHOW = """() => {
  const line = document.getElementById('%s-status');
  if (line.getBoundingClientRect().top > window.innerHeight * 0.7) line.scrollIntoView({behavior: 'smooth'});
}"""
USE = """element.addEventListener('click', event => {
  const button = event.target.closest('.g-seed-of');
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
    places: dict[str, Component]  # where a run shows things, as run.PLACES
    keep: gr.Checkbox  # whether PNGs carry their recipes


@dataclass(frozen=True)
class Panel:
    """A tab from outside: what the page restores a recipe into."""

    name: str  # its recipe's kind
    kind: type[Recipe]
    fields: dict[str, Component]  # by the recipe's fields
    show: Callable[[Recipe], list]  # the updates of those controls, in order


def buttons(name: str, begin: str = "Paint") -> tuple[gr.Button, gr.Button]:
    """Paint, or whatever begins here, and Stop, under the controls."""
    with gr.Row(elem_classes="g-buttons"):
        paint = gr.Button(t(begin), variant="primary", elem_id=f"{name}-paint", scale=2, min_width=120)
        stop = gr.Button(t("Stop"), interactive=False, elem_id=f"{name}-stop", scale=1, min_width=80)
    return paint, stop


def results(
    name: str, paint: gr.Button, stop: gr.Button, welcome: Welcome, placeholder: I18nData, defaults: Recipe
) -> Stage:
    """The column of results: the status line, the pictures, the steps, the recipe, and how it works."""
    with gr.Column(scale=1, min_width=320, elem_classes="g-result"):
        line = html(lambda say: pictures.status("idle", say(welcome.invitation)))
        status = gr.HTML(line, elem_id=f"{name}-status", js_on_load=None)
        view = gr.HTML(placeholder, elem_id=f"{name}-view", js_on_load=USE)
        with gr.Accordion(t("Step by step"), open=False, elem_id=f"{name}-film"):
            empty = html(lambda say: f'<p class="g-empty">{say("Paint something, and go through its steps here.")}</p>')
            film = gr.HTML(empty, js_on_load=None)
        with gr.Accordion(t("Recipe"), open=False, elem_id=f"{name}-recipe"):
            recipe = gr.Code(run.pretty(defaults), language="json", show_label=False, interactive=False)
            with gr.Row(elem_classes="g-recipe-row"):
                keep = gr.Checkbox(
                    True, label=t("Write the recipe into each PNG"), elem_id=f"{name}-keep",
                    info=t("Drop such a PNG anywhere on this page, and every setting comes back."),
                )  # fmt: skip
                name_of_link = "Copy a link to these settings"
                copy = html(lambda say: f'<button type="button" class="g-use g-link">{say(name_of_link)}</button>')
                gr.HTML(copy, js_on_load=None)
        gr.HTML(html(welcome.how_it_works), js_on_load=None)
    return Stage(name, paint, stop, {"view": view, "status": status, "recipe": recipe, "film": film}, keep)


def use_seed(event: gr.EventData) -> tuple[int, int]:
    """The seed of the picture that was chosen, and a count of one."""
    return event.seed, 1


def connect(
    name: str, runner: Runner, triggers: list, asked: list[Component], places: dict[str, Component],
    paint: gr.Button, stop: gr.Button,
) -> gr.events.Dependency:  # fmt: skip
    """Connect the buttons to what they begin; a page that is loaded again finds it. Gives what comes after its end."""
    key = gr.Textbox(visible=False)
    watched = [*places.values(), paint, stop]
    # Without preprocessing a task sees what was sent and answers in its own words.
    begun = gr.on(triggers, runner.begin, asked, [key, places["status"], paint, stop], preprocess=False, **QUICK)
    begun.then(None, key, None, js=f"key => guidance.began('{name}', key)", api_visibility="private")
    over = begun.then(runner.follow, key, watched, **WATCH)
    over.then(None, None, None, js=f"() => guidance.finished('{name}')", api_visibility="private")
    stop.click(runner.jobs.stop, key, None, **QUICK)
    paint.click(None, js=SHOW % name, api_visibility="private")
    blocks = gr.context.Context.root_block
    found = blocks.load(lambda key: key, key, key, js=f"() => guidance.running('{name}')", **QUICK)
    found.then(runner.follow, key, watched, **WATCH)
    return over


def wire(stage: Stage, runner: Runner, panel: Panel, more: tuple[Component, ...] = ()) -> None:
    """Connect a tab that paints; `more` are controls that are not the recipe's, and come first."""
    controls = list(panel.fields.values())
    seed, count = panel.fields["seed"], panel.fields["count"]
    connect(
        stage.name, runner, [stage.paint.click, seed.submit], [stage.keep, *more, *controls], stage.places,
        stage.paint, stage.stop,
    )  # fmt: skip
    stage.places["view"].select(use_seed, None, [seed, count], **QUICK)
    # Settings survive a reload.
    gr.on(
        [control.change for control in controls], None, controls, None,
        js=f"(...values) => guidance.keep('{panel.name}', {list(panel.fields)}, values)", api_visibility="private",
    )  # fmt: skip


def examples(stage: Stage, picks: gr.HTML, example: Callable[[gr.EventData], list], outputs: list[Component]) -> None:
    """Connect a row of examples: a click sets the controls and paints."""
    picks.select(example, None, outputs, **QUICK).then(None, js=PRESS % stage.name, api_visibility="private")


def examples_row(examples: dict[str, str], wide: bool = False) -> gr.HTML:
    """Examples to click, each a name and a colour or none; `wide` ones stand one below another."""

    def row(say: Callable[[str], str]) -> str:
        buttons = ""
        for index, (name, color) in enumerate(examples.items()):
            dot = f'<i style="background:{color}"></i>' if color else ""
            buttons += f'<button type="button" data-example="{index}">{dot}{escape(say(name))}</button>'
        look = "g-examples g-wide" if wide else "g-examples"
        return f'<div class="{look}" role="group" aria-label="{escape(say("Examples"))}">{buttons}</div>'

    return gr.HTML(html(row), js_on_load=PICK)
