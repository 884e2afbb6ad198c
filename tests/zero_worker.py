"""Run by test_zero.py in a process of its own: the page's functions in a worker of the real package `spaces`.

What the package asks the Hub and the driver for is answered here; forking, queues and pickling are its own.
"""

import os
import sys
from types import SimpleNamespace

os.environ |= {"SPACES_ZERO_GPU": "1", "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9", "GUIDANCE_DEVICE": "cpu"}

import spaces  # noqa: F401 - before torch, as on a Space
import spaces.zero.client as client
import spaces.zero.wrappers as wrappers

durations, released = [], []


def schedule(task_id, request, duration, gpu_size):
    """A GPU, at once."""
    durations.append(duration.total_seconds())
    return SimpleNamespace(allowToken="token", nvidiaIndex=0, nvidiaUUID="none", idle=True)


client.schedule = schedule
client.release = lambda *_, **__: released.append(True)
client.allow = lambda token: None
client.get_duration_seconds = lambda duration, size: duration.total_seconds()
wrappers.torch = SimpleNamespace(
    unpatch=lambda: None, init=lambda uuid: None, size=lambda: 0, move=lambda callback=None: None,
    enter_mode=lambda: None,
)  # fmt: skip

import gradio as gr
from gradio.context import LocalContext

from guidance.fields import RecipeError
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe
from guidance.ui import page
from guidance.ui.server import zero

with gr.Blocks() as demo:
    pass
demo.server = SimpleNamespace(config=SimpleNamespace(port=1))  # whose sockets the worker closes
LocalContext.blocks.set(demo)

compute = zero.adapted(page.compute)
made, seen = {}, {}
both = Recipe(guides=Color("teal") + Brightness(0.8), steps=3)
for recipe in (ColorRecipe(steps=3, count=2), ClipRecipe(steps=2), DigitRecipe(digits="12", steps=5), both):
    frames = list(compute(recipe))
    assert [frame.step for frame in frames] == list(range(1, len(frames) + 1)), frames
    assert frames[-1].weights
    made[recipe], seen[recipe] = frames[-1].images(), frames[-1].seen
run = compute(ColorRecipe(steps=30))
next(run)
run.close()  # Stop
try:
    list(compute(ColorRecipe(model=os.path.dirname(__file__))))
except RecipeError as error:
    assert "is no diffusers model" in str(error), error
else:
    sys.exit("A folder without a model was painted with.")
assert [max(chances, key=chances.get) for chances in seen[DigitRecipe(digits="12", steps=5)]] == ["1", "2"]
assert seen[ClipRecipe(steps=2)][0]["lake"] > 0
assert len(released) == len(durations) == 6, (durations, released)
assert durations[:2] == [zero.duration(ColorRecipe(steps=3, count=2)), zero.duration(ClipRecipe(steps=2))]
# The worker's pictures are those of a run without one; only now may this process use torch for itself.
for recipe, images in made.items():
    *_, last = page.compute(recipe)
    assert [image.tobytes() for image in last.images()] == [image.tobytes() for image in images], recipe
