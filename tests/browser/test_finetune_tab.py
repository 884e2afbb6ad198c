"""The Fine-tune tab: pictures in, a model out that the other tabs steer."""

from pathlib import Path

import torch
from torchvision.transforms.functional import to_pil_image

from guidance import settings
from guidance.training.landscapes import paint
from tests.browser.test_page import idle
from tests.browser.test_tabs import open_tab, status
from tests.browser.test_wishes import ready


def painted(folder: Path) -> list[Path]:
    """Ten small pictures."""
    paths = [folder / f"{k}.png" for k in range(10)]
    for path, picture in zip(paths, paint(torch.arange(10)), strict=True):
        to_pil_image((picture + 1) / 2).save(path)
    return paths


def choose(page, paths: list[Path]) -> None:
    """Give pictures to the tab."""
    page.set_input_files("#finetune-files input[type=file]", paths)
    page.wait_for_function("n => document.querySelectorAll('#finetune-files .file').length === n", arg=len(paths))


def fill(page, name: str, minutes: str) -> None:
    """Type into the tab's controls."""
    idle(page)
    for control, text in (("name input, #finetune-name textarea", name), ('minutes input[type="number"]', minutes)):
        page.fill(f"#finetune-{control}", text)
        page.keyboard.press("Tab")


def test_a_model_learns_from_pictures_and_is_steered_at_once(page, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "TRAINED", tmp_path / "trained")
    ready(page)
    open_tab(page, "Fine-tune", "finetune")
    fill(page, "ten", "0.1")
    page.click("#finetune-paint")
    assert status(page, "finetune", "error").startswith("Fine-tuning takes 10 to 500 pictures.")
    choose(page, painted(tmp_path))
    page.click("#finetune-paint")
    page.wait_for_selector('#finetune-status [data-state="done"]', timeout=300_000)
    assert status(page, "finetune", "done") == "Done: choose trained/ten as the model in the other tabs."
    assert page.locator("#finetune-view img").count() == 2
    assert page.locator("#finetune-view .g-label").first.inner_text() == "Samples before"
    page.reload()
    ready(page)
    open_tab(page, "Colour", "color")
    page.click("#color-advanced > button")
    idle(page)
    page.locator("#color-steps input[type=number]").fill("3")
    page.get_by_label("Model", exact=True).first.click()
    page.get_by_role("option", name="ten").click()
    page.click("#color-paint")
    page.wait_for_selector('#color-view [data-state="final"]')
