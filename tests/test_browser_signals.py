"""Signals on the playground's page in headless Chromium: the menu's defaults, curves that move, and what is hidden.

Screenshots of both widths in both themes are written to `runs/screenshots` for a person to look at.
"""

import pytest

from tests import chromium
from tests.chromium import Mute, Visit, wait
from tests.test_browser import SIZES, THEMES, beyond, check_looks

pytestmark = chromium.needed

SMALL = "target=pulse&method=gan&preset=dcgan&widths_g=4&widths_d=4&latent_dim=2&batch_size=8&num_steps=100000"
SHOWN = ["curves", "losses", "players", "distance"]


@pytest.fixture(scope="module")
def mute(browser, address):
    one = Mute(browser, address)
    yield one
    one.page.close()


@pytest.fixture(scope="module")
def visit(browser, address):
    one = Visit(browser, address, SMALL)
    yield one
    one.page.close()
    assert one.logged == []


def offered(page, name):
    """The values of a list's options that can be chosen."""
    find = "options => options.filter((one) => !one.hidden && !one.disabled).map((one) => one.value)"
    return page.eval_on_selector_all(f"#{name} option", find)


def test_signals_have_a_group_in_the_menu_and_defaults_of_their_own(mute):
    from jgen1d.playground import schema, settings, signals

    group = "#target optgroup[label=Signals] option"
    assert mute.page.eval_on_selector_all(group, "all => all.map((one) => one.value)") == signals.NAMED
    mute.page.select_option("#target", "pulse")
    sent = mute.settings(lambda asked: asked["target"] == "pulse")
    start = schema.schema()["signals"]["methods"]["gan"]["start"]
    assert sent == settings.first() | signals.FIRST | start | {"target": "pulse"}
    assert set(offered(mute.page, "method")) == set(signals.FAMILIES)
    assert offered(mute.page, "lanes") == ["1", "4", "8"]
    for method in signals.FAMILIES:
        mute.page.select_option("#method", method)
        sent = mute.settings(lambda asked, method=method: asked["method"] == method)
        assert settings.resolve(sent, {}).settings == sent
    network = mute.page.eval_on_selector_all("#field-encoder option", "all => all.map((one) => one.value)")
    assert network == ["mlp", "conv"]
    mute.page.select_option("#target", "sine")
    assert mute.settings(lambda asked: asked["target"] == "sine")["method"] == "vae"


def test_back_to_numbers_all_is_as_it_was(mute):
    from jgen1d.playground import settings

    mute.page.select_option("#target", "pulse")
    mute.page.select_option("#method", "gan")
    mute.page.select_option("#lanes", "8")
    mute.page.select_option("#rival", "1")
    sent = mute.settings(lambda asked: asked["rival"] is not None and asked["target"] == "pulse")
    assert settings.resolve(sent, {}).num_lanes == 8
    again = mute.page.evaluate("""async () => {
        const { fromHash } = await import("/static/url.js");
        return fromHash(await (await fetch("/schema.json")).json(), location.hash);
    }""")
    assert again == sent
    mute.page.select_option("#target", "bimodal")
    assert mute.settings(lambda asked: asked["target"] == "bimodal") == settings.first()
    assert "kde" in offered(mute.page, "method")
    assert offered(mute.page, "lanes") == ["1", "32", "64"]
    assert mute.page.query_selector("#field-network_g") is None


@pytest.mark.parametrize(
    ("hash", "expected"),
    [
        ("target=pulse", {"method": "gan", "preset": "dcgan", "batch_size": 64}),
        ("target=pulse&method=kde", {"method": "gan", "preset": "dcgan"}),
        ("target=pulse&method=vae&seed=3", {"method": "vae", "seed": 3, "num_steps": 2_000}),
        ("target=bimodal&preset=dcgan", {"method": "gan", "preset": "regularized"}),
    ],
)
def test_a_short_address_is_completed(mute, hash, expected):
    found = mute.page.evaluate(
        """async (hash) => {
        const { fromHash } = await import("/static/url.js");
        return fromHash(await (await fetch("/schema.json")).json(), hash);
    }""",
        hash,
    )
    assert {name: found[name] for name in expected} == expected
    assert (found["fields"].get("encoder") == "conv") == (found["method"] == "vae")


