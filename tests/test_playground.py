"""The playground without a browser: what it accepts, that it trains what the library trains, and whom it serves."""

import asyncio
import contextlib
import dataclasses
import json
import re
import socket
import threading
import time
import urllib.request
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.stats

import jgen1d
from jgen1d.methods import gan
from jgen1d.targets import TARGETS
from tests.served import SETTINGS, Page, check_refusal, served

pytest.importorskip("starlette", reason='needs the extra "playground"')

from starlette.testclient import TestClient, WebSocketDenialResponse
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync import client

from benchmarks import pages
from jgen1d.playground import frames, lessons, look, pace, phenomena, schema, server, settings, takeaway, warmup
from jgen1d.playground.trainer import Trainer
from jgen1d.playground.training import Training

HOST = "127.0.0.1:8000"
OWN = {"host": HOST, "origin": f"http://{HOST}"}


# --- settings -----------------------------------------------------------------------------------------------------


def test_settings_stand_for_a_config_and_are_written_without_what_changes_nothing():
    fields = {"learning_rate_d": "1e-4", "r1": "none", "widths_g": "8-4", "spectral_norm": "false"}
    found = settings.resolve(SETTINGS | {"fields": fields}, {})
    assert found.settings["fields"] == {"learning_rate_d": "0.0001", "widths_g": "8-4"}
    changed = gan.preset("textbook").replace(learning_rate_d=1e-4, widths_g=(8, 4), dim=1, shape=(1,), num_steps=30)
    assert found.config == changed
    assert settings.resolve(found.settings, {}).config == changed
    assert takeaway.as_command(found, {}) == (
        "python experiments/convergence.py --method=gan --preset=textbook --learning_rate_d=0.0001 --widths_g=8-4 "
        "--targets=bimodal --num_seeds=1 --seed=3 --num_steps=30 --batch_size=32"
    )


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"method": "gann"}, "method", "did you mean 'gan'?"),
        ({"preset": "textbok"}, "preset", "did you mean 'textbook'?"),
        ({"target": "bimodel"}, "target", "did you mean 'bimodal'?"),
        ({"target": "ring"}, "target", "no target 'ring'"),
        ({"target": "data"}, "target", "upload a column"),
        ({"target": "drawn", "drawn": [1, 2]}, "target", "81 heights"),
        ({"target": "drawn", "drawn": [0] * 81}, "target", "not all 0"),
        ({"target": "drawn", "drawn": [float("nan")] * 81}, "target", "at least 0"),
        ({"batch_size": 0}, "batch_size", "from 1 to 4096"),
        ({"batch_size": True}, "batch_size", "must be an integer"),
        ({"num_steps": 15}, "num_steps", "multiple of 10"),
        ({"num_steps": 10**9}, "num_steps", "from 10 to 100000"),
        ({"seed": -1}, "seed", "from 0"),
        ({"lanes": 10**6}, "lanes", "one of 1, 32, 64"),
        ({"dataset_size": 33}, "dataset_size", "one of 0, 32"),
        ({"fields": {"learning_rate_g": "-1"}}, "learning_rate_g", "must be at least 0"),
        ({"fields": {"learning_rate_g": "nan"}}, "learning_rate_g", "finite"),
        ({"fields": {"learning_rate_g": 1}}, "learning_rate_g", "short text"),
        ({"fields": {"widths_d": "10000"}}, "widths_d", "at most 6 layers of at most 256 units"),
        ({"fields": {"latent_dim": "100000"}}, "latent_dim", "at most 512"),
        ({"fields": {"critic_steps": "500"}, "batch_size": 4096}, "batch_size", "rows"),
        ({"fields": {"discriminator_loss": "hinge"}}, "generator_loss", "use hinge"),
        ({"fields": {"num_steps": "5"}}, "", "no field 'num_steps'"),
        ({"fields": []}, "", "must be an object"),
        ({"rival": []}, "rival", "must be an object"),
        ({"rival": {"method": "gann"}}, "rival", "method: no method 'gann'; did you mean 'gan'?"),
        ({"rival": {"method": "gan", "fields": {"r1": "-1"}}}, "rival", "r1: must be"),
    ],
)
def test_wrong_settings_are_refused_at_their_field(change, field, message):
    check_refusal(SETTINGS | change, field, message)


def test_settings_that_are_no_object_are_refused():
    with pytest.raises(settings.FieldError, match="object"):
        settings.resolve([], {})


