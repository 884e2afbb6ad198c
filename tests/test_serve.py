"""The page's painters on Ray Serve, by a handle that pretends: what is asked, and what happens where they die."""

import asyncio
import threading

import pytest
from ray import exceptions
from ray.serve.exceptions import BackPressureError

from guidance import progress, settings
from guidance.fields import RecipeError
from guidance.recipe import ColorRecipe, DigitRecipe
from guidance.scale import remote, replica
from guidance.scale.cluster import ends, share
from guidance.ui.runs.jobs import FULL
from tests.fake import Frame

RECIPE = ColorRecipe(steps=5)
DEAD = exceptions.ActorDiedError()


class Items:
    """A stream of frames that may end by an error."""

    def __init__(self, items, error=None):
        self.items, self.error, self.cancelled = iter(items), error, False

    def __iter__(self):
        yield from self.items
        if self.error:
            raise self.error

    def cancel(self):
        self.cancelled = True

    def result(self):
        if self.error:
            raise self.error
        return next(self.items)


class Handle:
    """A handle whose streams are given, one after another."""

    def __init__(self, *streams):
        self.streams, self.asked, self.told = list(streams), [], {}
        self.frames = self.read = self

    def options(self, **options):
        self.told = options
        return self

    def remote(self, *values):
        self.asked.append(values)
        return self.streams[len(self.asked) - 1]


def frames(first, last):
    return [Frame(step, 5, RECIPE) for step in range(first, last + 1)]


def test_a_run_goes_where_its_network_is_warm_and_its_frames_come_as_they_are():
    handle = Handle(stream := Items(frames(1, 5)))
    assert [frame.step for frame in remote.computed(handle)(RECIPE)] == [1, 2, 3, 4, 5]
    assert handle.asked == [(RECIPE,)] and handle.told == {"stream": True, "multiplexed_model_id": "landscapes"}
    assert stream.cancelled
    handle = Handle(Items(frames(1, 1)))
    next(remote.computed(handle)(DigitRecipe(conditioning="channels")))
    assert handle.told["multiplexed_model_id"] == "digits/channels"


def test_what_a_painter_loads_is_told_until_the_first_frame_comes():
    def items():
        for loaded in (("landscapes", 0, 0), ("ViT", 2_000_000, 9_000_000)):
            yield loaded
            said.append(progress.doing())
        yield from frames(1, 5)
        said.append(progress.doing())

    said = []
    assert len(list(remote.computed(Handle(Items(items())))(RECIPE))) == 5
    assert said == ["Loading landscapes", "Downloading ViT: 2 of 9 MB", ""]


def test_a_run_that_is_given_up_is_cancelled():
    handle = Handle(stream := Items(frames(1, 5)))
    run = remote.computed(handle)(RECIPE)
    next(run)
    assert not stream.cancelled
    run.close()
    assert stream.cancelled


def test_where_a_painter_dies_the_run_begins_again_and_no_step_is_shown_twice():
    handle = Handle(first := Items(frames(1, 3), DEAD), Items(frames(1, 2), DEAD), Items(frames(1, 5)))
    assert [frame.step for frame in remote.computed(handle)(RECIPE)] == [1, 2, 3, 4, 5]
    assert first.cancelled and len(handle.asked) == 3


def test_a_run_begins_again_twice_and_then_a_sentence_is_said():
    handle = Handle(*(Items([], DEAD) for _ in range(4)))
    with pytest.raises(RecipeError, match=f"^{remote.GONE}$"):
        list(remote.computed(handle)(RECIPE))
    assert len(handle.asked) == 3
    handle = Handle(*(Items([], DEAD) for _ in range(2)), Items(["read"]))
    assert remote.asked(handle, "read")([]) == "read"


@pytest.mark.parametrize(
    "stream, said",
    [(Items([], BackPressureError(num_queued_requests=9, max_queued_requests=9)), FULL),
     (Items([*frames(1, 2), "Lower the scale."]), "Lower the scale.")],
)  # fmt: skip
def test_a_full_line_and_a_run_that_fails_are_told_in_a_sentence(stream, said):
    with pytest.raises(RecipeError, match=f"^{said}$"):
        list(remote.computed(Handle(stream))(RECIPE))


class Local(replica.Painter):
    """A painter without Serve around it."""

    async def network(self, name):
        return None


def painted(recipe, take=None):
    """What a painter gives, and all that it has done by then."""

    async def run():
        painter, found = Local(), []
        stream = painter.frames(recipe)
        async for item in stream:
            found.append(item)
            if len(found) == take:
                await stream.aclose()
                break
        await painter.work(int)
        return found, painter

    return asyncio.run(run())


def test_a_painter_gives_frames_that_travel_and_at_most_one_sentence(monkeypatch):
    monkeypatch.setattr(replica.serve, "get_multiplexed_model_id", str)
    found, _ = painted(ColorRecipe(steps=3, solver="ddim"))
    found = [item for item in found if not isinstance(item, tuple)]  # which say what is being loaded
    assert [frame.step for frame in found] == [1, 2, 3] and found[-1].images()[0].size == (256, 256)
    monkeypatch.setattr(settings, "DEADLINE", 0)
    *_, said = painted(ColorRecipe(steps=3))[0]
    assert said == "The run was stopped after 0 seconds: ask for fewer pictures or steps."


def test_a_painter_whose_step_does_not_end_is_told_apart_from_one_that_works(monkeypatch):
    begun, end = threading.Event(), threading.Event()

    async def run():
        painter = Local()
        await painter.check_health()
        step = asyncio.ensure_future(painter.work(lambda: begun.set() or end.wait(30)))
        await asyncio.to_thread(begun.wait, 30)
        await painter.check_health()
        monkeypatch.setattr(settings, "DEADLINE", -1)
        with pytest.raises(RuntimeError, match="^A step does not end.$"):
            await painter.check_health()
        end.set()
        await step
        await painter.check_health()

    asyncio.run(run())


def test_painters_have_a_gpu_each_or_their_share_of_the_processors():
    assert share(8, 64, None) == (8, {"num_gpus": 1, "num_cpus": 1})
    assert share(0, 16, None) == (4, {"num_cpus": 4}) and share(0, 16, None, 2) == (8, {"num_cpus": 2})
    assert share(0, 2, 2) == (2, {"num_cpus": 1}) and share(0, 2, None) == (1, {"num_cpus": 2})
    assert ends("3") == (3, 3) and ends("1..8") == (1, 8)
    for wrong in ("0", "x", "3..2"):
        with pytest.raises(RecipeError, match="^Replicas must be a whole number from"):
            ends(wrong)
