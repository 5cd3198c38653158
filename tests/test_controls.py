"""The playground's controls in headless Chromium, without a server's answers: what each of them sends."""

import json
import re

import pytest

import jgen1d
from tests import chromium
from tests.chromium import Mute, wait

pytestmark = chromium.needed


@pytest.fixture(scope="module")
def mute(browser, address):
    one = Mute(browser, address)
    yield one
    one.page.close()


def another_value(field):
    """A text for a field that is not its default, and within its bounds; None where there is no other."""
    before, kind = field["default"], field["kind"]
    if kind in ("choice", "bool"):
        choices = ["true", "false"] if kind == "bool" else field["choices"]
        return next((choice for choice in choices if choice != before), None)
    if kind == "int":
        return str(int(before) + (1 if int(before) < 100 else -1))
    return "7-5" if kind == "widths" else "0.5" if before != "0.5" else "0.25"


def test_every_hyper_parameter_of_every_model_has_a_control_that_sets_it(mute):
    """And the server takes each of the values that they send; those that need another beside them say which."""
    from jgen1d.playground import frames, schema, settings

    refused = {}
    for method, described in frames.plain(schema.schema())["methods"].items():
        mute.page.select_option("#method", method)
        base = mute.settings(lambda asked, method=method: asked["method"] == method)
        values = {field["name"]: another_value(field) for field in described["fields"]}
        values = {name: value for name, value in values.items() if value is not None}
        for name, value in values.items():
            if mute.page.evaluate("(id) => document.getElementById(id).tagName", f"field-{name}") == "SELECT":
                mute.page.select_option(f"#field-{name}", value)
            else:
                mute.type(f"field-{name}", value)
            try:
                settings.resolve(base | {"fields": {name: value}}, {})
            except settings.FieldError as error:
                refused[f"{method}.{name}"] = error.field
        assert mute.settings(lambda asked, values=values: asked["fields"] == values)["method"] == method
    assert refused == {"energy.persistent": "persistent", "gan.batch_norm_d": "", "gan.minibatch_features": ""}


def test_sliders_and_numbers_of_layers_and_units_set_fields(mute):
    mute.page.select_option("#method", "gan")
    mute.page.locator("#field-learning_rate_g-slider").fill("-2")
    assert mute.settings(lambda asked: "learning_rate_g" in asked["fields"])["fields"]["learning_rate_g"] == "0.01"
    assert mute.page.input_value("#field-learning_rate_g") == "0.01"
    mute.type("field-widths_d-layers", "3")
    mute.type("field-widths_d-units", "20")
    assert mute.settings(lambda asked: asked["fields"].get("widths_d") == "20-20-20")
    assert mute.page.input_value("#field-widths_d") == "20-20-20"


def test_numbers_of_the_run_are_set(mute):
    for name, value in {"batch_size": 64, "num_steps": 70, "seed": 9}.items():
        mute.type(name, str(value))
        assert mute.settings(lambda asked, name=name, value=value: asked[name] == value)
    mute.type("seed", "1.5")
    assert mute.page.inner_text("#error-seed") == "Enter a whole number."
    assert mute.page.get_attribute("#seed", "aria-invalid") == "true"
    mute.type("seed", "8")


def test_presets_of_the_gan_are_offered_and_taken(mute):
    from jgen1d.playground import settings

    mute.page.select_option("#method", "gan")
    presets = mute.page.eval_on_selector_all("#preset option", "options => options.map(option => option.value)")
    assert presets == list(settings.presets(jgen1d.METHODS["gan"]))
    for preset in presets:
        mute.page.select_option("#preset", preset)
        settings.resolve(mute.settings(lambda asked, preset=preset: asked["preset"] == preset), {})


def test_a_density_is_drawn_with_the_mouse_and_with_keys(mute):
    mute.page.select_option("#target", "drawn")
    first = mute.settings(lambda asked: asked["target"] == "drawn")["drawn"]
    assert len(first) == 81
    canvas = mute.page.locator("#drawn")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    mute.page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    mute.page.mouse.down()
    mute.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"], steps=4)
    mute.page.mouse.up()
    drawn = mute.settings(lambda asked: asked["drawn"] != first)["drawn"]
    assert min(drawn[8:25]) > 40 > max(first[8:12])
    assert drawn[40:] == first[40:]
    canvas.press("ArrowUp")
    changed = mute.settings(lambda asked: asked["drawn"] != drawn)["drawn"]
    assert sum(a != b for a, b in zip(changed, drawn, strict=True)) == 1
    digits = mute.page.evaluate("new URLSearchParams(location.hash.slice(1)).get('drawn')")
    assert len(digits) == 81
    mute.page.click("#drawn-clear")
    mute.page.select_option("#target", "normal")