def test_an_upload_is_a_target_and_wrong_ones_name_their_row():
    text = "id,minutes\n1,54\n2,74.5\n3,62\n"
    name, upload = settings.read_upload({"name": "../wait times.csv", "column": "minutes", "text": text})
    assert (upload.file, upload.column, upload.target.name) == ("wait_times.csv", "minutes", "minutes")
    found = settings.resolve(SETTINGS | {"target": "data", "data": name}, {name: upload})
    np.testing.assert_array_equal(found.truth.params, [54, 62, 74.5])
    assert "--data=wait_times.csv --column=minutes" in takeaway.as_command(found, {name: upload})
    again = {"name": "wait_times.csv", "column": "minutes", "text": "minutes\n" + upload.values.replace(",", "\n")}
    np.testing.assert_array_equal(settings.read_upload(again)[1].target.params, upload.target.params)
    wrong_ones = {"minuets": {"column": "minuets"}, "lots": {"text": text + "4,lots\n"}, "csv": {"name": "a.exe"}}
    for message, wrong in (wrong_ones | {"text": {"text": 5}}).items():
        with pytest.raises(settings.FieldError, match=message) as error:
            settings.read_upload({"name": "a.csv", "column": "minutes", "text": text} | wrong)
        assert error.value.field == "data"
        assert "/" not in str(error.value)


def test_a_file_with_too_many_values_has_no_place_in_an_address():
    text = "\n".join(map(str, range(settings.LINK_VALUES + 1)))
    assert settings.read_upload({"name": "a.csv", "text": text})[1].values is None
    assert settings.read_upload({"name": "a.csv", "text": text.rpartition("\n")[0]})[1].values.startswith("0.0,1.0,")


def test_a_column_that_a_terminal_would_obey_is_in_no_command():
    for column, is_shown in {"a b'$x": True, "a\x1b[31m": False, "a\u202e": False}.items():
        name, upload = settings.read_upload({"name": "a.csv", "column": column, "text": f'"{column}",b\n1,2\n2,3\n'})
        found = settings.resolve(SETTINGS | {"target": "data", "data": name}, {name: upload})
        assert (takeaway.as_command(found, {name: upload}) is not None) == is_shown
        assert takeaway.as_python(found, {name: upload}).replace("\n", "").isprintable()


SMALL = {"num_steps": 10, "batch_size": 8, "fields": {"widths_g": "3", "widths_d": "3"}}


