"""The Fine-tune tab: a model goes on learning from a visitor's pictures, in a process of its own."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from html import escape
from importlib.util import find_spec
from pathlib import Path
from shutil import copy

import gradio as gr
from PIL import Image

from guidance import settings
from guidance.atomic import clear, sync, written
from guidance.codec import UNKEPT
from guidance.fields import RecipeError, real
from guidance.ui.html import pictures
from guidance.ui.html.words import Say, html, t
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.runner import Runner
from guidance.ui.runs.task import Shown, Task
from guidance.ui.tabs import controls, stage

NAME = "finetune"  # the prefix of this tab's element ids
FEWEST, MOST = 10, 500  # pictures
EVERY = 50  # steps between samples
LOOK = 0.5  # seconds between two looks at the process
going_on, claiming = set[str](), threading.Lock()  # the names under which models are being trained
KIND = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
FAILED = "The training failed: the last lines of its log are on the console."
NEEDS = "Fine-tuning here needs another package: pip install 'diffusion-guidance[train]'"


class Tuning(Task):
    """One fine-tuning: what it shows by now, read from what the process writes."""

    def __init__(self, paths: list[str], model: str, name: str, minutes: float, rate: float, say: Say):
        super().__init__(say)
        # Until it is through, it lies where no model is looked for.
        self.out, self.work, self.paths = settings.TRAINED / name, settings.TRAINED / f".{name}", paths
        self.learns = f"{model}, {rate:g}"  # and from what: if it is the same, a run that was killed goes on
        self.command = [
            sys.executable, "-m", "guidance", "finetune", "--tethered", "--model", model,
            "--data", str(self.work / "pictures"), "--out", str(self.work), "--minutes", f"{minutes:g}",
            "--learning-rate", f"{rate:g}", "--every", f"{EVERY}",
        ]  # fmt: skip

    def go(self) -> Iterator[Shown]:
        """The process, watched until it is through; closing this ends it and keeps the model as it is then."""
        with claiming:
            free(self.out.name)
            going_on.add(self.out.name)
        try:
            self.prepare()
            yield from self.watched()
        except GeneratorExit:
            self.keep()
            raise
        finally:
            clear(self.work)
            going_on.discard(self.out.name)

    def keep(self) -> None:
        """Have the model offered, if there is one by now."""
        if (self.work / "pipeline").is_dir():
            clear(self.out)
            self.work.replace(self.out)
            sync(self.out.parent)

    def prepare(self) -> None:
        """Keep the pictures where the process finds them, unless a run that was killed has left the same."""
        try:
            digests = sorted(sha256(Path(path).read_bytes()).hexdigest() for path in self.paths)
            learns, told = "\n".join([self.learns, *digests]), self.work / "learns.txt"
            if told.exists() and told.read_text() == learns:
                return
            clear(self.work)
            (self.work / "pictures").mkdir(parents=True)
            for k, path in enumerate(self.paths):
                copy(path, self.work / "pictures" / f"{k:03d}{Path(path).suffix}")
            with written(told) as part:
                part.write_text(learns)
        except OSError as error:
            raise RecipeError(UNKEPT) from error

    def watched(self) -> Iterator[Shown]:
        """The process from start to end."""
        log = self.work / "log.txt"
        with log.open("w") as file:  # the pipe is closed when this process dies, by which the other one knows
            process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT,
                                       env=settings.handed_on(), start_new_session=True)  # fmt: skip
        try:
            seen = None
            while True:
                over = process.poll() is not None
                yield self.status("running", going(log))
                if (newest := self.newest()) != seen:
                    seen = newest
                    yield {"view": self.view()}
                if over:
                    break
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK)
        finally:
            process.terminate()
            process.wait()
            process.stdin.close()
        if process.returncode:
            print(log.read_text()[-2000:], file=sys.stderr)
            yield self.status("error", last_words(log.read_text()))
            return
        shown = {"view": self.view()}
        self.keep()
        yield shown | self.status("done", f"Done: choose trained/{self.out.name} as the model in the other tabs.")

    def newest(self) -> Path | None:
        """The last sheet of samples."""
        return max(self.work.glob("samples-*.png"), default=None)

    def view(self) -> str:
        """The first and the last samples, and the loss."""
        sheets = sorted(self.work.glob("samples-*.png"))
        if not sheets:
            return ""
        record = self.work / "history.json"
        history = json.loads(record.read_text()) if record.exists() else []
        plot = pictures.curve([loss for _, loss in history], len(history), self.say("loss"))
        shots = ""
        for path in dict.fromkeys((sheets[0], sheets[-1])):
            step = int(path.stem.rpartition("-")[2])
            label = escape(self.say(f"Samples after {step} steps" if step else "Samples before"))
            with Image.open(path) as image:
                url = pictures.png_url(image)
            shots += (
                f'<div class="g-shot"><div class="g-label">{label}</div><img class="g-picture g-crisp" src="{url}" '
                f'alt="{label}"></div>'
            )
        return f'<div class="g-legend">{plot}</div><figure class="g-pair" data-state="preview">{shots}</figure>'

    def end(self, begun: bool) -> Shown:
        """What stays after a stop: the model as of its last samples."""
        kept = f"Stopped. The model is kept as of its last samples: trained/{self.out.name}."
        text = kept if begun and (self.out / "pipeline").is_dir() else "Stopped."
        return self.status("stopped", text)


def free(name: str) -> None:
    """RecipeError if a model has this name, or is being trained under it."""
    if name in going_on or (settings.TRAINED / name / "pipeline").is_dir():
        raise RecipeError("There is a model of that name already: choose another.")


def going(log: Path) -> str:
    """How far the process is, from its progress bar."""
    bars = re.findall(r"(\d+)/\d+ \[", log.read_text()[-400:])
    return f"Step {bars[-1]}" if bars else "Getting the model ready"


def last_words(log: str) -> str:
    """What the process said to its user, or that it failed."""
    said = re.findall(r"^guidance: (.+)$", log, re.MULTILINE)
    return said[-1] if said else FAILED


def asked(say: Say, values: dict[str, object]) -> Tuning:
    """A fine-tuning by the values of the controls; RecipeError when they are none."""
    files, model, name = (values[key] for key in ("files", "model", "name"))
    if find_spec("accelerate") is None:
        raise RecipeError(NEEDS)
    files = files if isinstance(files, list) else []
    if not FEWEST <= len(files) <= MOST:
        raise RecipeError(f"Fine-tuning takes {FEWEST} to {MOST} pictures.")
    if not (isinstance(name, str) and KIND.fullmatch(name)):
        raise RecipeError("The name must be small letters, digits and hyphens, such as my-pictures.")
    free(name)
    controls.offered(model)
    minutes, rate = real("Minutes", values["minutes"], 0.05, 24 * 60), real("Learning rate", values["rate"], 1e-7, 1e-2)
    return Tuning([file["path"] for file in files], str(model), name, minutes, rate, say)


def tab(jobs: Jobs, models: list[gr.Dropdown]) -> None:
    """Lay out the tab; what it makes is offered by the dropdowns `models`."""
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            files = gr.File(
                label=t("Your pictures"), file_count="multiple", file_types=["image"], elem_id="finetune-files",
                height=180,
            )
            name = gr.Textbox(
                "my-pictures", label=t("Name"), max_lines=1, elem_id="finetune-name",
                info=t("What the new model will be called here."),
            )  # fmt: skip
            minutes = gr.Slider(
                0.1, 120, 10, step=0.1, label=t("Minutes"), buttons=[], elem_id="finetune-minutes",
                info=t("Ten are enough to see the look change on a laptop."),
            )  # fmt: skip
            begin, stop = stage.buttons(NAME, "Fine-tune")
            with gr.Accordion(t("Advanced"), open=False):
                model = gr.Dropdown(
                    controls.models(), value="landscapes", label=t("Model"), allow_custom_value=True,
                    info=t("The model that goes on learning."),
                )  # fmt: skip
                rate = gr.Number(1e-4, label=t("Learning rate"), info=t("How fast it learns; too much and it forgets."))
        with gr.Column(scale=1, min_width=320, elem_classes="g-result"):
            line = html(lambda say: pictures.status("idle", say("Give 10 to 500 pictures, press Fine-tune.")))
            status = gr.HTML(line, elem_id="finetune-status", js_on_load=None)
            view = gr.HTML(html(welcome), elem_id="finetune-view", js_on_load=None)

    def offer() -> list:
        return [gr.Dropdown(choices=controls.models()) for _ in (model, *models)]

    over = stage.connect(
        NAME, Runner(jobs, asked, ("view", "status")), [begin.click],
        {"files": files, "model": model, "name": name, "minutes": minutes, "rate": rate},
        {"view": view, "status": status}, begin, stop,
    )  # fmt: skip
    over.then(offer, None, [model, *models], **stage.QUICK)
    gr.context.Context.root_block.load(offer, None, [model, *models], **stage.QUICK)


def welcome(say: Say) -> str:
    """What happens here."""
    text = say(
        "The model goes on learning from your pictures, in a process of its own. Its samples from the same noise "
        "appear here every 50 steps, with the loss; the result can be steered in the other tabs at once. Keep this "
        "page open; if its server is ended, the same pictures under the same name go on where they were."
    )
    return f'<div class="g-welcome"><p style="margin:0 !important">{text}</p></div>'
