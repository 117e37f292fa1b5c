"""The published Demucs models: rows of the catalog."""

from __future__ import annotations

from daw_bridge.separation.model_info import FOUR, SIX, Licence, ModelInfo, WeightFile, published_score

_HUB = "demucs: Hugging Face hub (adefossez), else dl.fbaipublicfiles.com"
_LICENCE = "none; their author: not under the MIT licence of the code, for scientific purposes only"
_SOURCE = "github.com/facebookresearch/demucs issues 327 and 508; the hub's MIT tag was withdrawn on 2026-08-31"
LEGACY = "https://dl.fbaipublicfiles.com/demucs"
_MDX_WEIGHTS = ((1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 1.0), (1.0, 0.0, 1.0, 1.0))
_ONE_EACH = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_TEST_SET = "trained on the MUSDB test songs too: a MUSDB score of it means nothing, so none is given"
_QUANTISED = "quantised with DiffQ, read by daw-bridge itself: a smaller download, as large in memory, no faster"


def _legacy(folder: str, *rows: tuple[str, int, str]) -> tuple[WeightFile, ...]:
    """The files of a bag on the legacy server: signature, size in bytes, sha256 (its first 8 digits stand in the name).

    Of mdx_q's files no more than those 8 digits are known.
    """
    names = {f"{signature}-{sha256[:8]}.th": (size, sha256) for signature, size, sha256 in rows}
    return tuple(
        WeightFile(name=name, urls=(f"{LEGACY}/{folder}/{name}",), size_bytes=size, sha256=sha256)
        for name, (size, sha256) in names.items()
    )


