"""The RoFormers of the catalog: rows, and how each is run, from the configs that are published with them."""

from __future__ import annotations

from dataclasses import replace

from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.roformer.config import RoformerConfig
from daw_bridge.separation.model_info import Licence, ModelInfo, Score, WeightFile, whole_song_score

_HUB = "https://huggingface.co"
_RELEASES = "https://github.com/ZFTurbo/Music-Source-Separation-Training/releases/download"
_NOMAD = "https://github.com/nomadkaraoke/python-audio-separator/releases/download/model-configs"
_MIRROR = f"{_HUB}/baicai1145/pymss/resolve/main"
_BY_NAME = "by the file's name; its maker's own test set"

_KIM = RoformerConfig(dim=384, depth=6, hop_samples=441, mel_band_count=60, mask_hidden_layers=2)
_DEEP_MEL = replace(_KIM, dim=256, depth=12)
_DEEP_BS = RoformerConfig(dim=256, depth=12)

MEGA_STEMS = (
    "accordion", "acoustic-guitar", "back-vocal", "banjo", "bass", "bassoon", "bells", "bowed_strings", "brass",
    "cello", "clarinet", "congas", "digital-piano", "dobro", "double-bass", "drums", "electric-guitar", "flute",
    "french-horn", "glockenspiel", "guitar", "harmonica", "harp", "harpsichord", "hh", "keys", "kick", "lead-vocal",
    "mandolin", "marimba", "oboe", "organ", "percussion", "piano", "saxophone", "sitar", "snare", "strings", "synth",
    "tambourine", "timpani", "toms", "triangle", "trombone", "trumpet", "tuba", "ukulele", "viola", "violin", "vocal",
    "wind", "wind-chimes", "woodwind",
)  # fmt: skip

SETTINGS: dict[str, Settings[RoformerConfig]] = {
    "mel_kim": Settings(network=_KIM, stems=("vocals",), chunk_samples=352_800, overlaps=2),
    "mel_deux": Settings(
        network=replace(_DEEP_MEL, stems=2), stems=("vocals", "instrumental"), chunk_samples=573_300, overlaps=2
    ),
    "bs_anvuew_ft1": Settings(network=_DEEP_BS, stems=("vocals",), chunk_samples=960_000, overlaps=4),
    "bs_mega53": Settings(
        network=replace(_DEEP_BS, stems=53, mask_factor=2), stems=MEGA_STEMS, chunk_samples=441_000, overlaps=2
    ),
    "kar_aufr33": Settings(network=_KIM, stems=("lead",), chunk_samples=352_800, overlaps=4),
    "kar_anvuew": Settings(network=_DEEP_BS, stems=("lead",), chunk_samples=640_000, overlaps=4),
    "dereverb_anvuew": Settings(network=_KIM, stems=("dry",), chunk_samples=352_800, overlaps=2),
    "denoise_aufr33": Settings(network=_KIM, stems=("denoised",), chunk_samples=352_800, overlaps=4),
}


def _file(name: str, size_mb: int, sha256: str, *urls: str) -> tuple[WeightFile, ...]:
    return (WeightFile(name=name, urls=urls, size_bytes=size_mb * 1_000_000, sha256=sha256),)


