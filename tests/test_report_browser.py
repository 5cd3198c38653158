"""A report in headless Chromium without a network: no request, no page that scrolls sideways, sorting, both schemes.

Screenshots of both widths in both schemes are written to `runs/screenshots` for a person to look at.
"""

import pytest

from jgen1d.report.page import of_workdir
from jgen1d.report.pair_page import of_pair
from tests import accessible, chromium
from tests.test_browser import CONTRAST, SCREENSHOTS
from tests.test_report import train, write

pytestmark = chromium.needed
PAINT = "performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)[0]"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "run"
    with pytest.MonkeyPatch.context() as patch:
        write(path, train(), patch)
    return path


@pytest.fixture
def visit(browser, workdir):
    """A function that opens the report; afterwards it has logged nothing, and asked for nothing but itself."""
    logged, asked, contexts = [], [], []
    address = (workdir / "report.html").as_uri()

    def opened(**options):
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert logged == []
    assert set(asked) <= {address, "data:,"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1400, 900)])
def test_the_report_fits_and_can_be_read(visit, scheme, width, height):
    page = visit(viewport={"width": width, "height": height}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(CONTRAST) == []
    assert accessible.findings(page) == []
    clipped = """[...document.querySelectorAll('.chart text')].filter((text) => {
      const [box, whole] = [text.getBoundingClientRect(), text.closest('.chart').getBoundingClientRect()];
      return box.left < whole.left || box.right > whole.right || box.bottom > whole.bottom;
    }).length"""
    assert page.evaluate(clipped) == 0
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"report-{width}-{scheme}.png", full_page=True)
    print(f"first paint after {page.evaluate(PAINT)} ms")


def test_the_page_of_two_workdirs_can_be_read_by_anyone(browser, workdir, tmp_path):
    path = tmp_path / "differences.html"
    path.write_bytes(of_pair(workdir, workdir))
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(CONTRAST) == []
    assert accessible.findings(page) == []
    page.screenshot(path=SCREENSHOTS / "differences.png", full_page=True)
    page.close()


def test_a_heading_sorts_the_table_and_back(visit):
    page = visit()
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map((row) => row.cells[{}].textContent)"
    heading = page.locator("table.sortable th", has_text="W1/floor")
    index = heading.evaluate("(heading) => heading.cellIndex")

    def values():
        return [float(text.split()[0]) for text in page.evaluate(column.format(index))]

    before = values()
    heading.locator("button").click()
    assert values() == sorted(before)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert values() == sorted(before, reverse=True)
    page.locator("table.sortable th button").first.click()
    assert page.evaluate(column.format(0)) == ["normal"] * 2 + ["uniform"] * 2
    assert page.locator("[aria-sort]").count() == 1


def test_without_scripts_the_report_is_whole(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("table.sortable tbody tr").count() == 4
    assert page.locator("th button").count() == 0


def test_the_report_can_be_printed(browser, workdir):
    page = browser.new_page(color_scheme="dark")
    page.goto((workdir / "report.html").as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--text')") == "#1b1f24"
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    page.close()


def test_a_name_that_is_a_script_is_shown_and_not_run(browser, workdir, tmp_path):
    path = tmp_path / "report.html"
    text = of_workdir(workdir).replace(b"normal, slow", b"<img src=x onerror='document.title=1'>")
    path.write_bytes(text)
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.title() != "1"  # even what escaping would miss is stopped by the page's own policy
    page.close()
