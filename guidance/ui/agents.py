"""The API for agents: what the Model Context Protocol needs beside the functions themselves."""

import inspect
from collections.abc import Callable

import gradio as gr

from guidance import recipes

MEANINGS = {
    "color": "the colour to paint toward: hex such as #2080ff, a CSS name, or rgb(32, 128, 255)",
    "prompt": "what to see; parts with weights as in snow:1 | clouds:-0.5",
    "image": "a picture as a prompt: base64 of a WebP of at most 256 px, or nothing",
    "digits": "the digits to draw, such as 2026",
    "clip": f"who judges: {', '.join(recipes.CLIPS)}",
    "model": "who paints: landscapes, or a diffusers model on the Hub as owner/name",
    "text": "what a Stable-Diffusion-like model is told; other models take none",
    "negative": "what such a model is led away from",
    "text_scale": "classifier-free guidance by the text, 1 is the model alone",
    "preset": f"one of {', '.join(recipes.PRESETS)}",
    "loss": f"one of {', '.join(recipes.COLOR_LOSSES)}; nothing: by rule",
    "scale": "the strength of the guidance; 0: none of it; nothing: by what is chosen",
    "method": f"one of {', '.join(recipes.METHODS)}; full goes through the network, slower and truer",
    "rule": f"one of {', '.join(recipes.RULES)}",
    "weight": f"where in the steps the strength goes: {', '.join(recipes.WEIGHTS)}",
    "cuts": "random crops that CLIP judges a step, 1 to 64",
    "travel": "how often the early steps are taken again, 0 to 10",
    "candidates": "from how many each picture is chosen, the one nearest to the prompt; 1 to 16",
    "guidance": f"one of {', '.join(recipes.GUIDANCES)}",
    "conditioning": f"how the network is told the digit: {', '.join(recipes.CONDITIONINGS)}",
    "start": "the share of the steps after which guidance begins, 0 to 1",
    "stop": "the share of the steps after which it ends, 0 to 1",
    "solver": f"one of {', '.join(recipes.SOLVERS)}",
    "eta": "how much noise a step of ddim adds, from 0, none, to 1, as much as ddpm",
    "steps": "how many steps, 1 to 1000",
    "seed": "of the first picture; each further one adds 1",
    "count": "how many pictures, or rounds of the digits",
}


def described(function: Callable) -> Callable:
    """A function of the API with a line about each parameter in its docstring, where Gradio looks for them."""
    lines = [f"    {name}: {MEANINGS[name]}" for name in inspect.signature(function).parameters]
    function.__doc__ = "\n".join([inspect.getdoc(function), "", "Args:", *lines])
    return function


def show_pictures(demo: gr.Blocks) -> None:
    """Have a served page give agents each picture as a picture; by itself Gradio does not look into lists."""
    server = demo.mcp_server_obj
    contents = server.postprocess_output_data

    def flat(outputs: list, root_url: str) -> list:
        return contents([file for output in outputs for file in output], root_url)

    server.postprocess_output_data = flat
