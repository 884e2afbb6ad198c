"""How recipes come back to the controls: a dropped picture, the history, a link, and a reload."""

import json
from contextlib import suppress

import gradio as gr

from guidance.fields import RecipeError
from guidance.recipe import Recipe, from_json
from guidance.ui.html import pictures, words
from guidance.ui.html.words import Say
from guidance.ui.runs.task import sentence
from guidance.ui.server.doors import Event
from guidance.ui.tabs import stage


def connect(notice: gr.HTML, tabs: gr.Tabs, panels: list[stage.Panel]) -> None:
    """Connect the ways by which recipes come back: a dropped picture, the history, a link, and a reload."""
    outputs = [tabs, *(component for panel in panels for component in panel.fields.values())]

    def dropped(event: Event, request: gr.Request) -> list:
        try:
            found = stage.listed(event.said("recipes", str))[-len(panels):]
            if "" in found:
                raise RecipeError("This picture carries no recipe.")
            recipes = list(map(from_json, found))
            shown = [(panel := panel_of(panels, recipe), panel.restored(recipe)) for recipe in recipes]
            return [warning(recipes[-1], words.speaker(request)), *restore(panels, shown)]
        except Exception as error:
            said = words.speaker(request)(sentence(error))
            return [pictures.status("error", said), *[gr.skip()] * len(outputs)]

    def recalled(recipes: str) -> str:
        good = []
        with suppress(RecipeError):
            for text in stage.listed(recipes)[-len(panels):]:
                with suppress(RecipeError):  # what a visitor left half typed, or an older version kept
                    good.append(come_back(panels, text))
        told = map(as_told, outputs, restore(panels, good) if good else [])
        return json.dumps(list(told), default=str)  # words of either language, as Gradio tells them

    gr.HTML("", js_on_load="guidance.connect(trigger)", elem_classes="g-hidden").select(
        dropped, None, [notice, *outputs], **stage.QUICK
    )
    # Gradio's page keeps, at each event, the state of all that events of the server have ever set: these a script sets.
    kept, told = gr.Textbox(visible=False), gr.Textbox(visible=False)
    found = gr.context.Context.root_block.load(
        recalled, kept, told, js="() => guidance.recall()", preprocess=False, **stage.QUICK
    )
    spread = found.then(None, told, outputs, js="text => JSON.parse(text || '[]')", api_visibility="private")
    spread.then(None, None, None, js="() => guidance.stand()", api_visibility="private")


def panel_of(panels: list[stage.Panel], recipe: Recipe) -> stage.Panel:
    """The tab that shows a recipe: its guide's own if that has a control for all of it, else the Blend tab."""
    return next(panel for panel in panels if panel.takes(recipe) or not recipe.guides)


def come_back(panels: list[stage.Panel], text: str) -> tuple[stage.Panel, list]:
    """The tab that shows a recipe, or what a visitor left there, and the updates of its controls; else RecipeError."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        values = json.loads(text)
        for panel in panels:
            if panel.left and values["kind"] == panel.name:
                return panel, panel.left(values)
    recipe = from_json(text, old=False)
    panel = panel_of(panels, recipe)
    return panel, panel.restored(recipe)


def restore(panels: list[stage.Panel], shown: list[tuple[stage.Panel, list]]) -> list:
    """The updates of the tabs and of all controls for what comes back to some; the last one is shown."""
    updates = {panel.name: changed for panel, changed in shown}
    selected = gr.Tabs(selected=shown[-1][0].name) if shown else gr.skip()
    return [selected, *(update for panel in panels
                        for update in updates.get(panel.name, [gr.skip()] * len(panel.fields)))]  # fmt: skip


def as_told(component: gr.blocks.Block, update: object) -> dict[str, object]:
    """An update as the browser takes it: a component's value, or what changes of the component."""
    if isinstance(update, dict):  # gr.skip()
        return update
    changed = dict(update.constructor_args) if isinstance(update, gr.blocks.Block) else {"value": update}
    if "value" in changed:
        changed["value"] = component.postprocess(changed["value"])
    return changed | {"__type__": "update"}


def warning(recipe: Recipe, say: Say) -> str:
    """What must be said before a recipe is painted again (HTML): that it was made with other weights, if it was."""
    if not recipe.weights:
        return ""
    from guidance.engine import changed  # imports torch

    sentence = changed(recipe)
    return pictures.status("stopped", say(sentence)) if sentence else ""