@pytest.mark.parametrize(
    ("change", "num_lines"),
    [
        ({"target": "drawn", "drawn": [0] * 40 + [1] * 41}, 1),
        ({"target": "data", "dataset_size": 32}, 2),
        ({"target": "normal", "dataset_size": 64, "lanes": 32}, 35),
    ],
    ids=lambda value: value["target"] if isinstance(value, dict) else "",
)
def test_python_code_runs_as_it_stands(change, num_lines, tmp_path, monkeypatch, capsys):
    """With a dataset it also tells the distance to what that was drawn from, a number for each seed."""
    text = "minutes\n" + "\n".join(map(str, range(40, 100)))
    (tmp_path / "waits.csv").write_text(text)
    monkeypatch.chdir(tmp_path)
    name, upload = settings.read_upload({"name": "waits.csv", "column": "minutes", "text": text})
    asked = SETTINGS | SMALL | change | {"data": name if change["target"] == "data" else None}
    found = settings.resolve(asked, {name: upload})
    exec(takeaway.as_python(found, {name: upload}), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == num_lines
    if "dataset_size" in change:
        numbers = [float(line) for line in lines[-asked["lanes"] :]]
        assert np.isfinite(numbers).all()
        assert len(set(numbers)) == asked["lanes"]
        assert takeaway.as_command(found, {name: upload}) is None


def test_the_page_offers_the_largest_networks_that_the_server_takes_and_no_larger():
    field = next(f for f in schema.schema()["methods"]["gan"]["fields"] if f["name"] == "widths_g")
    layers, units = field["max_layers"], field["max_units"]
    for widths, taken in [((units,) * layers, True), ((units,) * (layers + 1), False), ((units + 1,), False)]:
        asked = SETTINGS | {"fields": {"widths_g": "-".join(map(str, widths))}}
        if taken:
            assert settings.resolve(asked, {}).config.widths_g == widths
        else:
            with pytest.raises(settings.FieldError, match=f"at most {layers} layers of at most {units} units"):
                settings.resolve(asked, {})


def test_schema_has_every_method_and_field_in_plain_json():
    found = json.loads(json.dumps(frames.plain(schema.schema()), allow_nan=False))
    assert found["methods"].keys() == jgen1d.METHODS.keys()
    assert list(found["methods"])[:4] == ["gan", "vae", "diffusion", "flow_matching"]
    for name, method in found["methods"].items():
        every = dataclasses.fields(jgen1d.METHODS[name].Config)
        # Networks of signals are no choice for columns.
        choices = {field.name: set(field.metadata.get("choices", ())) - {"conv", "growing", "unet"} for field in every}
        declared = {name for name, found in choices.items() if len(found) != 1}
        assert {field["name"] for field in method["fields"]} == declared - set(settings.HIDDEN)
        for preset, values in method["preset_values"].items():
            settings.resolve(SETTINGS | {"method": name, "preset": preset, "fields": values}, {})


@pytest.mark.parametrize("phenomenon", phenomena.PHENOMENA, ids=lambda one: one["id"])
def test_phenomena_are_settings_with_a_tour_of_three_steps(phenomenon):
    for asked in (phenomenon["settings"], phenomenon["cure"]["settings"]):
        assert settings.resolve(asked, {}).settings == asked
    assert phenomenon["shows"] in phenomena.VERDICTS
    assert len(phenomenon["tour"]) == 3


@pytest.mark.parametrize("experiment", lessons.EXPERIMENTS, ids=lambda one: one["id"])
def test_experiments_are_two_models_with_the_same_seeds(experiment):
    found = settings.resolve(experiment["settings"], {})
    assert found.settings == experiment["settings"]
    assert (found.num_lanes, found.rival.num_lanes, found.seed) == (32, 32, found.rival.seed)
    assert (found.method, found.config) != (found.rival.method, found.rival.config)
    assert found.rival.rival is None


def test_ready_made_pairs_are_settings():
    for pair in lessons.PAIRS:
        rival = {name: pair[name] for name in settings.RIVAL}
        assert settings.resolve(SETTINGS | {"rival": rival}, {}).settings["rival"] == rival


@pytest.mark.parametrize(("num_steps", "epochs"), [(10, 1), (1_000, 1), (5_000, 2), (100_000, 42)])
def test_a_run_at_normal_speed_lasts_about_fifteen_seconds(num_steps, epochs):
    """Whatever its length, unless it is so short that its frames would stand still."""
    found = pace.pace("normal", num_steps // 10)
    assert found.epochs == epochs
    lasts = found.seconds * num_steps / 10 / epochs
    assert lasts == pytest.approx(15) or found.seconds == pace.SINGLE_SECONDS
    assert pace.pace("fastest", 500) == (None, 0)


# --- the trainer --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(address):  # which is closed after this, and waits for all trainers
    one = Page()
    yield one
    one.trainer.close()
    assert not any(message["type"] == "error" for message in one.messages), one.messages


def test_a_run_on_the_page_is_the_run_of_its_python_code(page):
    asked = SETTINGS | {"fields": {"learning_rate_d": "0.002"}}
    (configured,) = [m for m in page.ask("configure", settings=asked) if m["type"] == "configured"]
    said = page.ask("start")
    assert said[-1] == {"type": "status", "state": "finished", "message": "finished after 30 steps"}
    frame = page.trainer.frame
    code = {}
    exec(configured["python"].replace("print(", "("), code)
    result = code["result"]
    assert frame.content["verdict"] == result.verdict
    assert frame.content["metrics"]["w1_over_std"] == pytest.approx(result.metrics["w1_over_std"], rel=1e-4)
    assert [point.step for point in frame.losses] == result.steps.tolist() == [10, 20, 30]
    for name in ("loss_g", "loss_d", "d_real"):
        shown = [point.values[name][0] for point in frame.losses]
        np.testing.assert_allclose(shown, result.history[name], rtol=1e-4)
    message = frames.Sender().message(frame)
    assert json.loads(json.dumps(frames.plain(message), allow_nan=False))["losses"]["step"] == [10, 20, 30]
    assert sum(message["histogram"]) * np.diff(configured["target"]["edges"])[0] <= 1 + 1e-6
    assert page.ask("start")[-1]["state"] == "finished"


def test_learning_rates_change_without_a_reset_or_a_compilation():
    page = Page()
    page.ask("configure", settings=SETTINGS)
    page.ask("step")
    compiled = []

    def listen(name, *_, **__):
        if name.endswith("backend_compile_duration"):
            compiled.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    page.ask("configure", settings=SETTINGS | {"fields": {"learning_rate_g": "0.01"}})
    said = page.ask("step")
    assert not compiled
    assert "compiling" not in [message.get("state") for message in said]
    page.ask("configure", settings=SETTINGS | {"fields": {"widths_g": "7"}})  # the listener hears what is compiled
    assert compiled
    page.ask("configure", settings=SETTINGS)
    page.ask("step")
    page.ask("configure", settings=SETTINGS | {"fields": {"learning_rate_g": "0.01"}})
    page.ask("step")
    configured = [message for message in page.messages if message["type"] == "configured"][-1]
    assert (configured["reset"], configured["command"]) == (False, None)
    assert configured["python"].startswith("# The page's run was changed at step 10")
    assert page.trainer.frame.content["step"] == 20
    page.trainer.close()


def test_one_player_steps_alone(page):
    page.ask("configure", settings=SETTINGS | {"seed": 4})
    page.ask("step")
    before = page.trainer._training.runs.state
    for player, still, moved in (("d", "params_g", "params_d"), ("g", "params_d", "params_g")):
        page.ask("step", players=player)
        after = page.trainer._training.runs.state
        assert all(map(np.array_equal, *(jax.tree.leaves(getattr(state, still)) for state in (before, after))))
        assert not all(map(np.array_equal, *(jax.tree.leaves(getattr(state, moved)) for state in (before, after))))
        before = after
    assert page.trainer.frame.content["step"] == 30


def test_lanes_are_seeds_with_bands_and_verdicts(page):
    page.ask("configure", settings=SETTINGS | {"lanes": 32, "num_steps": 20})
    page.ask("start")
    page.ask("lane", lane=7)
    frame = page.trainer.frame
    message = frames.plain(frames.Sender().message(frame))
    assert len(message["lanes_verdict"]) == len(message["lanes_w1"]) == 32
    assert message["lane"] == 7
    losses = np.stack([point.values["loss_g"] for point in frame.losses])
    np.testing.assert_allclose(message["losses"]["loss_g"], losses[:, 7], rtol=1e-4)
    np.testing.assert_allclose(message["bands"]["loss_g"], np.percentile(losses, (5, 50, 95), axis=1), rtol=1e-4)


def test_two_models_share_data_seed_and_clock(page):
    """Each is the run that it would be alone; the one that has diverged waits for the other."""
    rival = {"method": "gan", "preset": "textbook", "fields": {"learning_rate_g": "1e30"}}
    page.ask("configure", settings=SETTINGS)
    page.ask("start")
    alone = page.trainer.frame
    said = page.ask("configure", settings=SETTINGS | {"rival": rival})
    (configured,) = [message for message in said if message["type"] == "configured"]
    assert configured["rival"]["settings"]["fields"] == {"learning_rate_g": "1e+30"}
    assert configured["command"].count("--seed=3") == configured["python"].count("jax.random.key(3)") == 2
    assert page.ask("start")[-1]["state"] == "finished"
    both = page.trainer.frame
    for name in ("loss_g", "loss_d"):
        for one, other in zip(alone.losses, both.losses, strict=True):
            np.testing.assert_array_equal(one.values[name], other.values[name])
    message = frames.plain(frames.Sender().message(both))
    assert message["rival"]["verdict"] == "diverged"
    assert 0 < message["rival"]["step"] <= message["step"] == 30
    assert message["rival"]["losses"]["step"][-1] == message["rival"]["step"]


def test_the_pace_tells_how_many_epochs_come_between_two_frames(page, monkeypatch):
    monkeypatch.setitem(pace.SPEEDS, "fast", 1.0)
    page.ask("configure", settings=SETTINGS | {"num_steps": 600})
    steps = []
    heard = page.trainer._changed
    page.trainer._changed = lambda: steps.append(page.trainer.frame.content["step"])
    began = time.monotonic()
    page.ask("speed", speed="fast")
    page.ask("start")
    lasted = time.monotonic() - began
    page.trainer._changed = heard
    assert "did you mean 'fast'?" in page.ask("speed", speed="fas")[-1]["message"]
    page.messages.clear()
    page.ask("speed", speed="fastest")
    assert steps[-1] == 600
    assert max(np.diff(steps)) <= 50
    assert len(steps) >= 12
    assert lasted > 0.9


def test_the_floor_is_what_perfect_samplers_score(page):
    """The band against samples of NumPy's, and the mean against the closed form (known answer 18)."""
    page.ask("configure", settings=SETTINGS | {"target": "normal"})
    training = page.trainer._training
    mean, low, high = np.asarray(training.scene.floor)
    count = look.num_samples(training.asked.method, training.asked.truth)
    assert mean == pytest.approx(np.sqrt(2 / np.pi) * 1.6147 / np.sqrt(count), rel=1e-3)
    generator, levels = np.random.default_rng(0), (np.arange(count) + 0.5) / count
    exact = scipy.stats.norm.ppf(levels)
    perfect = [np.abs(np.sort(generator.normal(size=count)) - exact).mean() for _ in range(300)]
    np.testing.assert_allclose([low, high], np.percentile(perfect, [5, 95]), rtol=0.15)


def test_programs_that_are_compiled_in_the_background_are_waited_for(monkeypatch):
    """A page with other settings does not wait; one with the first settings is told which program it waits for."""
    compiled, go_on = [], threading.Event()
    monkeypatch.setattr(warmup.Warmup, "_work", lambda self: go_on.wait(60) and self._done(1, 2, 3, 4))
    background, first = warmup.Warmup(), settings.resolve(settings.first(), {})
    background.wait(settings.resolve(SETTINGS, {}), compiled.append, threading.Event(), 4)
    assert not compiled
    told = threading.Event()
    waiting = threading.Thread(
        target=background.wait, args=(first, lambda number: (compiled.append(number), told.set()), threading.Event(), 1)
    )
    waiting.start()
    assert told.wait(30)
    assert waiting.is_alive()
    go_on.set()
    waiting.join(60)
    background._thread.join(60)
    assert set(compiled) == {1}
    background.wait(first, compiled.append, threading.Event(), 4)
    assert set(compiled) == {1}


def test_the_background_compiles_all_that_the_first_run_needs():
    background = warmup.Warmup()
    background._thread.join(120)
    assert not background._left
    training, compiled = Training(settings.resolve(settings.first(), {})), []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))
    training.look()
    training.advance(1, 10, "both")
    training.look()
    again = Training(settings.resolve(settings.first() | {"seed": 1}, {}))
    assert not [name for name in compiled if name.endswith("backend_compile_duration")]
    again.asked = again.asked._replace(batch_size=8)
    again.advance(1, 10, "both")
    assert [name for name in compiled if name.endswith("backend_compile_duration")]  # the listener hears


