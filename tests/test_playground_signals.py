"""The playground's signals without a browser: what is offered, what a frame holds of them, and what is refused."""

import json

import jax
import numpy as np
import pytest

from jgen1d.evaluation.verdict import VERDICTS
from jgen1d.targets import TARGETS
from tests.served import SETTINGS, Page, check_refusal

pytest.importorskip("starlette", reason='needs the extra "playground"')

from jgen1d.playground import frames, look, schema, settings, signals, takeaway
from jgen1d.playground.training import Training

SMALL_GAN = {
    "preset": "dcgan", "fields": {"widths_g": "4", "widths_d": "4", "latent_dim": "2"}, "target": "pulse",
    "batch_size": 8, "num_steps": 20,
}  # fmt: skip
FAMILIES = {"gan", "vae", "autoencoder", "diffusion", "flow_matching", "energy"}
GAN = SETTINGS | SMALL_GAN


NUM_SAMPLES = 500
"""That are looked at when a run has ended: fewer than on the page, which is a matter of seconds."""


@pytest.fixture(scope="module", autouse=True)
def few_samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "NUM_FINAL_SAMPLES", NUM_SAMPLES)
        patch.setattr(look, "NUM_SIGNALS", 400)
        patch.setattr(look, "NUM_PERFECT_SIGNALS", 8)
        yield


@pytest.fixture(scope="module")
def page():
    one = Page()
    yield one
    one.trainer.close()
    assert not [message for message in one.messages if message["type"] == "error"]


# --- what is offered ----------------------------------------------------------------------------------------------


def test_every_registered_signal_is_offered_with_the_families_that_have_networks_for_it():
    found = json.loads(json.dumps(frames.plain(schema.schema()), allow_nan=False))
    assert set(found["signals"]["targets"]) == {name for name, target in TARGETS.items() if target.dim > 2}
    assert not set(found["signals"]["targets"]) & set(found["targets"])
    assert found["signals"]["methods"].keys() == FAMILIES
    for name, method in found["signals"]["methods"].items():
        assert method["presets"][0] == method["start"]["preset"]
        own = {field["name"] for field in method["fields"]}
        assert own == {"encoder", "decoder"} & own or own <= {"network", "network_g", "network_d"}
        assert all({"conv", "unet"} & {*field["choices"]} for field in method["fields"])
        assert not own & {field["name"] for field in found["methods"][name]["fields"]}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_begins_with_networks_of_signals(name):
    start = schema.schema()["signals"]["methods"][name]["start"]
    for target in signals.NAMED:
        asked = settings.first() | signals.FIRST | start | {"target": target}
        found = settings.resolve(asked, {})
        assert found.settings == asked
        own = signals.networks(found.method)
        assert {getattr(found.config, field) for field in own} <= {"conv", "unet"}
        assert found.config.dim == 64


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"method": "kde", "preset": "default"}, "method", "choose autoencoder, diffusion, energy, flow_m"),
        ({"target": "pulze"}, "target", "did you mean 'pulse'?"),
        ({"lanes": 32}, "lanes", "must be one of 1, 4, 8"),
        ({"batch_size": 1025}, "batch_size", "more than 1024 rows"),
        ({"fields": {"network_g": "unet"}}, "network_g", "conv"),
        ({"fields": {"widths_g": "4-4-4-4-4-4-4"}}, "widths_g", "at most 6 layers"),
        ({"fields": {"widths_d": "65"}}, "widths_d", "at most 64 units"),
        ({"target": "bimodal"}, "preset", "no preset 'dcgan'"),
        ({"target": "bimodal", "preset": "robust", "fields": {"network_g": "conv"}}, "", "no field 'network_g'"),
        ({"target": "data"}, "target", "upload a column"),
        ({"rival": {"method": "kde"}}, "rival", "method: kde has no network for signals"),
    ],
)
def test_what_goes_not_with_signals_is_refused_in_a_line(change, field, message):
    check_refusal(GAN | change, field, message)


def test_an_upload_has_one_column():
    with pytest.raises(settings.FieldError, match=r"upload a \.csv file"):
        settings.read_upload({"name": "signals.npy", "text": "1"})


# --- what is shown ------------------------------------------------------------------------------------------------


def test_a_run_on_signals_is_the_run_of_its_python_code(page):
    (configured,) = [said for said in page.ask("configure", settings=GAN) if said["type"] == "configured"]
    assert "command" in configured
    assert "--preset=dcgan --widths_g=4" in configured["command"]
    assert page.ask("start")[-1]["state"] == "finished"
    code = {}
    few = configured["python"].replace("num_steps=", f"num_samples={NUM_SAMPLES}, num_steps=")
    exec(few.replace("print(", "("), code)
    result, content = code["result"], page.trainer.frame.content
    assert content["verdict"] == result.verdict
    for name in ("w1_over_std", "w1_over_floor", "tv", "frechet_over_floor", "factor_w1", "off_manifold"):
        assert content["metrics"][name] == pytest.approx(result.metrics[name], rel=1e-3), name
    for name in ("loss_g", "loss_d"):
        shown = [point.values[name][0] for point in page.trainer.frame.losses]
        np.testing.assert_allclose(shown, result.history[name], rtol=1e-3)