def test_controls_have_names(mute):
    """Visible words, a label or an aria-label: what a screen reader says."""
    nameless = mute.page.evaluate("""() => [...document.querySelectorAll("button, input, select, canvas, summary")]
        .filter((node) => !(node.labels?.length || node.textContent.trim() || node.getAttribute("aria-label")
                            || node.getAttribute("aria-labelledby")))
        .map((node) => node.id || node.outerHTML)""")
    assert nameless == ["cure"]  # hidden, until a phenomenon gives it its words


def test_the_keyboard_alone_reaches_every_control(mute):
    """By Tab, in turn; the list of hyper-parameters is open."""
    names = """() => [...document.querySelectorAll("button, input, select, a[href], summary, [tabindex='0']")]
        .filter((node) => node.checkVisibility() && !node.disabled)
        .map((node) => (node.dataset.number = [...document.querySelectorAll("*")].indexOf(node)))"""
    wanted = {str(number) for number in mute.page.evaluate(names)}
    assert len(wanted) > 60
    mute.page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(2 * len(wanted)):
        mute.page.keyboard.press("Tab")
        reached.add(mute.page.evaluate("document.activeElement.dataset.number"))
    assert wanted <= reached


@pytest.mark.parametrize("number", range(5))
def test_phenomena_are_toured_and_cured(mute, number):
    """Each button sends its settings, begins anew and starts."""
    from jgen1d.playground import rates

    wanted = rates.told(rates.stored())["phenomena"][number]
    for button, asked, step in (
        (f"button[data-phenomenon={wanted['id']}]", wanted, 0), ("#cure", wanted["cure"], 2),
    ):  # fmt: skip
        mute.page.click(button)
        mute.settings(lambda sent, asked=asked: sent == asked["settings"])
        assert [json.loads(text)["type"] for text in mute.sent][-2:] == ["reset", "start"]
        assert mute.page.get_attribute(button, "aria-pressed") == "true"
        assert mute.page.inner_text("#lesson-text") == wanted["tour"][step]
    mute.page.click("#tour-back")
    assert mute.page.inner_text("#lesson-text") == wanted["tour"][1]


def test_hints_are_two_sentences_on_every_plot(mute):
    from jgen1d.playground import lessons

    for name, text in lessons.HINTS.items():
        assert len(re.findall(r"[.](?: |$)", text)) == 2
        hint = mute.page.locator(f"#card-{name} .hint")
        assert hint.locator("p").text_content() == text
    hint = mute.page.locator("#card-samples .hint")
    hint.locator("summary").focus()
    mute.page.keyboard.press("Enter")
    assert hint.locator("p").is_visible()
    mute.page.keyboard.press("Escape")
    assert hint.locator("p").is_hidden()


def test_an_experiment_sets_everything_up_and_its_seeds_answer(browser, address):
    """The server is played by the test, which tells what 32 seeds did; what was measured before is there at a click."""
    from jgen1d.playground import rates

    one = Mute(browser, address)
    wanted = rates.told(rates.stored())["experiments"][0]
    one.page.click(f"[data-experiment={wanted['id']}]")
    assert one.settings(lambda asked: asked["lanes"] == 32) == wanted["settings"]
    assert [json.loads(text)["type"] for text in one.sent][-2:] == ["reset", "start"]
    assert one.page.inner_text("#lesson-text") == wanted["question"]
    assert one.page.is_hidden("#measured-text")
    one.page.click("#measured summary")
    assert one.page.inner_text("#measured-text") == wanted["measured"]
    one.page.click("#measured summary")
    frame = {
        "type": "frame", "step": 2_000, "epoch": 200, "lane": 0, "metrics": {}, "lanes_w1": [0.1] * 32,
        "lanes_verdict": ["converged"] * 8 + ["mode_collapse"] * 24, "looks": {"from": 0, "step": []},
        "lanes_learned": {"count": 8, "share": 0.25, "low": 0.132, "high": 0.421}, "losses": {"from": 0, "step": []},
    }  # fmt: skip
    one.socket.send(json.dumps({"type": "status", "state": "running", "message": ""}))
    one.socket.send(json.dumps(frame | {"rival": frame | {"lanes_w1": [0.025] * 32}}))
    one.socket.send(json.dumps({"type": "status", "state": "finished", "message": ""}))
    one.page.wait_for_selector("#answer:has-text('A learned it in 8 of 32 seeds (25 % [13–42])')")
    assert "with a median W₁/σ of 0.025." in one.page.inner_text("#answer")
    assert one.page.is_visible("#measured-text")
    one.page.close()


def test_a_connection_that_breaks_is_told_and_can_be_opened_again(browser, address):
    page, sockets = browser.new_page(), []
    page.route_web_socket("**/ws", lambda socket: sockets.append(socket))
    page.goto(address)
    wait(page, "document.body.dataset.connected === 'true'")
    sockets[-1].close(code=1013, reason="4 pages are open already: close one")
    page.wait_for_selector("#connection-text:has-text('4 pages are open already')")
    assert page.is_disabled("#start")
    page.click("#reconnect")
    wait(page, "document.body.dataset.connected === 'true'")
    assert page.is_hidden("#connection")
    page.close()
