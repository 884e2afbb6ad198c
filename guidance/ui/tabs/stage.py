"""What every tab has: the buttons, where its pictures appear, and how both are connected to runs."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from guidance import settings
from guidance.fields import RecipeError
from guidance.guides.base import Guide
from guidance.recipe import MAX_SEED, Recipe
from guidance.ui.html import pictures, words
from guidance.ui.html.welcome import Welcome, how_it_works
from guidance.ui.html.words import html, t
from guidance.ui.runs.painting import pretty
from guidance.ui.runs.runner import Runner
from guidance.ui.runs.task import sentence
from guidance.ui.server.doors import NOT_UNDERSTOOD, Event

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}  # for every event but the API's own
QUICK = {"queue": False} | PRIVATE  # for events that compute nothing
WATCH = {"concurrency_limit": None, "queue": True} | PRIVATE  # that look at a run or at a picture
PRESS = "() => document.getElementById('%s-paint').click()"
# On a narrow screen the pictures lie below the controls.
SHOW = """() => {
  const line = document.getElementById('%s-status');
  if (line.getBoundingClientRect().top > window.innerHeight * 0.7) line.scrollIntoView({behavior: 'smooth'});
}"""
USE = """element.addEventListener('click', event => {
  const button = event.target.closest('.g-seed-of');
  if (button) trigger('select', {seed: Number(button.dataset.seed)});
});
guidance.views['%s'] = html => { props.value = html; };"""
PICK = """element.addEventListener('click', event => {
  const button = event.target.closest('[data-example]');
  if (button) trigger('select', {index: Number(button.dataset.example)});
});"""
COPY = """element.addEventListener('click', event => {
  if (event.target.closest('button')) trigger('click');
});"""


@dataclass(frozen=True)
class Stage:
    """The shared parts of one tab."""

    name: str
    paint: gr.Button
    stop: gr.Button
    places: dict[str, Component]  # where a run shows things, as runs.painting.PLACES
    keep: gr.Checkbox  # whether PNGs carry their recipes
    live: gr.Checkbox  # whether the pictures follow the controls


@dataclass(frozen=True)
class Panel:
    """A tab from outside: what the page restores a recipe into."""

    name: str
    fields: dict[str, Component]  # the controls, by the fields that they stand for
    live: gr.Checkbox  # whether the pictures follow them
    takes: Callable[[Recipe], bool]  # whether these controls say all of a recipe
    restored: Callable[[Recipe], list]  # the updates of the controls for such a one
    left: Callable[[dict], list] | None = None  # those for what a visitor left here, where that is no recipe
    join: Callable[[gr.HTML, gr.Tabs], None] | None = None  # connects a button that adds its guide to the blend's cards


def buttons(name: str, begin: str = "Paint") -> tuple[gr.Button, gr.Button]:
    """Paint, or whatever begins here, and Stop, under the controls."""
    with gr.Row(elem_classes="g-buttons"):
        paint = gr.Button(t(begin), variant="primary", elem_id=f"{name}-paint", scale=2, min_width=120)
        stop = gr.Button(t("Stop"), interactive=False, elem_id=f"{name}-halt", scale=1, min_width=80)
    return paint, stop


def follow(name: str) -> gr.Checkbox:
    """Whether the pictures follow the controls; on a public page they do not."""
    return gr.Checkbox(False, label=t("Live: the pictures follow the controls"), container=False,
                       elem_id=f"{name}-live", visible=not settings.PUBLIC)  # fmt: skip


def results(
    name: str, paint: gr.Button, stop: gr.Button, live: gr.Checkbox, welcome: Welcome, placeholder: I18nData,
    defaults: Recipe,
) -> Stage:  # fmt: skip
    """The column of results: the status line, the pictures, the steps, the recipe, and how it works."""
    with gr.Column(scale=1, min_width=320, elem_classes="g-result"):
        line = html(lambda say: pictures.status("idle", say(welcome.invitation)))
        status = gr.HTML(line, elem_id=f"{name}-status", js_on_load=None)
        view = gr.HTML(placeholder, elem_id=f"{name}-view", js_on_load=USE % name)
        with gr.Accordion(t("Step by step"), open=False, elem_id=f"{name}-film"):
            empty = html(lambda say: f'<p class="g-empty">{say("Paint something, and go through its steps here.")}</p>')
            film = gr.HTML(empty, js_on_load=None)
        with gr.Accordion(t("Recipe"), open=False, elem_id=f"{name}-recipe"):
            recipe = gr.Code(pretty(defaults), language="json", show_label=False, interactive=False)
            with gr.Row(elem_classes="g-recipe-row"):
                keep = gr.Checkbox(
                    True, label=t("Write the recipe into each PNG"), elem_id=f"{name}-keep",
                    info=t("Drop such a PNG anywhere on this page, and every setting comes back."),
                )  # fmt: skip
                name_of_link = "Copy a link to these settings"
                copy = html(lambda say: f'<button type="button" class="g-use g-link">{say(name_of_link)}</button>')
                gr.HTML(copy, js_on_load=COPY).click(
                    None, recipe, None, js=f"text => guidance.link('{name}', text)", api_visibility="private"
                )
        gr.HTML(html(how_it_works(welcome)), js_on_load=None)
    return Stage(name, paint, stop, {"view": view, "status": status, "recipe": recipe, "film": film}, keep, live)


def listed(text: object) -> list:
    """What the page's script keeps as a list in JSON; RecipeError for whatever a visitor sends in its place."""
    with suppress(ValueError, TypeError, RecursionError):
        return [*json.loads(text)]
    raise RecipeError(NOT_UNDERSTOOD)