def test_divergence_is_told_with_its_step(page):
    asked = {"method": "vae", "preset": "default", "fields": {"learning_rate": "1e30"}}
    page.ask("configure", settings=SETTINGS | asked)
    state = page.ask("start")[-1]
    assert state["state"] == "diverged"
    assert state["message"] == f"diverged at step {page.trainer.frame.content['diverged_at']}"
    message = frames.Sender().message(page.trainer.frame)
    assert json.dumps(frames.plain(message), allow_nan=False)


def test_paths_are_learnt_and_exact_lines(page):
    asked = {"method": "flow_matching", "preset": "default", "fields": {"widths": "4"}}
    page.ask("configure", settings=SETTINGS | asked)
    (found,) = [message for message in page.ask("paths") if message["type"] == "paths"]
    assert found["kind"] == "velocity"
    assert found["samples"].shape == found["exact"].shape == (60, len(found["t"]))
    np.testing.assert_allclose(found["samples"][:, 0], found["exact"][:, 0], atol=1e-4)  # all begin as the noise
    shift, scale = 4.0, float(TARGETS["bimodal"].std[0])
    levels = (np.arange(60) + 0.5) / 60
    quantiles = (np.asarray(TARGETS["bimodal"].quantile(levels)) - shift) / scale
    np.testing.assert_allclose(found["exact"][:, -1], quantiles, atol=1e-3)


