"""The render's effects against formulas, and against another implementation where there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from daw_bridge.adapter import Feature, Losses
from daw_bridge.model import (
    BandKind,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
)
from daw_bridge_render.dynamics import control_step, static_gain_db
from daw_bridge_render.strips import make_effect
from tests.render.sessions import FloatArray, impulse, noise, peak_db, sine

RATE = 44_100


def run(
    effect: Effect,
    signal: FloatArray,
    *,
    key: FloatArray | None = None,
    rate: int = RATE,
    sizes: Sequence[int] = (1 << 14,),
) -> FloatArray:
    """The signal through the effect in blocks of the given sizes, repeated."""
    blocks = make_effect(effect, rate, Losses())
    assert blocks is not None
    done: list[FloatArray] = []
    begin = 0
    while begin < signal.shape[1]:
        end = begin + sizes[len(done) % len(sizes)]
        done.append(blocks.process(signal[:, begin:end], None if key is None else key[:, begin:end]))
        begin = end
    return np.concatenate(done, axis=1)


def analytic_db(band: EqBand, frequencies_hz: FloatArray, rate: int) -> FloatArray:
    """|H| of the analogue prototype (Cookbook, section 1) at the frequencies that the bilinear transform maps."""
    s = 1j * np.tan(np.pi * frequencies_hz / rate) / math.tan(math.pi * band.frequency_hz / rate)
    a, q = 10 ** (band.gain_db / 40), band.q
    pole = s * s + s / q + 1
    shelf_low = a * (s * s + math.sqrt(a) / q * s + a) / (a * s * s + math.sqrt(a) / q * s + 1)
    shelf_high = a * (a * s * s + math.sqrt(a) / q * s + 1) / (s * s + math.sqrt(a) / q * s + a)
    response = {
        BandKind.HIGHPASS: s * s / pole,
        BandKind.LOWPASS: 1 / pole,
        BandKind.LOWSHELF: shelf_low,
        BandKind.HIGHSHELF: shelf_high,
        BandKind.BELL: (s * s + s * a / q + 1) / (s * s + s / (a * q) + 1),
        BandKind.NOTCH: (s * s + 1) / pole,
    }[band.kind]
    return np.asarray(20 * np.log10(np.maximum(np.abs(response), 1e-9)))


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("frequency_hz", [40.0, 1000.0, 9000.0])
@pytest.mark.parametrize(("gain_db", "q"), [(6.0, 0.7071), (-12.0, 2.0)])
@pytest.mark.parametrize("kind", list(BandKind))
def test_bands_follow_their_transfer_function(
    kind: BandKind, gain_db: float, q: float, frequency_hz: float, rate: int
) -> None:
    band = EqBand(kind=kind, frequency_hz=frequency_hz, gain_db=gain_db, q=q)
    length = 1 << 16
    response = run(Equalizer(bands=(band,)), impulse(length, 0), rate=rate, sizes=(513, 1029, 4096))
    frequencies = np.asarray(np.fft.rfftfreq(length, 1 / rate), np.float64)
    measured = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(response[0])), 1e-9))
    expected = analytic_db(band, frequencies, rate)
    audible = (frequencies >= 30) & (frequencies <= 16_000) & (expected > -60)
    assert np.abs(measured - expected)[audible].max() < 0.001


def test_bands_of_an_equalizer_multiply_and_disabled_ones_do_nothing() -> None:
    bell = EqBand(kind=BandKind.BELL, frequency_hz=1000, gain_db=6, q=1)
    cut = EqBand(kind=BandKind.BELL, frequency_hz=1000, gain_db=-6, q=1)
    off = EqBand(kind=BandKind.LOWPASS, frequency_hz=100, enabled=False)
    signal = noise(9000)
    assert peak_db(run(Equalizer(bands=(bell, off, cut)), signal) - signal) < -200
    assert np.array_equal(run(Equalizer(bands=(off,)), signal), signal)


def test_a_band_at_the_edge_of_the_rate_stays_stable() -> None:
    band = EqBand(kind=BandKind.HIGHSHELF, frequency_hz=24_000, gain_db=12)
    assert np.isfinite(run(Equalizer(bands=(band,)), noise(20_000))).all()


@pytest.mark.parametrize("effect", [
    Equalizer(bands=(EqBand(kind=BandKind.HIGHPASS, frequency_hz=100),)),
    Compressor(threshold_db=-30, ratio=4, knee_db=6),
    Gate(threshold_db=-20, hold_ms=3, release_ms=5),
    Limiter(ceiling_db=-20, threshold_db=-26),
    Delay(time_ms=7.3, feedback=0.5),
    Reverb(predelay_ms=3.0),
    Gain(gain_db=-3),
], ids=lambda effect: type(effect).__name__)  # fmt: skip
def test_the_size_of_the_blocks_does_not_matter(effect: Effect) -> None:
    step = control_step(RATE)
    signal = noise(40_003)
    whole = run(effect, signal, sizes=(40_003,))
    pieces = run(effect, signal, sizes=(step, 37 * step, 1024, 9 * step))
    assert peak_db(whole - pieces) < -200


@pytest.mark.parametrize("rate", [8000, 44_100, 192_000])
def test_the_control_step_is_near_three_kilohertz_and_divides_a_block(rate: int) -> None:
    step = control_step(rate)
    assert (1 << 14) % step == 0
    assert 2000 <= rate / step <= 4500


COMPRESSORS = [
    Compressor(threshold_db=-20, ratio=4),
    Compressor(threshold_db=-20, ratio=2, knee_db=12, makeup_db=6),
    Compressor(threshold_db=-30, ratio=10, knee_db=6, attack_ms=1, release_ms=50),
    Compressor(threshold_db=-15, ratio=1.5, attack_ms=30, release_ms=300),
]


@pytest.mark.parametrize("frequency_hz", [40.0, 100.0, 1000.0, 8000.0])
@pytest.mark.parametrize("effect", COMPRESSORS, ids=str)
def test_the_compressor_follows_its_static_curve(effect: Compressor, frequency_hz: float) -> None:
    for level_db in (-40.0, -24.0, -20.0, -17.0, -10.0, -3.0, 0.0):
        signal = sine(RATE * 2, frequency_hz, level_db)
        settled = run(effect, signal)[:, -RATE // 2 :]
        over = level_db - effect.threshold_db
        knee = effect.knee_db / 2
        if over <= -knee:
            reduction = 0.0
        elif over < knee:
            reduction = (1 - 1 / effect.ratio) * (over + knee) ** 2 / (4 * knee)
        else:
            reduction = (1 - 1 / effect.ratio) * over
        assert peak_db(settled) == pytest.approx(level_db - reduction + effect.makeup_db, abs=0.01)


def test_the_knee_is_smooth_and_meets_the_straight_lines() -> None:
    effect = Compressor(threshold_db=-20, ratio=4, knee_db=10)
    levels = np.linspace(-30, -10, 2001)
    gains = static_gain_db(levels, effect)
    assert gains[0] == 0.0
    assert gains[-1] == pytest.approx(-7.5)
    assert np.abs(np.diff(gains, 2)).max() < 1e-5


def test_attack_and_release_are_time_constants() -> None:
    effect = Compressor(threshold_db=-20, ratio=100, attack_ms=20, release_ms=200)
    quiet, loud = sine(RATE, 1000, -60), sine(RATE, 1000, 0)
    output = run(effect, np.concatenate([quiet, loud, quiet], axis=1))
    source = np.concatenate([quiet, loud, quiet], axis=1)
    gain_db = 20 * np.log10(np.maximum(np.abs(output[0]), 1e-9) / np.maximum(np.abs(source[0]), 1e-9))
    usable = np.where(np.abs(source[0]) > 5e-4, gain_db, np.nan)

    def at(time_s: float) -> float:
        begin = int(time_s * RATE)
        return float(np.nanmedian(usable[begin : begin + 200]))

    full = -20 * (1 - 1 / 100)
    assert at(1.02) == pytest.approx(full * (1 - math.exp(-1)), abs=1.2)
    assert at(1.9) == pytest.approx(full, abs=0.1)
    assert at(2.0 + 0.02 + 0.2) == pytest.approx(full * math.exp(-1), abs=0.6)  # 20 ms are the detector's hold


def test_without_gain_reduction_not_a_bit_changes() -> None:
    signal = noise(30_000, level=0.01)
    assert np.array_equal(run(Compressor(threshold_db=-10, ratio=4), signal), signal)
    assert np.array_equal(run(Limiter(ceiling_db=-1), signal), signal)


def test_a_side_chain_decides_and_the_bus_is_turned_down() -> None:
    effect = Compressor(threshold_db=-20, ratio=4, sidechain_bus="key")
    signal, key = sine(RATE, 500, -30), sine(RATE, 70, -8)
    settled = run(effect, signal, key=key)[:, -RATE // 4 :]
    assert peak_db(settled) == pytest.approx(-30 - 9, abs=0.5)
    silent = run(effect, sine(RATE, 500, 0), key=np.zeros((2, RATE)))
    assert np.array_equal(silent, sine(RATE, 500, 0))


def test_both_channels_get_the_same_gain() -> None:
    signal = sine(RATE, 1000, -6) * np.array([[1.0], [0.1]])
    output = run(Compressor(threshold_db=-20, ratio=4), signal)
    assert peak_db(output[1] - 0.1 * output[0]) < -200


def test_the_gate_is_shut_below_and_open_above() -> None:
    gate = Gate(threshold_db=-40, attack_ms=1, hold_ms=50, release_ms=20)
    quiet, loud = sine(RATE, 200, -50), sine(RATE, 200, -20)
    output = run(gate, np.concatenate([quiet, loud, quiet], axis=1))
    assert peak_db(output[:, : RATE - control_step(RATE)]) < -200
    assert peak_db((output - np.concatenate([quiet, loud, quiet], axis=1))[:, RATE + 500 : 2 * RATE]) < -80
    held = 2 * RATE + int(0.045 * RATE)
    assert peak_db(output[:, held : held + 500]) == pytest.approx(-50, abs=0.3)
    assert peak_db(output[:, 2 * RATE + int(0.3 * RATE) :]) < -130


@pytest.mark.parametrize(("ceiling_db", "threshold_db"), [(-1.0, -1.0), (-6.0, -12.0), (0.0, 0.0)])
def test_nothing_leaves_the_limiter_above_its_ceiling(ceiling_db: float, threshold_db: float) -> None:
    signal = noise(60_000, level=1.0)
    output = run(Limiter(ceiling_db=ceiling_db, threshold_db=threshold_db, release_ms=30), signal)
    assert peak_db(output) <= ceiling_db + 1e-9
    assert peak_db(output) > ceiling_db - 1.5
    untouched = run(Limiter(ceiling_db=ceiling_db, threshold_db=threshold_db), sine(RATE, 1000, threshold_db - 0.1))
    assert np.array_equal(untouched, sine(RATE, 1000, threshold_db - 0.1))


def test_the_limiter_lets_go_with_its_release() -> None:
    signal = np.full((2, RATE), 0.25)
    signal[:, 100] = 4.0
    output = run(Limiter(ceiling_db=-12.0411998, threshold_db=-12.0411998, release_ms=100), signal)
    gain = output[0] / signal[0]
    assert gain[100] == pytest.approx(0.0625, rel=1e-6)
    assert gain[100 + RATE // 10] == pytest.approx(0.0625 * math.e, rel=1e-3)
    assert gain[-1] == pytest.approx(1.0)


def test_the_delay_echoes_on_the_sample() -> None:
    output = run(Delay(time_ms=10, feedback=0.5), impulse(3000, 7))
    expected = np.zeros((2, 3000))
    for count in range(1, 7):
        expected[:, 7 + 441 * count] = 0.5 ** (count - 1)
    assert np.array_equal(output, expected)


def test_the_reverb_is_that_of_another_implementation() -> None:
    pedalboard = pytest.importorskip("pedalboard")
    theirs = pedalboard.Reverb(room_size=0.6, damping=0.3, wet_level=1.0, dry_level=0.0, width=0.8)
    signal = impulse(RATE, 4410)
    theirs_out = theirs(signal.astype(np.float32), RATE).astype(np.float64)
    ours = run(Reverb(room_size=0.6, damping=0.3, width=0.8), signal)
    assert peak_db(ours - theirs_out) < -120


def test_the_reverb_starts_after_its_predelay_and_is_as_wide_as_asked() -> None:
    dry = run(Reverb(width=0.0), impulse(8000, 0))
    late = run(Reverb(width=0.0, predelay_ms=50), impulse(8000, 0))
    assert np.array_equal(late[:, 2205:], dry[:, :-2205])
    assert not late[:, :2205].any()
    assert peak_db(dry[0] - dry[1]) < -200
    wide = run(Reverb(width=1.0), impulse(8000, 0))
    assert peak_db(wide[0] - wide[1]) > -60


def test_what_is_bypassed_or_foreign_is_passed_by() -> None:
    losses = Losses()
    assert make_effect(Gain(gain_db=6, enabled=False), RATE, losses) is None
    assert not losses.limits
    assert make_effect(PluginRef(daw="reaper", name="X"), RATE, losses) is None
    assert [limit.feature for limit in losses.limits] == [Feature.PLUGIN]
