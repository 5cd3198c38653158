"""The documentation's site: it is built without a warning, its pages run, and anyone can read them."""

import re
import sys

import pytest

from tests import accessible, chromium, readme

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
sphinx = pytest.importorskip("sphinx.cmd.build", reason="sphinx is not installed")
PAGES = ("index", "start", "judging", "data", "results", "families")


@pytest.fixture(scope="module")
def site(tmp_path_factory, cache_home):
    """The built pages. The build runs in this process, so that its programs are those of the tests."""
    del cache_home
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jgen1d.cli.app.keep_compiled", lambda: None)  # the tests keep theirs
        status = sphinx.build_main(["-W", "--keep-going", "-q", "-b", "html", str(readme.ROOT / "docs"), str(folder)])
    assert status == 0
    return folder


def test_the_site_has_every_page(site):
    pages = {page.stem for page in (readme.ROOT / "docs").glob("*.md")}  # with families.md, which the build writes
    assert pages <= {page.stem for page in site.glob("*.html")}
    assert pages - {"index"} == set(re.findall(r"^\w+$", (readme.ROOT / "docs" / "index.md").read_text(), re.MULTILINE))


def test_pages_show_what_their_code_gave(site):
    assert sys.modules["run_pages"].PAGES == readme.RUN_BY_THE_BUILD
    start, judging = ((site / f"{name}.html").read_text() for name in ("start", "judging"))
    assert "Result of gan on" in start
    assert "losses at log 2 in 4 of 4 seeds" in judging
    for page in (start, judging):
        (picture,) = re.findall(r'<img alt="[^"]+" src="(_images/(?:start|judging)-1\.png)"', page)
        assert (site / picture).stat().st_size > 30_000


@chromium.needed
def test_pages_have_no_serious_finding(site, browser):
    page = browser.new_page()
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        assert accessible.findings(page) == []
    page.close()
