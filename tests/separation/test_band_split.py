"""The network and its transform: exact reconstruction, exact sums, no look into the future."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet, band_widths
from daw_bridge.separation.families.band_split.stft import analyse, synthesise
from daw_bridge.separation.families.band_split.windows import asymmetric_windows
from tests.separation.small_net import make_net


@pytest.mark.parametrize(("window", "hop"), [(2048, 512), (2048, 256), (1024, 512), (4096, 256)])
def test_analysis_times_synthesis_is_a_hann_window(window: int, hop: int) -> None:
    analysis, synthesis = asymmetric_windows(window, hop)
    product = analysis[-2 * hop :] * synthesis
    np.testing.assert_allclose(product[:hop] + product[hop:], 1.0, atol=2e-7)


def test_a_window_shorter_than_two_hops_is_refused() -> None:
    with pytest.raises(ValueError, match="two hops"):
        asymmetric_windows(1000, 512)


def test_untouched_spectra_give_an_impulse_back_on_its_sample() -> None:
    """What is cut out with the long window returns through the short one, to the sample."""
    window, hop = 2048, 512
    analysis, synthesis = (torch.from_numpy(w) for w in asymmetric_windows(window, hop))
    audio = torch.zeros(1, 2, 8192)
    audio[0, 0, 3001], audio[0, 1, 5003] = 1.0, -0.5
    padded = torch.nn.functional.pad(audio, (window - hop, 2 * hop))
    out = synthesise(analyse(padded, analysis, hop).unsqueeze(2), synthesis, window)[0, 0, :, :8192]
    torch.testing.assert_close(out, audio[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_bands_cover_every_bin_once(rate_hz: int) -> None:
    config = BandSplitConfig(sample_rate_hz=rate_hz)
    assert sum(band_widths(config)) == config.bins


def test_fresh_weights_give_the_mix_shared_out_evenly() -> None:
    """Training starts from the trivial estimator, never below it."""
    spectrum = torch.randn(1, 3, 4, 1025)
    stems, _ = BandSplitNet(BandSplitConfig(layers=1))(spectrum)
    torch.testing.assert_close(stems, (spectrum / 4).unsqueeze(2).expand_as(stems))


@pytest.mark.parametrize("causal", [True, False])
def test_stems_sum_to_the_mix_whatever_the_weights(causal: bool) -> None:
    spectrum = torch.randn(2, 5, 4, 1025)
    stems, _ = make_net(causal=causal)(spectrum)
    assert float((stems - spectrum.unsqueeze(2) / 4).abs().max()) > 0.1
    torch.testing.assert_close(stems.sum(2), spectrum, atol=2e-5, rtol=0)


def test_a_frame_never_changes_the_frames_before_it() -> None:
    net, spectrum = make_net(), torch.randn(1, 8, 4, 1025)
    changed = spectrum.clone()
    changed[:, 5:] = torch.randn(1, 3, 4, 1025) * 10
    with torch.inference_mode():
        before, after = net(spectrum)[0], net(changed)[0]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_the_bidirectional_sibling_does_look_ahead() -> None:
    net, spectrum = make_net(causal=False), torch.randn(1, 8, 4, 1025)
    changed = spectrum.clone()
    changed[:, 7] *= 5
    with torch.inference_mode():
        assert not torch.equal(net(spectrum)[0][:, :7], net(changed)[0][:, :7])


def test_the_state_carries_the_recurrence_over_a_cut() -> None:
    net, spectrum = make_net(), torch.randn(1, 9, 4, 1025)
    with torch.inference_mode():
        whole, _ = net(spectrum)
        first, state = net(spectrum[:, :4], net.initial_state())
        second, _ = net(spectrum[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole, atol=1e-5, rtol=0)


def test_a_configuration_survives_json() -> None:
    config = BandSplitConfig(sources=("vocals", "rest"), layers=3, causal=False)
    assert BandSplitConfig.from_json(config.to_json()) == config
    with pytest.raises(TypeError):
        BandSplitConfig.from_json({"layer": 3})


def test_a_window_too_short_for_the_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        band_widths(BandSplitConfig(window_samples=32))
