"""Checked by the type checker, never run: what is right passes, and each wrong line has to be an error.

(`warn_unused_ignores` of strict mode reports an ignore that nothing needs.)
"""

from __future__ import annotations

from daw_bridge.build_options import BuildOptions
from daw_bridge.separation.options import Fold

BuildOptions(residual="fold:other", encoding="flac", device="cuda:1", precision="tf32", channels=(1, 2))
BuildOptions(residual=Fold("snare"), channels="downmix", stems=("vocals",))
BuildOptions(residual="kep")  # type: ignore[arg-type]
BuildOptions(encoding="mp3")  # type: ignore[arg-type]
BuildOptions(device="gpu")  # type: ignore[arg-type]
BuildOptions(precision="fp16")  # type: ignore[arg-type]
BuildOptions(channels="mono")  # type: ignore[arg-type]
BuildOptions(overlap="0.5")  # type: ignore[arg-type]
BuildOptions(stems="vocals")  # type: ignore[arg-type]
BuildOptions(nonsense=1)  # type: ignore[call-arg]
