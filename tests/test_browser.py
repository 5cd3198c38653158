"""The playground in headless Chromium: what a visitor does, and that nothing leaves this machine.

Screenshots of both widths in both themes are written to `runs/screenshots` for a person to look at.
"""

import contextlib
import json
import re
import time
from pathlib import Path

import pytest

import jgen1d
from benchmarks import playground
from tests import accessible, chromium, scripts
from tests.chromium import FAST, Visit, wait

pytestmark = chromium.needed

SCREENSHOTS = Path(__file__).parent.parent / "runs" / "screenshots"


@pytest.fixture(scope="module")
def visit(browser, address):
    one = Visit(browser, address, "method=gan&preset=robust&target=bimodal" + FAST)
    yield one
    assert one.logged == []
    hosts = {url.split("/")[2] for url in one.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {address.split("/")[2]}


def beyond(number):
    return lambda text: text.isdigit() and int(text) > number


def test_start_trains_and_stop_stops(visit):
    visit.page.click("#start")
    visit.until(step=beyond(100))
    visit.page.click("#start")
    stopped = visit.until(state="idle")
    visit.until(drawn=stopped["step"], frames=beyond(0))
    losses = visit.losses()
    assert len(losses["step"]) == int(stopped["epoch"]) == len(losses["loss_g"])
    assert len(set(losses["loss_d"])) > 1
    visit.page.wait_for_selector("#status:has-text('epoch')")  # said once a second
    time.sleep(0.3)
    assert visit.data["step"] == stopped["step"]


def test_the_first_picture_has_the_data_and_the_untrained_model(browser, address):
    """Before Start, on a phone: run controls and two plots first, and the settings folded below them."""
    one = Visit(
        browser, address, "method=gan&preset=robust&target=bimodal" + FAST, viewport={"width": 390, "height": 844}
    )
    one.until(drawn="0")
    tops = [one.page.locator(f"#{name}").bounding_box()["y"] for name in ("start", "card-samples", "card-losses")]
    assert tops == sorted(tops)
    assert tops[-1] < 844
    assert one.page.locator("#settings-fold").bounding_box()["y"] > tops[-1]
    assert not one.page.is_visible("#method")
    one.page.locator("#card-discriminator").scroll_into_view_if_needed()
    wait(one.page, "document.getElementById('plot-discriminator').figure !== undefined")
    marks = {
        name: dict(one.page.evaluate(f"document.getElementById('plot-{name}').figure.marks.map((m) => [m.name, m.y])"))
        for name in ("samples", "discriminator")
    }
    assert sum(marks["samples"]["generated"]) > 0
    assert max(marks["samples"]["real: bimodal"]) > 0.4
    assert len(set(marks["discriminator"]["D(x)"])) > 1
    one.page.click(".jump")
    assert one.page.is_visible("#method")
    assert "method=gan" in one.page.url  # a link within the page leaves the address alone
    one.page.close()
    assert one.logged == []


def test_step_is_an_epoch_by_button_and_key(visit):
    before = int(visit.data["step"])
    visit.page.click("#step")
    visit.until(step=str(before + 10))
    visit.page.keyboard.press("s")
    visit.until(step=str(before + 20))
    visit.page.keyboard.press("d")
    visit.until(step=str(before + 30))


def test_distance_falls_until_the_end_and_the_verdict_is_said(visit):
    visit.page.fill("#num_steps", "1000")
    visit.anew(lambda: visit.page.press("#num_steps", "Enter"))
    visit.page.click("#start")
    visit.until(state="finished", step="1000")
    distance = visit.page.evaluate("window.playground.history.looks.w1_over_std")
    assert distance[-1] < 0.5 * distance[0]
    assert visit.data["verdict"] in jgen1d.verdict.VERDICTS
    assert visit.page.inner_text("#verdict").strip()


def test_reset_begins_anew(visit):
    visit.anew(lambda: visit.page.keyboard.press("r"))
    assert visit.losses().get("step", []) == []


def test_a_learning_rate_changes_the_run_without_a_reset(visit):
    visit.page.click("#step")
    visit.until(step="10")
    visit.page.fill("#field-learning_rate_g", "0.0005")
    visit.page.press("#field-learning_rate_g", "Enter")
    visit.page.click("#step")
    visit.until(step="20")
    assert visit.settings()["fields"]["learning_rate_g"] == "0.0005"
    assert "learning_rate_g=0.0005" in visit.page.url


def test_a_wrong_value_is_told_at_its_field(visit):
    visit.page.fill("#field-learning_rate_g", "-1")
    visit.page.press("#field-learning_rate_g", "Enter")
    visit.page.wait_for_selector("#error-learning_rate_g:has-text('at least 0')")
    assert visit.page.get_attribute("#field-learning_rate_g", "aria-invalid") == "true"
    visit.page.fill("#field-learning_rate_g", "0.001")
    visit.page.press("#field-learning_rate_g", "Enter")


@pytest.mark.parametrize(
    ("control", "value", "name", "expected"),
    [
        ("target", "two_normals", "target", "two_normals"),
        ("dataset_size", "512", "dataset_size", 512),
        ("method", "vae", "method", "vae"),
        ("method", "gan", "method", "gan"),
        ("preset", "playground", "preset", "playground"),
    ],
)
def test_choices_configure_the_run(visit, control, value, name, expected):
    visit.page.select_option(f"#{control}", value)
    visit.until(state="idle")
    assert visit.settings()[name] == expected


def test_the_address_reproduces_the_settings(visit, browser, address):
    visit.page.fill("#seed", "7")
    visit.page.press("#seed", "Enter")
    other = Visit(browser, address, visit.page.url.partition("#")[2])
    assert other.settings() == visit.settings()
    assert other.settings()["seed"] == 7
    other.page.close()
    assert other.logged == []


def test_a_phenomenon_and_its_cure_load_and_start(visit):
    """What the buttons of the others send is in test_controls.py."""
    from jgen1d.playground import phenomena

    (wanted,) = (one for one in phenomena.PHENOMENA if one["id"] == "dead_discriminator")
    for button, asked in ((f"button[data-phenomenon={wanted['id']}]", wanted), ("#cure", wanted["cure"])):
        visit.anew(lambda button=button: visit.page.click(button))
        visit.until(step=beyond(0))
        assert visit.settings() == asked["settings"]
        visit.page.keyboard.press("Space")
        visit.until(state=lambda state: state in ("idle", "finished"))


@pytest.mark.parametrize("method", jgen1d.METHODS)
def test_every_model_trains(visit, method):
    """With small networks, which compile sooner."""
    from jgen1d.playground import schema

    fields = schema.schema()["methods"][method]["fields"]
    small = "".join(f"&{field['name']}=4" for field in fields if field["kind"] == "widths")
    visit.anew(lambda: visit.page.evaluate(f"location.hash = 'method={method}&batch_size=16{small}'"))
    visit.page.click("#step")
    visit.until(step="10", drawn="10")
    assert visit.page.is_visible("#card-samples")
    assert visit.page.is_visible("#card-discriminator") == (method == "gan")
    assert visit.page.is_visible("#card-paths") == (method in ("diffusion", "flow_matching"))
    assert visit.losses()["step"] == [10]


def test_paths_are_shown_and_scrubbed(visit):
    visit.anew(lambda: visit.page.evaluate("location.hash = 'method=flow_matching&widths=4&batch_size=16'"))
    visit.page.click("#show-paths")
    visit.page.wait_for_selector("#show-paths:has-text('Update paths')")
    last = visit.page.inner_text("#paths-value")
    visit.page.locator("#paths-time").fill("0")
    assert visit.page.inner_text("#paths-value") == "0.00" != last
    names = visit.page.evaluate("document.getElementById('plot-paths').figure.marks.map((mark) => mark.name)")
    assert {"samples' paths", "exact paths", "velocity, learnt", "velocity, exact"} <= set(names)


def test_slow_motion_takes_single_steps(visit):
    visit.anew(lambda: visit.page.evaluate(f"location.hash = 'method=gan&preset=robust&target=bimodal{FAST}'"))
    visit.until(state="idle")
    visit.page.click("h1")  # letters choose in the list that had the focus
    visit.page.keyboard.press("m")
    assert visit.page.input_value("#speed") == "single"
    visit.page.click("#start")
    visit.until(step=beyond(2))
    visit.page.click("#start")
    stopped = visit.until(state="idle")
    assert int(stopped["step"]) < 100
    steps = visit.losses()["step"]
    assert steps == list(range(1, int(stopped["step"]) + 1))
    visit.page.keyboard.press("m")
    assert visit.page.input_value("#speed") == "fastest"


def test_fast_forward_lasts_until_the_run_ends(visit):
    visit.page.select_option("#speed", "slow")
    visit.page.fill("#num_steps", "500")
    visit.anew(lambda: visit.page.press("#num_steps", "Enter"))
    visit.page.click("h1")
    visit.page.keyboard.press("Space")
    visit.until(step=beyond(0))
    began = time.monotonic()
    visit.page.keyboard.press("f")
    assert visit.page.get_attribute("#forward", "aria-pressed") == "true"
    visit.until(state="finished")
    assert time.monotonic() - began < 10  # of the 12 s that slow frames of 0.25 s take at least
    wait(visit.page, "document.getElementById('forward').getAttribute('aria-pressed') === 'false'")
    assert visit.page.input_value("#speed") == "slow"
    visit.page.select_option("#speed", "fastest")


def test_many_seeds_train_at_once_and_each_can_be_looked_at(visit):
    visit.anew(lambda: visit.page.select_option("#lanes", "32"))
    visit.page.click("#step")
    visit.until(step="10")
    visit.page.wait_for_selector("#lane-buttons button >> nth=31")
    shares = visit.page.eval_on_selector_all("#lane-shares span", "spans => spans.map((span) => span.title)")
    assert sum(int(title.split(": ")[1].split(" of ")[0]) for title in shares) == 32
    visit.page.click("#lane-buttons button >> nth=5")
    visit.page.wait_for_selector("#lane-buttons button[aria-pressed=true][data-lane='5']")
    rate = visit.page.inner_text("#lane-rate")
    assert re.fullmatch(r"If training ended now: \d+ of 32 runs have learned it, \d+ % \[\d+–\d+\]", rate), rate
    band = visit.page.evaluate("window.playground.history.bands.loss_g")
    assert len(band) == 3
    assert band[0][-1] <= band[1][-1] <= band[2][-1]
    visit.anew(lambda: visit.page.select_option("#lanes", "1"))


def test_two_models_are_compared_and_the_address_keeps_both(visit):
    visit.anew(lambda: visit.page.select_option("#rival", "kept"))
    visit.page.fill("#field-learning_rate_g", "0.01")
    visit.page.press("#field-learning_rate_g", "Enter")
    visit.page.click("#step")
    visit.until(step="10")
    for side in ("", "-b"):
        visit.page.locator(f"#card-samples{side}").scroll_into_view_if_needed()
        assert visit.page.is_visible(f"#card-samples{side}")
    settings = visit.settings()
    assert (settings["fields"]["learning_rate_g"], settings["rival"]["fields"].get("learning_rate_g")) == ("0.01", None)
    assert "A: GAN, robust" in visit.page.inner_text("#sides")
    again = visit.page.evaluate("""async () => {
        const { fromHash } = await import("/static/url.js");
        return fromHash(await (await fetch("/schema.json")).json(), location.hash);
    }""")
    assert again == settings


def test_the_replay_is_one_file_that_plays_without_a_network(visit, browser, tmp_path):
    """Of the two models of the test before: seven plots, six of them twice."""
    visit.page.click("#step")
    visit.until(step="20")
    with visit.page.expect_download() as download:
        visit.page.click("#export-replay")
    path = tmp_path / "replay.html"
    download.value.save_as(path)
    assert path.stat().st_size < 200_000
    context, asked, logged = browser.new_context(offline=True), [], []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.goto(path.as_uri())
    shown = "document.getElementById('plots').querySelector('.plot').figure.marks[0].y"
    first = page.evaluate(shown)
    assert page.evaluate("document.body.dataset.step") == "0"
    page.click("#play")
    wait(page, "document.body.dataset.step === '20'")
    wait(page, "document.getElementById('play').textContent === 'Play'")
    assert page.evaluate(shown) != first
    assert page.evaluate("document.querySelectorAll('.plots figure:not([hidden])').length") == 13
    assert asked == [path.as_uri()]
    assert logged == []
    context.close()
    visit.anew(lambda: visit.page.select_option("#rival", ""))


@pytest.mark.parametrize(("column", "name_in_link"), [("minutes", "minutes"), ("1", "waiting_times")])
def test_an_upload_is_a_target_in_the_address_too(visit, browser, address, tmp_path, column, name_in_link):
    path = tmp_path / "waiting times.csv"
    path.write_text("number,minutes\n" + "".join(f"{i},{40 + i * 0.5}\n" for i in range(60)))
    visit.page.select_option("#target", "data")
    visit.page.fill("#data-column", "minutos")
    visit.page.set_input_files("#data", path)
    visit.page.wait_for_selector("#error-data:has-text(\"did you mean 'minutes'\")")
    visit.page.fill("#data-column", column)
    visit.page.press("#data-column", "Enter")
    visit.page.wait_for_selector("#data-note:has-text('60 values of “minutes”')")
    assert visit.settings()["target"] == "data"
    command = f"--data=waiting_times.csv --column={column} "
    wait(visit.page, f"document.getElementById('command').textContent.includes('{command}')")
    other = Visit(browser, address, visit.page.url.partition("#")[2])
    other.page.wait_for_selector(f"#data-note:has-text('60 values of “{name_in_link}”')")
    wait(other.page, "document.getElementById('python').textContent.includes('waiting_times.csv')")
    assert other.page.text_content("#command") == visit.page.text_content("#command")
    assert other.page.url == visit.page.url
    other.page.close()
    assert other.logged == []


def test_inverse_transform_sampling_drops_points(visit):
    fallen = "parseInt(document.getElementById('inverse-count').textContent)"
    visit.anew(lambda: visit.page.select_option("#target", "bimodal"))
    visit.page.locator("#inverse-u").fill("0.25")
    assert visit.page.inner_text("#inverse-value") == "0.25"
    visit.page.click("#inverse-many")
    assert visit.page.evaluate(fallen) == 100
    visit.page.click("#inverse-one")
    wait(visit.page, f"{fallen} === 101")
    visit.page.click("#inverse-clear")
    assert visit.page.evaluate(fallen) == 0


def test_command_and_code_are_copied(visit):
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for name in ("command", "python"):
        visit.page.click(f"#copy-{name}")
        visit.page.wait_for_selector("#copied:has-text('Copied.')")
        assert visit.page.evaluate("navigator.clipboard.readText()") == visit.page.text_content(f"#{name}")
        visit.page.evaluate("document.getElementById('copied').textContent = ''")


def test_picture_and_history_are_exported(visit, tmp_path):
    visit.page.click("#step")
    visit.until(step="10")
    files = {}
    for name in ("picture", "history", "csv"):
        with visit.page.expect_download() as download:
            visit.page.click(f"#export-{name}")
        files[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[name])
    assert files["picture"].read_bytes().startswith(b"\x89PNG")
    history = json.loads(files["history"].read_text())
    assert history["settings"] == visit.settings()
    lines = files["csv"].read_text().splitlines()
    last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
    assert last["step"] == "10"
    assert float(last["loss_g"]) == history["history"]["losses"]["loss_g"][-1]


def test_divergence_is_shown_with_its_step(visit):
    visit.anew(lambda: visit.page.evaluate("location.hash = 'method=vae&target=normal&learning_rate=1e30'"))
    visit.page.click("#start")
    visit.until(state="diverged")
    visit.page.wait_for_selector("#status:has-text('iverged at step')")
    assert visit.page.inner_text("#verdict") == "Diverged"


def test_theme_and_shortcuts_are_switched(visit):
    theme = visit.page.evaluate("document.documentElement.dataset.theme")
    visit.page.click("#theme")
    assert visit.page.evaluate("document.documentElement.dataset.theme") != theme
    visit.page.click("#theme")
    visit.anew(lambda: visit.page.select_option("#method", "gan"))
    visit.page.click("h1")
    visit.page.uncheck("#shortcuts")
    visit.page.keyboard.press("s")
    time.sleep(0.5)
    assert visit.data["step"] == "0"
    visit.page.check("#shortcuts")


def test_reduced_motion_is_respected(browser, address):
    visit = Visit(browser, address, "method=gan&target=normal" + FAST, reduced_motion="reduce")
    wait(visit.page, "document.getElementById('plot-inverse').figure !== undefined")  # it is drawn in its own time
    visit.page.click("#inverse-one")
    assert visit.page.inner_text("#inverse-count") == "1 fallen"  # at once, without its fall
    visit.page.close()


CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const background = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const texts = [...node.childNodes].filter((child) => child.nodeType === 3 && child.textContent.trim());
    if (!texts.length || !node.checkVisibility() || node.closest("svg, :disabled")) continue;
    const style = getComputedStyle(node);
    const [one, other] = [luminance(parse(style.color)), luminance(background(node))].sort((a, b) => b - a);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < (large ? 3 : 4.5)) faint.push([node.id || node.textContent.trim().slice(0, 30), contrast]);
  }
  return faint;
}"""
"""The visible texts with less contrast than WCAG 2.2 asks for at level AA (1.4.3); disabled controls are exempt."""


SIZES = pytest.mark.parametrize(("width", "height"), [(360, 800), (1600, 1000)])
THEMES = pytest.mark.parametrize("theme", ["light", "dark"])


@THEMES
@SIZES
def test_both_widths_and_themes_fit_and_are_photographed(browser, address, theme, width, height):
    check_looks(browser, address, "method=gan&preset=textbook&target=mixture" + FAST, "", theme, width, height)


def check_looks(browser, address, query, prefix, theme, width, height):
    """Trains a little, and looks at what is then shown: does it fit, can it be read? A screenshot is kept."""
    visit = Visit(browser, address, query, viewport={"width": width, "height": height}, color_scheme=theme)
    visit.page.click("#start")
    visit.until(step=beyond(200))
    visit.page.click("#start")
    visit.until(drawn=visit.until(state="idle")["step"])
    wait(visit.page, "document.getElementById('status').textContent.startsWith('Stopped')")  # said once a second
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visit.page.evaluate(CONTRAST) == []
    assert accessible.findings(visit.page) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=SCREENSHOTS / f"{prefix}{width}-{theme}.png")
    assert visit.logged == []
    visit.page.close()


def test_benchmark_compares_page_and_fit():
    flags = ("--rounds=1", "--seconds=0.5", "--presets=textbook", "--phenomena=")
    done = scripts.run(*flags, script=scripts.EXPERIMENTS.parent / "benchmarks/playground.py")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^textbook +\d+ +\d+ +[\d.]+ \[[\d.]+, [\d.]+\]", done.stdout, re.MULTILINE), done.stdout


def test_benchmark_times_a_phenomenon_and_its_cure(browser, address, monkeypatch, capsys):
    """On the tests' own server, which has compiled their programs already."""
    from jgen1d.playground import phenomena

    monkeypatch.setattr(playground, "serving", lambda cache: contextlib.nullcontext((cache, 0)))
    playground._phenomenon(browser, address.rstrip("/"), phenomena.PHENOMENA[3])
    said = capsys.readouterr().out
    assert re.search(r"^Dead discriminator +false_equilibrium +[\d.]+ +[\d.]+", said, re.MULTILINE), said
    assert re.search(r"^  A small step cures it +converged +[\d.]+ +[\d.]+", said, re.MULTILINE), said
