"""The Fine-tune tab: pictures in, a model out that the other tabs steer."""

import torch
from torchvision.transforms.functional import to_pil_image

from guidance import settings
from guidance.training.landscapes import paint
from tests.browser.test_tabs import open_tab, status
from tests.browser.test_wishes import ready


def test_a_model_learns_from_pictures_and_is_steered_at_once(page, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "TRAINED", tmp_path / "trained")
    paths = []
    for k, picture in enumerate(paint(torch.arange(10))):
        paths.append(tmp_path / f"{k}.png")
        to_pil_image((picture + 1) / 2).save(paths[-1])
    ready(page)
    open_tab(page, "Fine-tune", "finetune")
    for control, text in (("name input, #finetune-name textarea", "ten"), ('minutes input[type="number"]', "0.1")):
        page.fill(f"#finetune-{control}", text)
        page.keyboard.press("Tab")
    page.click("#finetune-paint")
    assert status(page, "finetune", "error").startswith("Fine-tuning takes 10 to 500 pictures.")
    page.set_input_files("#finetune-files input[type=file]", paths)
    page.wait_for_function("document.querySelectorAll('#finetune-files .file').length === 10")
    page.click("#finetune-paint")
    page.wait_for_selector('#finetune-status [data-state="done"]', timeout=300_000)
    assert status(page, "finetune", "done") == "Done: choose trained/ten as the model in the other tabs."
    assert page.locator("#finetune-view img").count() >= 1
    open_tab(page, "Colour", "color")
    page.click("#color-advanced > button")
    page.locator("#color-steps input[type=number]").fill("3")
    page.get_by_label("Model", exact=True).first.click()
    page.get_by_role("option", name="ten").click()
    page.click("#color-paint")
    page.wait_for_selector('#color-view [data-state="final"]')