# --- the server ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web():
    with TestClient(server.make_app(frozenset([HOST]), max_sessions=2), base_url=f"http://{HOST}") as one:
        yield one


def test_page_and_its_parts_are_served_with_a_policy(web):
    parts = {"/": "html", "/schema.json": "json", "/static/main.js": "javascript"}
    for path, kind in parts.items():
        answer = web.get(path)
        assert (answer.status_code, kind in answer.headers["content-type"]) == (200, True), path
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert web.get("/static/../server.py").status_code == 404
    assert web.get("/static/%2e%2e/server.py").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "127.0.0.1:9999"}, {"host": ""}, {"origin": "http://evil.example"},
     {"origin": "null"}, {"origin": ""}, {"origin": "http://localhost:8000"}],
    ids=str,
)  # fmt: skip
def test_what_is_not_from_the_page_is_forbidden(web, headers):
    assert web.get("/", headers=headers).status_code == 403
    with pytest.raises(WebSocketDenialResponse) as error, web.websocket_connect("/ws", headers=OWN | headers):
        pass
    assert error.value.status_code == 403


def test_the_page_shows_names_as_texts():
    """What is set as HTML could run as a script: the page builds its elements, and gives them texts."""
    for path in [*server.STATIC.glob("*.js"), server.STATIC / "index.html"]:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text()), path