MODELS = (
    ModelInfo(
        name="mel_kim",
        family="roformer",
        stems=("vocals",),
        complement="instrumental",
        task="vocals",
        summary="the recommended vocal model: Kimberley Jensen's Mel-Band RoFormer; vocals and instrumental",
        licence="MIT (the card of its repository)",
        licence_class=Licence.CLEAR,
        licence_source="huggingface.co/KimberleyJSN/melbandroformer",
        weights_from="Hugging Face hub (KimberleyJSN/melbandroformer)",
        size_mb=913,
        speed="very slow",
        segment_s=8.0,
        memory_gb_per_segment=0.6,
        gflop_per_s=560.0,
        cpu_s_per_s=14.0,
        score=whole_song_score(12.01, (("vocals", 12.01),), "unblend 1.0.0, metadata of the model"),
        files=_file(
            "MelBandRoformer.ckpt",
            913,
            "87201f4d31afb5bc79993230fc49446918425574db48c01c405e44f365c7559e",
            f"{_HUB}/KimberleyJSN/melbandroformer/resolve/main/MelBandRoformer.ckpt",
            f"{_NOMAD}/vocals_mel_band_roformer.ckpt",
        ),
        notes=("10.98 dB on the MVSep multisong set, another protocol again",),
    ),
    ModelInfo(
        name="mel_deux",
        family="roformer",
        stems=("vocals", "instrumental"),
        task="vocals",
        summary="becruily's deux: vocals and instrumental by one network each of them is the aim of",
        licence="CC-BY-NC-4.0: not for commercial use",
        licence_class=Licence.NON_COMMERCIAL,
        licence_source="huggingface.co/becruily/mel-band-roformer-deux",
        asks_for_licence=True,
        weights_from="Hugging Face hub (becruily/mel-band-roformer-deux)",
        size_mb=435,
        speed="very slow",
        segment_s=13.0,
        memory_gb_per_segment=0.8,
        gflop_per_s=600.0,
        cpu_s_per_s=16.0,
        score=Score(
            average_db=11.37,
            stems_db=(("vocals", 11.37), ("instrumental", 17.55)),
            protocol="MVSep multisong set, whole-song SDR, mean over songs, dB",
            source="splifft 0.0.9, registry",
        ),
        files=_file(
            "becruily_deux.ckpt",
            435,
            "10255c02295bf3e3865d4ee50ff752d7b19b124ed5fd93b147babc4333eda3aa",
            f"{_HUB}/becruily/mel-band-roformer-deux/resolve/main/becruily_deux.ckpt",
        ),
        notes=("its weights are published in 16 bits; they are computed in 32",),
    ),
    ModelInfo(
        name="bs_anvuew_ft1",
        family="roformer",
        stems=("vocals",),
        complement="instrumental",
        task="vocals",
        summary="anvuew's BS-RoFormer for vocals: half the size of mel_kim, chunks of 22 s",
        licence="GPL-3.0 (the card of its repository); what copyleft means for weights is untested",
        licence_class=Licence.COPYLEFT,
        licence_source="huggingface.co/anvuew/BS-RoFormer",
        asks_for_licence=True,
        weights_from="Hugging Face hub (anvuew/BS-RoFormer)",
        size_mb=204,
        speed="very slow",
        segment_s=21.8,
        memory_gb_per_segment=1.0,
        gflop_per_s=1200.0,
        cpu_s_per_s=30.0,
        score=Score(
            average_db=12.55,
            stems_db=(("vocals", 12.55),),
            protocol="whole-song SDR on a set that is not named, dB",
            source=_BY_NAME,
        ),
        files=_file(
            "bs_roformer_ft1_anvuew_sdr_12.55.ckpt",
            204,
            "60347271e8493fdff28ef558c3b2297afb869a1f4462594ed548038264bec395",
            f"{_HUB}/anvuew/BS-RoFormer/resolve/main/bs_roformer_ft1_anvuew_sdr_12.55.ckpt",
            f"{_MIRROR}/experimental_general/bs_roformer_ft1_anvuew_sdr_12.55.ckpt",
        ),
        notes=("what it was fine-tuned from is not documented",),
    ),
    ModelInfo(
        name="bs_mega53",
        family="roformer",
        stems=MEGA_STEMS,
        summary="MVSep's 53 instruments, drum parts, lead and backing vocals; its stems overlap and do not sum",
        licence="none stated",
        licence_class=Licence.UNSTATED,
        licence_source="MSST issue 245 asks for it, unanswered",
        asks_for_licence=True,
        weights_from="releases of the MSST project (v1.0.21)",
        size_mb=1369,
        speed="very slow",
        segment_s=10.0,
        memory_gb_per_segment=2.5,
        gflop_per_s=600.0,
        cpu_s_per_s=16.0,
        files=_file(
            "mvsep_mega_model_bs_roformer_53_stems_v1.ckpt",
            1369,
            "c62820893bbf86d4e734f966bd142d9157cfc8bb8e79e9d8f9ea553f3ff3519f",
            f"{_RELEASES}/v1.0.21/mvsep_mega_model_bs_roformer_53_stems_v1.ckpt",
            f"{_MIRROR}/music_stems/mega_53_stems/mvsep_mega_model_bs_roformer_53_stems_v1.ckpt",
        ),
        notes=("ask for a few stems: only their heads are computed, and the rest stays in the residual",),
    ),
    ModelInfo(
        name="kar_aufr33",
        family="roformer",
        stems=("lead",),
        complement="backing",
        task="karaoke",
        summary="lead vocal against everything else; for vocals in a chain: lead and backing",
        licence="none stated",
        licence_class=Licence.UNSTATED,
        licence_source="none found where the weights are published (November 2026)",
        asks_for_licence=True,
        weights_from="releases of python-audio-separator (the maker's own repository is gone)",
        size_mb=913,
        speed="very slow",
        segment_s=8.0,
        memory_gb_per_segment=0.6,
        gflop_per_s=1120.0,
        cpu_s_per_s=28.0,
        score=Score(
            average_db=10.20,
            stems_db=(("lead", 10.20),),
            protocol="whole-song SDR on a set that is not named, dB",
            source=_BY_NAME,
        ),
        files=_file(
            "mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956.ckpt",
            913,
            "1de20d459332fe8869aeb01327a31df0032262706e1365114e852dc271779813",
            f"{_HUB}/jarredou/aufr33-viperx-karaoke-melroformer-model/resolve/main/"
            "mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956.ckpt",
            f"{_NOMAD}/mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956.ckpt",
        ),
    ),
    ModelInfo(
        name="kar_anvuew",
        family="roformer",
        stems=("lead",),
        complement="backing",
        task="karaoke",
        summary="anvuew's lead vocal: a quarter of the download of kar_aufr33",
        licence="none stated",
        licence_class=Licence.UNSTATED,
        licence_source="none found where the weights are published (November 2026)",
        asks_for_licence=True,
        weights_from="Hugging Face hub (anvuew/karaoke_bs_roformer)",
        size_mb=204,
        speed="very slow",
        segment_s=14.5,
        memory_gb_per_segment=0.7,
        gflop_per_s=1200.0,
        cpu_s_per_s=30.0,
        files=_file(
            "karaoke_bs_roformer_anvuew.ckpt",
            204,
            "206d04757cb5f75ca3b55f8a0a48f5c26aa2351d4ff3c7adbfc9affa30ea3ae4",
            f"{_HUB}/anvuew/karaoke_bs_roformer/resolve/main/karaoke_bs_roformer_anvuew.ckpt",
            f"{_MIRROR}/karaoke/bs_roformer_karaoke_anvuew.ckpt",
        ),
    ),
    ModelInfo(
        name="dereverb_anvuew",
        family="roformer",
        stems=("dry",),
        complement="reverb",
        task="dereverb",
        summary="a voice without its room; for vocals in a chain: dry and reverb",
        licence="GPL-3.0 (the card of its repository); what copyleft means for weights is untested",
        licence_class=Licence.COPYLEFT,
        licence_source="huggingface.co/anvuew/dereverb_mel_band_roformer",
        asks_for_licence=True,
        weights_from="Hugging Face hub (anvuew/dereverb_mel_band_roformer)",
        size_mb=913,
        speed="very slow",
        segment_s=8.0,
        memory_gb_per_segment=0.6,
        gflop_per_s=560.0,
        cpu_s_per_s=14.0,
        score=Score(
            average_db=19.17,
            stems_db=(("dry", 19.17),),
            protocol="whole-song SDR on a set that is not named, dB",
            source=_BY_NAME,
        ),
        files=_file(
            "dereverb_mel_band_roformer_anvuew_sdr_19.1729.ckpt",
            913,
            "9262877b87e9ebb0fb808a456b0a411fa677f5df31c8383c1254af531c078970",
            f"{_HUB}/anvuew/dereverb_mel_band_roformer/resolve/main/dereverb_mel_band_roformer_anvuew_sdr_19.1729.ckpt",
            f"{_HUB}/Eddycrack864/audio-separator-models/resolve/main/roformers/"
            "dereverb_mel_band_roformer_anvuew_sdr_19.1729.ckpt",
        ),
    ),
    ModelInfo(
        name="denoise_aufr33",
        family="roformer",
        stems=("denoised",),
        complement="noise",
        task="denoise",
        summary="a recording without its noise, and the noise",
        licence="none stated",
        licence_class=Licence.UNSTATED,
        licence_source="none found where the weights are published (November 2026)",
        asks_for_licence=True,
        weights_from="releases of the MSST project (v.1.0.7)",
        size_mb=913,
        speed="very slow",
        segment_s=8.0,
        memory_gb_per_segment=0.6,
        gflop_per_s=1120.0,
        cpu_s_per_s=28.0,
        score=Score(
            average_db=27.99,
            stems_db=(("denoised", 27.99),),
            protocol="whole-song SDR on a set that is not named, dB",
            source=_BY_NAME,
        ),
        files=_file(
            "denoise_mel_band_roformer_aufr33_sdr_27.9959.ckpt",
            913,
            "7c1c39191edc34e942ca7f2346ce6b6c0e1208a5f76349ffce6f696bd12910de",
            f"{_RELEASES}/v.1.0.7/denoise_mel_band_roformer_aufr33_sdr_27.9959.ckpt",
            f"{_HUB}/poiqazwsx/melband-roformer-denoise/resolve/main/denoise_mel_band_roformer_aufr33_sdr_27.9959.ckpt",
        ),
    ),
)