def join(button: gr.Button, stage: Stage, made: Callable[[dict], Guide], fields: dict[str, Component],
         cards: gr.HTML, tabs: gr.Tabs) -> None:  # fmt: skip
    """Have a button put what a tab's controls make among the cards of the blend, and show them."""

    def joined(request: gr.Request, before: str, *values: object) -> tuple:
        try:
            guide = made(dict(zip(fields, values, strict=True)))
            after = [*listed(before), {"guide": guide.name} | dict(guide)]
            return json.dumps(after), gr.Tabs(selected="blend"), gr.skip()
        except Exception as error:
            return gr.skip(), gr.skip(), pictures.status("error", words.speaker(request)(sentence(error)))

    outputs = [cards, tabs, stage.places["status"]]
    button.click(joined, [cards, *fields.values()], outputs, preprocess=False, **QUICK)


def use_seed(event: Event) -> tuple[int, int]:
    """The seed of the picture that was chosen, and a count of one."""
    return event.picked("seed", range(MAX_SEED + 1)), 1


def connect(
    name: str, runner: Runner, triggers: list, asked: dict[str, Component], places: dict[str, Component],
    paint: gr.Button, stop: gr.Button, moves: Iterable = (),
) -> gr.events.Dependency:  # fmt: skip
    """Connect the buttons to what they begin; a page that is loaded again finds it. Gives what comes after its end.

    `moves` are events of controls that pictures can follow.
    """
    key = gr.Textbox(visible=False)
    asked = asked | ({"key": key} if moves else {})
    runner.names = {control: name for name, control in asked.items()}
    watched = [*places.values(), paint, stop]
    # Without preprocessing a task sees what was sent and answers in its own words.
    told = [key, places["status"], paint, stop]
    begun = gr.on(triggers, runner.begin, set(asked.values()), told, preprocess=False, **QUICK)
    begun.then(None, key, None, js=f"key => guidance.began('{name}', key)", api_visibility="private")
    over = begun.then(runner.follow, key, watched, **WATCH)
    over.then(None, None, None, js=f"() => guidance.finished('{name}')", api_visibility="private")
    if moves and not settings.PUBLIC:
        # What a move asks for goes past Gradio's page, which at each event would work as long as the network does.
        told = [key, places["status"], gr.Textbox(visible=False)]
        asks = key.submit(runner.live, set(asked.values()), told, preprocess=False, **QUICK)
        inputs = sorted(asked.values(), key=lambda control: control._id)  # as Gradio orders a set
        script = f"(...values) => guidance.moved('{name}', {asks['id']}, {inputs.index(key)}, values)"
        moved = gr.on(moves, None, inputs, [key, places["status"]], js=script, api_visibility="private")
        # One is enough, however often something moves; where one run has just ended, the next is followed after that.
        rested = moved.then(runner.follow, key, watched, trigger_mode="always_last", **WATCH)
        rested.then(None, None, None, js=f"() => guidance.finished('{name}')", api_visibility="private")
    stop.click(runner.jobs.stop, key, None, **QUICK)
    paint.click(None, js=SHOW % name, api_visibility="private")
    blocks = gr.context.Context.root_block
    found = blocks.load(lambda key: key, key, key, js=f"() => guidance.running('{name}')", **QUICK)
    found.then(runner.follow, key, watched, **WATCH)
    return over


def wire(stage: Stage, runner: Runner, panel: Panel, more: dict[str, Component]) -> None:
    """Connect a tab that paints; `more` are controls that are not the recipe's."""
    controls = list(panel.fields.values())
    seed, count = panel.fields["seed"], panel.fields["count"]
    connect(
        stage.name, runner, [stage.paint.click, seed.submit],
        more | panel.fields | {"keep": stage.keep, "live": stage.live}, stage.places, stage.paint, stage.stop,
        [control.input for control in controls if hasattr(control, "input")],
    )  # fmt: skip
    stage.places["view"].select(use_seed, None, [seed, count], **QUICK)
    # Settings survive a reload.
    gr.on(
        [control.change for control in controls], None, controls, None,
        js=f"(...values) => guidance.keep('{panel.name}', {list(panel.fields)}, values)", api_visibility="private",
    )  # fmt: skip


def examples(stage: Stage, picks: gr.HTML, example: Callable[[Event], list], outputs: list[Component]) -> None:
    """Connect a row of examples: a click sets the controls and paints."""
    picks.select(example, None, outputs, **QUICK).then(None, js=PRESS % stage.name, api_visibility="private")


def examples_row(examples: Iterable[str], dots: dict[str, str], wide: bool = False) -> gr.HTML:
    """Examples to click by their names, some with a dot of a colour; `wide` ones stand one below another."""

    if not examples:
        return gr.HTML("", visible=False)

    def row(say: Callable[[str], str]) -> str:
        buttons = ""
        for index, name in enumerate(examples):
            dot = f'<i style="background:{dots[name]}"></i>' if name in dots else ""
            buttons += f'<button type="button" data-example="{index}">{dot}{escape(say(name))}</button>'
        look = "g-examples g-wide" if wide else "g-examples"
        return f'<div class="{look}" role="group" aria-label="{escape(say("Examples"))}">{buttons}</div>'

    return gr.HTML(html(row), js_on_load=PICK)
