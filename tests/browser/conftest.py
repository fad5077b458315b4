"""A real browser: headless Chromium through Playwright. Too heavy for every run: `make check-browser` runs these."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

WANTED = "PERSLLM_BROWSER_TESTS"
collect_ignore_glob = [] if os.environ.get(WANTED) else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser. The system's Chromium is taken if there is one, else Playwright's own."""
    from playwright.sync_api import sync_playwright

    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
