"""What the owner of a page can watch: that it is up, numbers, and a line in the log for each run."""

import logging
import re

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from guidance import settings
from guidance.ui import page
from tests.fake import Fake

LINE = re.compile(r"run=[0-9a-f]{8} what=(\S+) outcome=(\S+) waited=\d+\.\d\d took=\d+\.\d\d")


def served(**more) -> tuple:
    """A page over a fake, and where it is."""
    demo = page.build(Fake())
    return demo, page.launch(demo, host="127.0.0.1", port=None, quiet=True, **more)


def test_whether_a_page_is_up_is_told_to_anybody(monkeypatch):
    for public, auth in ((True, None), (False, ("me", "secret"))):
        monkeypatch.setattr(settings, "PUBLIC", public)
        demo, url = served(auth=auth)
        try:
            answer = httpx.get(f"{url}healthz")
            assert (answer.status_code, answer.text) == (200, "ok\n")
        finally:
            demo.close()


def test_there_are_no_numbers_unless_they_are_asked_for_and_none_on_public_pages(monkeypatch):
    for metrics, public in ((False, False), (True, True)):
        monkeypatch.setattr(settings, "METRICS", metrics)
        monkeypatch.setattr(settings, "PUBLIC", public)
        demo, url = served()
        try:
            assert httpx.get(f"{url}metrics").status_code == 404
        finally:
            demo.close()


def test_numbers_of_runs_and_lines_of_the_log_say_how_they_ended_and_not_what_they_were_told(monkeypatch, caplog):
    monkeypatch.setattr(settings, "METRICS", True)
    demo, url = served()
    try:
        client = Client(url, verbose=False, download_files=False, analytics_enabled=False)
        with caplog.at_level(logging.INFO):
            client.predict(prompt="a secret lake", steps=4, api_name="/clip")
            client.predict(steps=2, api_name="/color")
        text = httpx.get(f"{url}metrics").text
        for row in ('runs_total{outcome="done"} 2', 'runs_total{outcome="failed"} 0', 'line{state="waiting"} 0',
                    "step_seconds_count 6", "refused_total 0"):  # fmt: skip
            assert f"guidance_{row}\n" in text
        assert re.search(r"^guidance_cache_bytes \d+$", text, re.MULTILINE)
        lines = [found.groups() for record in caplog.records if (found := LINE.fullmatch(record.getMessage()))]
        assert lines == [("api:prompt", "done"), ("api:color", "done")]
        assert "secret" not in caplog.text and "127.0.0.1" not in "".join(map(str, lines))
    finally:
        demo.close()


def test_a_run_that_fails_is_counted_as_one(monkeypatch):
    monkeypatch.setattr(settings, "METRICS", True)
    demo = page.build(Fake(fail_at=2, error=ZeroDivisionError("x")))
    url = page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    try:
        client = Client(url, verbose=False, download_files=False, analytics_enabled=False)
        with pytest.raises(AppError):
            client.predict(steps=4, api_name="/color")
        assert 'guidance_runs_total{outcome="failed"} 1\n' in httpx.get(f"{url}metrics").text
    finally:
        demo.close()


def test_numbers_of_a_page_with_a_login_are_for_who_has_it(monkeypatch):
    monkeypatch.setattr(settings, "METRICS", True)
    demo, url = served(auth=("me", "secret"))
    try:
        assert httpx.get(f"{url}metrics").status_code == 401
        assert httpx.get(f"{url}metrics", auth=("me", "wrong")).status_code == 401
        assert "guidance_line" in httpx.get(f"{url}metrics", auth=("me", "secret")).text
    finally:
        demo.close()
