"""What people call a bus or a track -> the stem that models make of it: `DRM BUS` and `Drum Kit` are `drums`."""

from __future__ import annotations

import re

_FILLERS = re.compile(
    r"\b(bus|buss|group|grp|sub|submix|folder|stems?|tracks?|all|main|mix|summe?|sum|aux|the|my|l|r|st|stereo|mono|\d+)\b"
)
_CALLED = {
    "drums": "drums drum drumkit drumset kit drm drms dr drumz percussion_and_drums drum_kit drum_set beat beats",
    "kick": "kick kik kck bd bass_drum kick_in kick_out kick_drum",
    "snare": "snare snr sn sd snare_top snare_bottom snare_bot snare_drum",
    "toms": "toms tom floor_tom rack_tom",
    "hihat": "hihat hi_hat hh hat hats hihats",
    "cymbals": "cymbals cymbal oh ohs overhead overheads cym ride crash",
    "percussion": "percussion perc percs shaker tambourine congas",
    "bass": "bass bs bss bass_guitar bassguitar bassline bass_gtr bass_di bass_amp e_bass synth_bass",
    "vocals": "vocals vocal vox voc vocs voice voices singer lead_vox lead_vocal lead_vocals lead_voc ld_vox lv ldvox"
    " leadvox vocal_lead vox_lead",
    "backing_vocals": "backing_vocals backing_vocal backing bgv bgvs bv bvs bvox backing_vox background_vocals"
    " harmonies choir",
    "guitar": "guitar guitars gtr gtrs git guit egtr e_gtr agtr a_gtr elec_gtr electric_guitar electric_guitars"
    " acoustic_guitar acoustic_guitars acoustic_gtr gtr_elec gtr_ac rhythm_guitar lead_guitar",
    "piano": "piano pianos pno keys key keyboard keyboards rhodes grand_piano",
    "other": "other others rest music instruments instr instrumental inst everything_else",
    "residual": "residual",
}
_STEM_OF = {name.replace("_", " "): stem for stem, names in _CALLED.items() for name in names.split()}


def stem_called(title: str) -> str | None:
    """The stem that a bus or track of this title holds; None when its title says nothing of the kind."""
    words = re.sub(r"[\W_]+", " ", title.casefold()).strip()
    return _STEM_OF.get(words) or _STEM_OF.get(" ".join(_FILLERS.sub(" ", words).split()))
