"""What stands between a request and the page's own functions: what they are never given, and the sentence for it."""

import inspect
import logging
from collections.abc import Sequence
from copy import copy
from typing import TypeVar

import gradio as gr
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_file_obj, is_http_url_like, traverse

from guidance.fields import RecipeError
from guidance.recipe import admitted
from guidance.ui.runs.task import WENT_WRONG
from guidance.ui.tabs.controls import offered

log = logging.getLogger(__name__)
NOT_UNDERSTOOD = "This request was not understood: it must be JSON as the page's own description has it."
FILES = (gr.Image, gr.File)  # the components that take one
Said = TypeVar("Said")


class Page(gr.Blocks):
    """Gradio's blocks, which fetch no file from elsewhere and let every value reach a function or be refused."""

    async def preprocess_data(self, block_fn, inputs: list, state, explicit_call: bool = False) -> list:
        """The values as a function takes them; gr.Error, with a sentence, for those that it cannot take."""
        try:
            fitting(block_fn, inputs)
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except RecipeError as error:
            said = str(error)
        except Exception as error:  # of many kinds, whatever was sent, which no log need have
            log.info("A request was refused: %s.", type(error).__name__)
            said = NOT_UNDERSTOOD
        raise gr.Error(said, print_exception=False)

    async def call_function(self, *values: object, **others: object) -> dict:
        """Call a function for a visitor, who may name the models that are offered and no other."""
        admitted.set(offered)
        try:
            return await super().call_function(*values, **others)
        except gr.Error:
            raise
        except RecipeError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            log.exception("A handler failed.")
        raise gr.Error(WENT_WRONG, print_exception=False)


class Event(gr.EventData):
    """What the page's script says of an event, in whose place a visitor can say anything."""

    def said(self, name: str, kind: type[Said]) -> Said:
        """The value of that name; RecipeError if it is none of its kind."""
        value = self._data.get(name) if isinstance(self._data, dict) else None
        if type(value) is not kind:
            raise RecipeError(NOT_UNDERSTOOD)
        return value

    def picked(self, name: str, among: Sequence[Said]) -> Said:
        """What has the number of that name; RecipeError if nothing has."""
        number = self.said(name, int)
        if not 0 <= number < len(among):
            raise RecipeError(NOT_UNDERSTOOD)
        return among[number]


class Sessions(StateHolder):
    """The sessions of a page without states: Gradio would keep all that each has sent, and all controls, for good."""

    def set_blocks(self, blocks: gr.Blocks) -> None:
        """Make what every session begins with."""
        super().set_blocks(blocks)
        self.blank = SessionState(blocks)

    def __getitem__(self, session_id: str) -> SessionState:
        """A new one each time."""
        session = copy(self.blank)
        session.blocks_config, session.config_values, session.state_data = copy(self.blocks.default_config), {}, {}
        return session


def fitting(block_fn, inputs: list) -> None:
    """RecipeError unless there are as many values as a function has, and files where they belong and from here."""
    if len(inputs) != len(block_fn.inputs):
        order = f"This endpoint takes so many values, in this order: {', '.join(parameters(block_fn))}."
        raise RecipeError(order if block_fn.api_visibility == "public" else NOT_UNDERSTOOD)
    for component, value in zip(block_fn.inputs, inputs, strict=True):
        found = files(value)
        if found and not isinstance(component, FILES):
            raise RecipeError("A file stands where a word or a number belongs.")
        if not all(map(is_uploaded, found)):
            raise RecipeError("A picture must be uploaded here first: no address and no path is followed.")


def parameters(block_fn) -> list[str]:
    """The names of an endpoint's values."""
    return list(inspect.signature(block_fn.fn).parameters)


def files(value: object) -> list[dict]:
    """All that stands for a file in a value, however deep."""
    found: list[dict] = []
    traverse(value, lambda part: found.append(part), is_file_obj)
    return found


def is_uploaded(file: dict) -> bool:
    """Whether a file is one that somebody has uploaded here; no other host is asked for one."""
    path = file["path"]
    return not is_http_url_like(path.lower()) and "\0" not in path and is_in_or_equal(path, get_upload_folder())