def test_curves_are_drawn_and_move_and_other_panels_are_hidden(visit):
    visit.until(drawn="0")
    marks = "document.getElementById('plot-curves').figure.marks.map(({ name, x, y, low }) => [name, x, y, low])"
    wait(visit.page, "document.getElementById('plot-curves').figure?.marks.length === 4")
    first = {name: (x, y, low) for name, x, y, low in visit.page.evaluate(marks)}
    assert list(first) == ["real: mean ± 2 std", "generated: mean ± 2 std", "generated signals", "real signals"]
    assert first["generated signals"][0] == [*range(64), None] * 16
    assert len(first["real signals"][1]) == 4 * 65
    visit.page.click("#start")
    visit.until(step=beyond(100))
    visit.page.click("#start")
    visit.until(drawn=visit.until(state="idle")["step"])
    later = {name: (x, y, low) for name, x, y, low in visit.page.evaluate(marks)}
    for name in ("generated: mean ± 2 std", "generated signals"):
        assert later[name] != first[name]
    assert later["real: mean ± 2 std"] == first["real: mean ± 2 std"]
    shown = visit.page.evaluate("[...document.querySelectorAll('.plots figure:not([hidden])')].map(({ id }) => id)")
    assert shown == [f"card-{name}" for name in SHOWN]
    for name in ("frechet", "factor", "residual"):
        assert visit.page.inner_text(f"#metric-{name}").split()[0].replace(".", "").isdigit()
    assert visit.page.is_hidden("#metric-modes")


def test_bands_are_read_at_the_pointer(visit):
    for name, words in {"curves": "real: mean ± 2 std: ", "distance": "perfect samplers, 90 %: "}.items():
        plot = visit.page.locator(f"#plot-{name}")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        plot.locator(f".readout:has-text('{words}')").wait_for()
        low, high = plot.locator(".readout").inner_text().partition(words)[2].split("\n")[0].split(" to ")
        assert float(low) < float(high)


def test_the_replay_of_signals_plays_without_a_network(visit, browser, tmp_path):
    with visit.page.expect_download() as download:
        visit.page.click("#export-replay")
    path = tmp_path / "replay.html"
    download.value.save_as(path)
    assert path.stat().st_size < 1_000_000
    context, logged = browser.new_context(offline=True), []
    page = context.new_page()
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.goto(path.as_uri())
    assert page.evaluate("document.querySelectorAll('.plots figure:not([hidden])').length") == len(SHOWN)
    curves = "document.querySelector('.plots figure:not([hidden]) .plot').figure.marks[2].y"
    first = page.evaluate(curves)
    assert len(first) == 16 * 65
    page.click("#play")
    wait(page, f"document.body.dataset.step === '{visit.data['step']}'")
    assert page.evaluate(curves) != first
    assert logged == []
    context.close()


@THEMES
@SIZES
def test_signals_fit_both_widths_and_themes_and_are_photographed(browser, address, theme, width, height):
    check_looks(browser, address, SMALL, "signals-", theme, width, height)


def test_numbers_have_their_panels_after_signals(visit):
    visit.anew(lambda: visit.page.select_option("#target", "bimodal"))
    visit.until(drawn="0")
    wait(visit.page, "!document.getElementById('card-samples').hidden")
    for name in ("samples", "discriminator", "moments", "inverse"):
        assert visit.page.is_visible(f"#card-{name}")
    assert visit.page.is_hidden("#card-curves")
    wait(visit.page, "document.getElementById('metric-frechet').parentElement.hidden")  # by the first frame
    assert visit.page.is_visible("#metric-modes")