def test_a_socket_without_an_origin_is_forbidden(web):
    with pytest.raises(WebSocketDenialResponse) as error, web.websocket_connect("/ws", headers={"host": HOST}):
        pass
    assert error.value.status_code == 403


def test_a_token_opens_the_page_and_its_cookie_the_socket():
    with TestClient(server.make_app(None, token="secret"), base_url="http://example.org:80") as other:
        assert other.get("/").status_code == other.get("/?token=wrong").status_code == 403
        assert other.get("/?token=secret").status_code == 200
        assert other.get("/schema.json").status_code == 200
        other.cookies.clear()
        assert other.get("/schema.json").status_code == 403


STRANGE = [b"\xff", b"\xc3\xa9", "é".encode("latin-1"), b"%C3%A9", b"%FF%00", b"%ED%A0%80", b"\0", b"x" * 9_000, b""]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("place", ["query", "cookie", "host", "origin"])
def test_any_bytes_of_a_stranger_are_forbidden(place, kind):
    """Where there is a token, and where there is none, as the server hands them on: 403, and never an error of ours."""

    async def ask(app, headers, query):
        sent = []

        async def receive():
            return {"type": f"{kind}.{'request' if kind == 'http' else 'connect'}"}

        async def send(message):
            sent.append(message)

        scope = {"type": kind, "method": "GET", "path": "/", "query_string": query, "headers": headers}
        await app(scope | {"extensions": {"websocket.http.response": {}}}, receive, send)
        return sent[0]["status"]

    for token in ("secret", None) if place in ("host", "origin") else ("secret",):
        app = server.make_app(frozenset([HOST]), token)
        for some in STRANGE:
            headers = {b"host": HOST.encode(), b"origin": f"http://{HOST}".encode()}
            headers |= {place.encode(): b"token=" + some if place == "cookie" else some} if place != "query" else {}
            query = b"token=" + some if place == "query" else b""
            assert asyncio.run(ask(app, list(headers.items()), query)) == 403, some


@pytest.fixture(scope="module")
def address():
    with served(max_sessions=2) as one:
        yield one.removeprefix("http://").rstrip("/")


def test_a_place_stays_taken_until_the_trainer_has_ended(address, monkeypatch):
    """Programs cannot be interrupted while they are compiled: pages that come and go must not pile them up."""
    at_work, done = threading.Event(), threading.Event()

    def busy(trainer, _):
        at_work.set()
        done.wait(60)

    monkeypatch.setattr(Trainer, "_do_configure", busy)
    with connect_when_free(address):
        with connect_when_free(address) as leaving:
            leaving.send(json.dumps({"type": "configure"}))
            assert at_work.wait(30)
        try:
            with connect(address) as third:
                assert not is_served(third)
        finally:
            done.set()
        with connect_when_free(address):
            pass


def is_served(connection):
    """Whether it has been given a place."""
    with contextlib.suppress(ConnectionClosed):
        connection.send("{}")
        return heard(connection)["type"] == "error"
    return False


@contextlib.contextmanager
def connect_when_free(address):
    """A connection that has a place: those of the pages before take a moment to be free."""
    deadline = time.monotonic() + 60
    while True:
        with connect(address) as one:
            if is_served(one):
                yield one
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def connect(address):
    return client.connect(f"ws://{address}/ws", origin=f"http://{address}", max_size=None)


