"""Everything that the command line, the daemon and a script may ask for: separate, build, rebuild."""

from daw_bridge.workflow.chain import build, rebuild, separate
from daw_bridge.workflow.options import BuildOptions, BuildResult

__all__ = ["BuildOptions", "BuildResult", "build", "rebuild", "separate"]