MODELS = (
    ModelInfo(
        name="htdemucs_ft",
        family="demucs",
        stems=FOUR,
        summary="the production default: four transformer networks, each tuned for one stem",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=336,
        speed="slow",
        segment_s=7.8,
        memory_gb_per_segment=0.9,
        gflop_per_s=229.2,
        score=published_score(9.00, 9.20, 10.08, 10.39, 6.32),
        signatures=("f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"),
        files=_legacy(
            "hybrid_transformer",
            ("f7e0c4bc", 84_141_271, "ba3fe64ae8ef66ac9a4857222ce48efbdc5eb3ad375cb79dd13debee5aaa4066"),
            ("d12395a8", 84_141_271, "e57c48e6b0e38af4f7118d7bd08c49f0a0c0edf7d09143bdd902ea0d237303e6"),
            ("92cfc3b6", 84_141_271, "ef3bcb9c8b40d14ae5d51b6db2587339cc12c6b77c0be151ce6d69002e087bf2"),
            ("04573f0d", 84_141_271, "f3cf25b222c4eed7cd49dd8b2c9597d50c18bd154090f7b919cfa5f93cf22c49"),
        ),
        bag_weights=_ONE_EACH,
        notes=("one stem alone (--two-stems) runs one network of the four and takes a quarter of the time",),
    ),
    ModelInfo(
        name="htdemucs",
        family="demucs",
        stems=FOUR,
        summary="one transformer network for four stems: four times as fast as htdemucs_ft",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=84,
        speed="medium",
        segment_s=7.8,
        memory_gb_per_segment=0.9,
        gflop_per_s=57.3,
        score=published_score(8.80, 8.93, 10.05, 9.78, 6.42),
        signatures=("955717e8",),
        files=_legacy(
            "hybrid_transformer",
            ("955717e8", 84_141_911, "8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4"),
        ),
    ),
    ModelInfo(
        name="htdemucs_6s",
        family="demucs",
        stems=SIX,
        summary="six stems: guitar and piano beside the four",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=55,
        speed="medium",
        segment_s=7.8,
        memory_gb_per_segment=0.9,
        gflop_per_s=43.8,
        signatures=("5c90dfd2",),
        files=_legacy(
            "hybrid_transformer",
            ("5c90dfd2", 54_996_327, "34c22ccb381c6f9fdbf324f04e1e2fe21aaaf293f5ded163a162697ff9a02ddd"),
        ),
        notes=("experimental: piano is poor (1.6 dB SDR on MoisesDB) and bleeds; guitar is usable",),
    ),
    ModelInfo(
        name="mdx_extra",
        family="demucs",
        stems=FOUR,
        summary="four hybrid networks of the 2021 Music Demixing Challenge, averaged",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=669,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("e51eebcc", "a1d90b5c", "5d2d6c55", "cfa93e08"),
        files=_legacy(
            "mdx_final",
            ("e51eebcc", 167_399_275, "c1b80bdd6de58274abf359e66822a76f49ce2b9f086fc5dc917ac14598e6bebf"),
            ("a1d90b5c", 167_391_595, "ae9d245283bf24b552913ee233a1101dcd0aeaed59b1c0a2da0e1f6eda15101b"),
            ("5d2d6c55", 167_391_595, "db83574e05b2308f76e2764819da673f2d16d437b9e619f5fcb72f275fc0e24f"),
            ("cfa93e08", 167_399_275, "61801ae1567d606c97a9c3469e943ae306d0a873eeb60d623ae7cfc7042b3f68"),
        ),
        bag_segment_s=44,
        notes=(_TEST_SET,),
    ),
    ModelInfo(
        name="hdemucs_mmi",
        family="demucs",
        stems=FOUR,
        summary="one hybrid network without transformer, trained on 800 more songs",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=167,
        speed="fast",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=25.5,
        score=published_score(8.34, 8.75, 9.31, 9.13, 6.18),
        signatures=("75fc33f5",),
        files=_legacy(
            "hybrid_transformer",
            ("75fc33f5", 167_407_275, "1941ce654b11df4132b9f4eae408556b4c83fad6fe26b4bc0dbcb36b975befb3"),
        ),
        bag_segment_s=44,
    ),
    ModelInfo(
        name="mdx",
        family="demucs",
        stems=FOUR,
        summary="the 2021 challenge's winner on MUSDB data only: four networks with a share each",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=669,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("0d19c1c6", "7ecf8ec1", "c511e2ab", "7d865c68"),
        files=_legacy(
            "mdx_final",
            ("0d19c1c6", 178_048_329, "0f06f20ed6ddc8058fa72ccc4845f3a88916eff7d007b623924193de217bbcf4"),
            ("7ecf8ec1", 178_048_329, "70f50cc947d08f32e6dd8e2b687d398fa5ef9e51d1bd7600e32205d1f44be6b9"),
            ("c511e2ab", 167_334_095, "fe6987756a7087d339bf63b19bb481b12cea02d3bc0de7583df7597210209649"),
            ("7d865c68", 167_918_783, "3d5dd56b5bc986f136dff98655ded22b2b033f465ccec7a28640a6b15fd71ed6"),
        ),
        bag_weights=_MDX_WEIGHTS,
        bag_segment_s=44,
    ),
    ModelInfo(
        name="mdx_q",
        family="demucs",
        stems=FOUR,
        summary="mdx with quantised weights: a smaller download, slightly worse",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=209,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("6b9c2ca1", "b72baf4e", "42e558d4", "305bc58f"),
        files=_legacy(
            "mdx_final",
            ("6b9c2ca1", 59_648_321, "3fd82607"),
            ("b72baf4e", 44_368_175, "8778635e"),
            ("42e558d4", 58_227_087, "196e0e1b"),
            ("305bc58f", 46_847_123, "18378783"),
        ),
        bag_weights=_MDX_WEIGHTS,
        bag_segment_s=44,
        notes=(_QUANTISED,),
    ),
    ModelInfo(
        name="mdx_extra_q",
        family="demucs",
        stems=FOUR,
        summary="mdx_extra with quantised weights: a smaller download, slightly worse",
        licence=_LICENCE,
        licence_class=Licence.NON_COMMERCIAL,
        licence_source=_SOURCE,
        weights_from=_HUB,
        size_mb=168,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("83fc094f", "464b36d7", "14fc6a69", "7fd6ef75"),
        files=_legacy(
            "mdx_final",
            ("83fc094f", 50_756_993, "4a16d450fd8c9277494e23865cadaa4a3e64141c45411d84243b8c95ea4b7cae"),
            ("464b36d7", 38_893_153, "e5a9386ecbf6f30bb2bdc7ae162f471d87f3b5bffba1a8cb2cebe4403280967e"),
            ("14fc6a69", 38_491_885, "a89dd0eeb547221dcfd6c0a47baa768ce0bce548eaf86b9a404d6b1088b5d22f"),
            ("7fd6ef75", 39_436_529, "a905dd8548f7389f1a3686c24c09d7bee61b716e3372e778e2acec88333ecdf4"),
        ),
        bag_segment_s=44,
        notes=(_QUANTISED, _TEST_SET),
    ),
)