def heard(connection):
    return json.loads(connection.recv(timeout=30))


def trainers():
    return [thread for thread in threading.enumerate() if thread.name == "trainer"]


def test_wrong_messages_are_answered_and_the_trainer_goes_with_its_page(address):
    before = set(trainers())
    with connect_when_free(address) as connection:
        for text, message in {
            "no json": "JSON object", "[1]": "JSON object", '{"type": 3}': "JSON object",
            '{"type":"start"}': "configure first", '{"type":"fly"}': "no such command",
            '{"type":"configure","settings":{"method":"x"}}': "no method 'x'",
        }.items():  # fmt: skip
            connection.send(text)
            assert message in heard(connection)["message"]
        (own,) = set(trainers()) - before
    deadline = time.monotonic() + 2
    while own.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


DEEP = 100_000
ODD = [
    "[" * DEEP, '{"type":' * DEEP, '{"type":"configure","settings":' + "[" * DEEP + "]" * DEEP + "}",
    '{"type":"configure","settings":' + '{"a":' * 400 + "1" + "}" * 401,
    '{"type":"upload","text":' + "[" * 90 + "]" * 90 + "}",
    "", "null", "1" * 10_000, '"\\ud800"', '{"type":"\\ud800"}',
    '{"type":"_turn"}', '{"type":""}', '{"type":"__class__"}',
    '{"type":"upload","name":"a.csv","text":"\\ud800\\n1\\n2"}',
    '{"type":"upload","name":"\\ud800.csv","text":"a\\n1"}',
    '{"type":"upload","name":"a.csv","column":"\\ud800","text":"a,b\\n1,2\\n2,3"}',
    '{"type":"upload","name":5,"text":[]}',
    '{"type":"configure","settings":{"method":"\\ud800"}}',
    '{"type":"configure","settings":{"method":{"a":[]}}}',
    '{"type":"configure","settings":NaN}', '{"type":"step","players":{}}',
    b"", b"\xff\xfe", b'{"type":"start"}', b"[" * 999,
]  # fmt: skip
"""Messages that no page sends."""


def test_odd_messages_are_answered_and_the_session_goes_on(address):
    with connect_when_free(address) as connection:
        for message in ODD:
            connection.send(message)
            said = heard(connection)
            while said["type"] == "status":  # of a trainer that stopped
                said = heard(connection)
            assert said["type"] == "error", message[:80]
            assert said["message"]
            assert "\n" not in said["message"]
            assert "Error" not in said["message"], said  # a name of Python's says nothing to the page's user
        connection.send('{"type":"start"}')
        assert heard(connection)["message"] == "configure first"


