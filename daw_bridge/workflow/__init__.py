"""Everything that the command line, the daemon and a script may ask for: separate, build, rebuild, extract."""

from daw_bridge.build_options import BuildOptions
from daw_bridge.workflow.chain import build, rebuild, separate
from daw_bridge.workflow.extract import ExtractedTemplate, extract_open_template, extract_template
from daw_bridge.workflow.into import Into, build_into
from daw_bridge.workflow.options import BuildResult
from daw_bridge.workflow.rendering import RenderOptions, RenderResult, render

__all__ = [
    "BuildOptions",
    "BuildResult",
    "ExtractedTemplate",
    "Into",
    "RenderOptions",
    "RenderResult",
    "build",
    "build_into",
    "extract_open_template",
    "extract_template",
    "rebuild",
    "render",
    "separate",
]
