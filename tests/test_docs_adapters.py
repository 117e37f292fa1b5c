"""docs/adapters.md: the table comes from the adapters, and every cell has a test that would notice."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from daw_bridge.adapter import Feature, Support
from daw_bridge.registry import load_adapter
from tests.generated_docs import DOCS, check_section

SHOWN = ("reaper", "ardour", "dawproject", "live", "aaf", "nistem", "render")
REAPER, ARDOUR, DAWPROJECT, RENDER = "tests/reaper/", "tests/ardour/", "tests/dawproject/", "tests/render/"

_REAPER_EFFECTS = REAPER + "test_write.py::test_effects_hold_the_plans_values"
_REAPER_FILE = REAPER + "test_write.py::test_the_file_reads_back_as_the_layout"
_REAPER_LOSS = REAPER + "test_write.py::test_what_is_bent_or_lost_is_reported"
_ARDOUR_FILE = ARDOUR + "test_survival.py::test_a_session_with_everything_survives_a_save_by_ardour"
_ARDOUR_NULL = ARDOUR + "test_export.py::test_a_neutral_session_nulls_against_the_mix"
_ARDOUR_MIXER = ARDOUR + "test_export.py::test_faders_pans_sends_returns_and_mutes"
_ARDOUR_ROOMS = ARDOUR + "test_export.py::test_a_soloed_bus_is_heard_alone_and_returns_take_their_time"
_ARDOUR_GATES = ARDOUR + "test_export.py::test_gates_close_gains_are_exact_and_bypassed_inserts_are_unheard"
_DAWPROJECT_BACK = DAWPROJECT + "test_dawproject.py::test_what_was_written_is_read_back"
_DAWPROJECT_LOSS = DAWPROJECT + "test_dawproject.py::test_what_the_format_has_no_word_for_is_said"
_RENDER_WAV = RENDER + "test_render.py::test_it_is_an_adapter_and_reports_what_a_wav_cannot_hold"

AAF = "tests/aaf/test_aaf.py::"
LIVE = "tests/liveset/test_liveset.py::"
_NOTES = "tests/analysis/test_notes.py::"
NISTEM = "tests/nistem/test_nistem.py::"

PROOFS: dict[str, dict[Feature, str]] = {
    "reaper": {
        **dict.fromkeys(Feature, _REAPER_FILE),
        Feature.CLIPS: REAPER + "test_write.py::test_a_neutral_session_sounds_exactly_like_the_mix",
        Feature.BUSES: REAPER + "test_write.py::test_folders_follow_the_signal",
        Feature.NESTING: REAPER + "test_nested.py::test_buses_in_buses_are_folders_in_folders_and_sound_like_the_mix",
        Feature.SENDS: REAPER + "test_write.py::test_sends_and_side_chains_reach_their_channels",
        Feature.SIDECHAIN: REAPER + "test_write.py::test_sends_and_side_chains_reach_their_channels",
        Feature.EQUALIZER: _REAPER_EFFECTS,
        Feature.COMPRESSOR: _REAPER_EFFECTS,
        Feature.GATE: _REAPER_EFFECTS,
        Feature.GAIN: _REAPER_EFFECTS,
        Feature.DELAY: _REAPER_EFFECTS,
        Feature.LIMITER: _REAPER_LOSS,
        Feature.REVERB: _REAPER_LOSS,
        Feature.NOTES: _NOTES + "test_reaper_has_the_notes_on_a_muted_track_under_their_stem",
        Feature.PLUGIN: REAPER + "test_write.py::test_a_plugin_state_cannot_write_anything_else",
    },
    "ardour": {
        **dict.fromkeys(Feature, _ARDOUR_FILE),
        Feature.CLIPS: _ARDOUR_NULL,
        Feature.BUSES: _ARDOUR_NULL,
        Feature.NESTING: ARDOUR + "test_export.py::test_buses_in_buses_null_and_their_faders_are_those_of_the_way",
        Feature.MIX_BUS: _ARDOUR_NULL,
        Feature.REFERENCE: _ARDOUR_NULL,
        Feature.GAIN_PAN_MUTE_SOLO: _ARDOUR_MIXER,
        Feature.SENDS: _ARDOUR_MIXER,
        Feature.RETURNS: _ARDOUR_MIXER,
        Feature.EQUALIZER: ARDOUR + "test_export.py::test_equalizers_have_the_curves_of_the_cookbook",
        Feature.COMPRESSOR: ARDOUR + "test_export.py::test_compressors_have_the_static_curve",
        Feature.SIDECHAIN: ARDOUR + "test_export.py::test_a_sidechain_ducks_by_the_key_bus",
        Feature.GATE: _ARDOUR_GATES,
        Feature.GAIN: _ARDOUR_GATES,
        Feature.LIMITER: ARDOUR + "test_effects.py::test_gates_and_limiters_say_what_they_lack",
        Feature.REVERB: _ARDOUR_ROOMS,
        Feature.DELAY: _ARDOUR_ROOMS,
        Feature.NOTES: ARDOUR + "test_tempo.py::test_drafts_of_notes_are_there_after_ardour_saved_the_session",
        Feature.PLUGIN: ARDOUR + "test_session.py::test_a_users_processor_travels_untouched",
    },
    "dawproject": {
        **dict.fromkeys(Feature, _DAWPROJECT_BACK),
        Feature.COMPRESSOR: DAWPROJECT + "test_dawproject.py::test_ratio_and_times_are_in_the_units_of_the_format",
        **dict.fromkeys(
            (Feature.SIDECHAIN, Feature.GATE, Feature.LIMITER, Feature.REVERB, Feature.DELAY, Feature.PLUGIN),
            _DAWPROJECT_LOSS,
        ),
        Feature.NOTES: _NOTES + "test_dawproject_has_the_notes_in_beats_and_reads_back_without_them",
        Feature.NESTING: DAWPROJECT + "test_nested.py::test_buses_in_buses_are_groups_in_groups",
        Feature.GROUPS: _DAWPROJECT_LOSS,
        Feature.MARKERS: _DAWPROJECT_LOSS,
    },
    "live": {
        **dict.fromkeys(Feature, LIVE + "test_it_keeps_the_contract"),
        Feature.CLIPS: LIVE + "test_another_reader_agrees_on_tempo_clips_and_locators",
        Feature.MARKERS: LIVE + "test_another_reader_agrees_on_tempo_clips_and_locators",
        Feature.TEMPO: LIVE + "test_a_moving_tempo_stands_on_the_bars_as_steps",
        Feature.BUSES: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.NESTING: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.MIX_BUS: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.SENDS: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.RETURNS: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.REFERENCE: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.GAIN_PAN_MUTE_SOLO: LIVE + "test_groups_sends_returns_and_the_main_track_are_wired_as_planned",
        Feature.EQUALIZER: LIVE + "test_devices_hold_the_values_of_the_plan",
        Feature.COMPRESSOR: LIVE + "test_devices_hold_the_values_of_the_plan",
        Feature.SIDECHAIN: LIVE + "test_devices_hold_the_values_of_the_plan",
        Feature.GAIN: LIVE + "test_devices_hold_the_values_of_the_plan",
    },
    "aaf": {
        **dict.fromkeys(Feature, AAF + "test_it_keeps_the_contract"),
        Feature.CLIPS: AAF + "test_samples_read_back_as_they_are_in_24_bits",
        Feature.GAIN_PAN_MUTE_SOLO: AAF + "test_faders_and_pans_on_the_way_to_the_master_are_in_the_clip_gains",
        Feature.REFERENCE: AAF + "test_another_reader_finds_every_track_clip_and_marker",
        Feature.MARKERS: AAF + "test_another_reader_finds_every_track_clip_and_marker",
        Feature.NOTES: _NOTES + "test_every_other_format_says_where_the_notes_are",
        Feature.TEMPO: AAF + "test_the_tempo_map_lies_beside_it_and_the_same_plan_gives_the_same_files",
    },
    "nistem": {
        **dict.fromkeys(Feature, NISTEM + "test_it_keeps_the_contract"),
        Feature.CLIPS: NISTEM + "test_seven_stems_become_four_with_names_and_colours",
        Feature.COLOURS: NISTEM + "test_seven_stems_become_four_with_names_and_colours",
        Feature.REFERENCE: NISTEM + "test_lossless_stems_are_whole_and_add_up_to_the_mix",
    },
    "render": {
        **dict.fromkeys(Feature, _RENDER_WAV),
        Feature.CLIPS: RENDER + "test_render.py::test_an_impulse_in_any_stem_comes_out_on_its_sample",
        Feature.BUSES: RENDER + "test_render.py::test_the_neutral_session_is_the_mix",
        Feature.NESTING: RENDER + "test_nested.py::test_faders_of_buses_in_buses_multiply",
        Feature.MIX_BUS: RENDER + "test_render.py::test_the_neutral_session_is_the_mix",
        Feature.GAIN_PAN_MUTE_SOLO: RENDER + "test_render.py::test_faders_pans_and_mutes_are_exact",
        Feature.SENDS: RENDER + "test_render.py::test_sends_are_exact_before_and_behind_the_fader",
        Feature.RETURNS: RENDER + "test_render.py::test_sends_are_exact_before_and_behind_the_fader",
        Feature.REFERENCE: RENDER + "test_render.py::test_the_reference_alone_is_the_mix_untouched",
        Feature.EQUALIZER: RENDER + "test_effects.py::test_bands_follow_their_transfer_function",
        Feature.COMPRESSOR: RENDER + "test_effects.py::test_the_compressor_follows_its_static_curve",
        Feature.SIDECHAIN: RENDER + "test_effects.py::test_a_side_chain_decides_and_the_bus_is_turned_down",
        Feature.GATE: RENDER + "test_effects.py::test_the_gate_is_shut_below_and_open_above",
        Feature.LIMITER: RENDER + "test_effects.py::test_nothing_leaves_the_limiter_above_its_ceiling",
        Feature.DELAY: RENDER + "test_effects.py::test_the_delay_echoes_on_the_sample",
        Feature.REVERB: RENDER + "test_effects.py::test_the_reverb_is_that_of_another_implementation",
        Feature.GAIN: RENDER + "test_effects.py::test_bands_of_an_equalizer_multiply_and_disabled_ones_do_nothing",
    },
}
"""For each adapter and feature the test that fails when the cell is wrong."""


def feature_table() -> str:
    """Feature by adapter, from what the adapters declare."""
    adapters = [load_adapter(name) for name in SHOWN]
    lines = ["| feature | " + " | ".join(adapter.title for adapter in adapters) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for feature in Feature:
        cells = (adapter.features.get(feature, Support.NOT_POSSIBLE) for adapter in adapters)
        lines.append(f"| {feature} | " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def test_generated_table_of_features_is_that_of_the_adapters() -> None:
    check_section("adapters.md", "features", feature_table())


@cache
def _tests_in(file: str) -> frozenset[str]:
    tree = ast.parse((DOCS.parent / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("adapter", SHOWN)
def test_every_cell_has_a_test(adapter: str) -> None:
    assert set(PROOFS[adapter]) == set(Feature)
    for feature, proof in PROOFS[adapter].items():
        file, _, name = proof.partition("::")
        assert name in _tests_in(file), f"{adapter}, {feature}: {proof} is gone"


def test_the_measured_tables_stand_in_the_document() -> None:
    """`python -m benchmarks.adapters --write` puts them there."""
    text = (DOCS / "adapters.md").read_text("utf-8").partition("<!-- measured -->")[2].partition("<!-- end -->")[0]
    assert "bit-exact" in text or "dBFS" in text
    assert "static curve" in text