def test_a_frame_holds_curves_and_the_moments_of_all_samples(page):
    """Of the run before: against NumPy in float64, from the same samples."""
    training = page.trainer._training
    asked = training.asked
    samples = look._draw(asked.method, training.runs, asked.data, asked.config, look.NUM_FINAL_SAMPLES)
    samples = np.asarray(samples, np.float64)[0]
    message = frames.plain(frames.Sender().message(page.trainer.frame))
    shown = message["signals"]
    assert np.shape(shown["curves"]) == (look.NUM_CURVES, 64)
    np.testing.assert_allclose(shown["curves"], samples[: look.NUM_CURVES], atol=0.006 * 0.6625)
    np.testing.assert_allclose(shown["mean"], samples.sum(axis=0) / len(samples), rtol=1e-4, atol=1e-5)
    spread = np.sqrt((samples**2).mean(axis=0) - samples.mean(axis=0) ** 2)
    np.testing.assert_allclose(shown["std"], spread, rtol=1e-3)
    assert message["histogram"] is message["discriminator"] is message["generator"] is None
    assert len(json.dumps(message)) < 12_000


def test_the_real_signals_have_their_exact_moments(page):
    """Against samples of the target, within five standard errors."""
    (configured,) = [said for said in page.messages if said["type"] == "configured"]
    target = configured["target"]
    assert np.shape(target["curves"]) == (look.NUM_CURVES, 64)
    drawn = np.asarray(TARGETS["pulse"].sample(jax.random.key(7), 20_000), np.float64)
    error = drawn.std(axis=0) / len(drawn) ** 0.5
    assert (np.abs(drawn.mean(axis=0) - target["mean"]) < 5 * error).all()
    np.testing.assert_allclose(drawn.std(axis=0), target["std"], rtol=0.1)


def test_a_reset_keeps_the_scene_and_lanes_are_seeds(page):
    scene = page.trainer._training.scene
    page.ask("configure", settings=GAN | {"lanes": 8, "num_steps": 10})
    assert page.trainer._training.scene is scene
    first = page.trainer.frame.content["signals"]["curves"]
    page.ask("lane", lane=7)
    content = page.trainer.frame.content
    assert not np.array_equal(content["signals"]["curves"], first)
    assert len(content["lanes_w1"]) == len(content["lanes_verdict"]) == 8
    page.ask("configure", settings=GAN | {"target": "ornstein_uhlenbeck"})
    assert page.trainer._training.scene is not scene
    found = page.trainer.frame.content["metrics"]
    assert np.isfinite(found["frechet_over_floor"])
    assert not {"factor_w1", "off_manifold"} & found.keys()  # of a process without factors


def test_paths_of_signals_are_refused_in_a_line():
    one = Page()
    one.ask("configure", settings=GAN)
    (said,) = [message for message in one.ask("paths") if message["type"] == "error"]
    assert said["message"] == "the paths of signals are not shown: choose a target of numbers"
    one.trainer.close()


def test_divergence_of_signals_is_told_without_curves(page):
    page.ask("configure", settings=GAN | {"fields": SMALL_GAN["fields"] | {"learning_rate_g": "1e30"}})
    assert page.ask("start")[-1]["state"] == "diverged"
    message = frames.plain(frames.Sender().message(page.trainer.frame))
    assert message["signals"] is None
    assert message["verdict"] == "diverged"
    json.dumps(message, allow_nan=False)


@pytest.fixture(scope="module")
def pulses():
    """Their scene."""
    return look.prepare(TARGETS["pulse"], look.NUM_SIGNALS)


FEW_STEPS = {
    "diffusion": {"num_sampling_steps": "2"}, "flow_matching": {"num_integration_steps": "2"},
    "energy": {"num_chain_steps": "1", "num_sampling_steps": "1"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAMILIES - {"gan"}))
def test_every_family_trains_on_signals(name, pulses):
    start = schema.schema()["signals"]["methods"][name]["start"]
    small = start["fields"] | {"widths": "4"} | FEW_STEPS.get(name, {})
    asked = settings.resolve(SETTINGS | start | {"fields": small, "target": "pulse", "batch_size": 8}, {})
    training = Training(asked, count=look.NUM_SIGNALS, scene=pulses)
    training.advance(1, 10, "both")
    content = training.look()
    assert training.loss_names
    assert np.isfinite(content["signals"]["curves"]).all()
    assert content["verdict"] in VERDICTS
    assert content["metrics"]["w1_over_floor"] > 1


def test_python_code_of_a_finite_sample_runs_as_it_stands(capsys):
    """It tells the distance to what the sample was drawn from, too."""
    found = settings.resolve(GAN | {"dataset_size": 32, "num_steps": 10}, {})
    assert found.data.dim == 64
    assert takeaway.as_command(found, {}) is None
    exec(takeaway.as_python(found, {}), {})
    *_, last = capsys.readouterr().out.split()
    assert 0 < float(last) < 10
