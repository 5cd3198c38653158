"""What axe, the accessibility checker, finds in a page in Chromium."""

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
SERIOUS = ("serious", "critical")


def findings(page):
    """The serious and the critical ones: which rule, what it says, and where."""
    violations = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]])
        for one in violations
        if one["impact"] in SERIOUS
    ]