def test_a_session_that_an_error_ends_says_so(address, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    with connect_when_free(address) as connection:
        monkeypatch.setattr(server.Session, "_take", fail)
        connection.send("{}")
        with pytest.raises(ConnectionClosed) as error:
            heard(connection)
    assert (error.value.rcvd.code, error.value.rcvd.reason) == (1011, "an error in the server: ZeroDivisionError")


def test_pages_beyond_the_limit_are_turned_away_and_a_place_becomes_free(address):
    with connect(address), connect(address), connect(address) as third, pytest.raises(ConnectionClosed) as error:
        heard(third)
    assert error.value.rcvd.reason == "2 pages are open already: close one"
    with connect_when_free(address):
        pass


def test_a_flood_is_held_back_and_answered(address):
    with connect_when_free(address) as connection:
        began = time.monotonic()
        for _ in range(server.BURST + 10):
            connection.send("{}")
        for _ in range(server.BURST + 10):
            assert heard(connection)["type"] == "error"
        assert time.monotonic() - began > 9 / server.MESSAGES_PER_SECOND


def test_too_large_files_are_refused_and_larger_messages_end_the_connection(address):
    with connect_when_free(address) as connection:
        connection.send(json.dumps({"type": "upload", "name": "a.csv", "text": "1" * (server.MAX_UPLOAD + 1)}))
        assert heard(connection)["field"] == "data"
        connection.send("1" * (server.MAX_MESSAGE + 1))
        with pytest.raises(ConnectionClosed) as error:
            heard(connection)
        assert error.value.rcvd.code == 1009
    assert TestClient(server.make_app(None)).get("/").status_code == 200


def test_a_page_trains_over_the_socket_and_stops_at_once(address):
    with connect_when_free(address) as connection:

        def until(kind, **values):
            while True:
                message = heard(connection)
                assert message["type"] != "error", message
                if message["type"] == kind and all(message[name] == value for name, value in values.items()):
                    return message

        connection.send(json.dumps({"type": "configure", "settings": SETTINGS | {"num_steps": 100_000}}))
        assert until("configured")["settings"]["num_steps"] == 100_000
        connection.send(json.dumps({"type": "start"}))
        until("status", state="running")
        while until("frame")["step"] < 100:
            pass
        connection.send(json.dumps({"type": "stop"}))
        until("status", state="stopping")
        until("status", state="idle", message="stopped")


def test_a_flood_of_sockets_and_a_huge_message_leave_it_responsive_and_small():
    """200 sockets with 100 messages a second each, and a message of 100 MB, beside a page that trains."""
    with pages.serving("--compilation_cache=") as (shown, process):
        address = shown.removeprefix("http://")

        def megabytes():
            return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text()).group(1)) / 1024

        def until(connection, kind, reached=lambda message: True):
            while True:
                message = json.loads(connection.recv(timeout=60))
                if message["type"] == kind and reached(message):
                    return message

        async def flood():
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
                async with connect_async(f"ws://{address}/ws", origin=shown, open_timeout=30) as one:
                    for _ in range(200):
                        await one.send("{}" * 50)
                        await asyncio.sleep(0.01)

        async def flood_all():
            await asyncio.gather(*(flood() for _ in range(200)))

        with connect(address) as connection:
            asked = SETTINGS | {"num_steps": 100_000, "batch_size": 2_048}
            connection.send(json.dumps({"type": "configure", "settings": asked}))
            connection.send(json.dumps({"type": "start"}))
            step = until(connection, "frame", lambda message: message["step"] > 100)["step"]
            before = megabytes()
            flooding = threading.Thread(target=asyncio.run, args=(flood_all(),))
            flooding.start()
            num_answers = 0
            while flooding.is_alive():
                with urllib.request.urlopen(f"{shown}/schema.json", timeout=10) as answer:
                    assert answer.status == 200
                num_answers += 1
                step = until(connection, "frame", lambda message, last=step: message["step"] > last)["step"]
            flooding.join()
            assert num_answers > 1
            with contextlib.suppress(ConnectionClosed), connect(address) as other:
                other.send("1" * 100_000_000)
                heard(other)
            connection.send(json.dumps({"type": "stop"}))
            until(connection, "status", lambda message: message["message"] == "stopped")
            assert megabytes() - before < 100


def test_an_address_that_cannot_be_had_is_told_with_the_flag_to_change():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"^--host=127.0.0.1 --port={port}: .*; choose another --port$"):
            server.serve("127.0.0.1", port, 1)
    with pytest.raises(ValueError, match=r"^--host=0.0.0.300 --port=0: .*; choose another --host$"):
        server.serve("0.0.0.300", 0, 1)


def test_a_column_far_away_is_shown_in_training_units():
    """Five digits, as messages have, cannot tell its values apart."""
    far, near = (f"x\n{base}1\n{base}2\n{base}4\n" for base in ("170000000", "1"))
    for text, suffix in ((far, ", standardized"), (near, "")):
        name, upload = settings.read_upload({"name": "a.csv", "column": "x", "text": text})
        found = settings.resolve(SETTINGS | {"target": "data", "data": name}, {name: upload})
        assert found.truth.name == f"x{suffix}"
        assert (abs(found.truth.mean[0]) < 1e-9) == bool(suffix)


def test_a_column_that_no_model_learns_is_shown_and_can_be_taken_away(tmp_path, monkeypatch):
    text = "x\n" + "0\n" * 30 + "".join(f"{value / 7}\n" for value in range(1, 31))
    name, upload = settings.read_upload({"name": "a.csv", "column": "x", "text": text})
    found = settings.resolve(SETTINGS | {"target": "data", "data": name}, {name: upload})
    assert "--dequantize=False" in takeaway.as_command(found, {name: upload})
    (line,) = [line for line in takeaway.as_python(found, {name: upload}).splitlines() if "data.read" in line]
    (tmp_path / "a.csv").write_text(text)
    monkeypatch.chdir(tmp_path)
    scope = {"jgen1d": jgen1d}
    exec(f"import jgen1d.data\n{line}", scope)
    np.testing.assert_array_equal(scope["target"].params, found.truth.params)
