"""SkyPilot's own schemas of a task and of its resources, as JSON; FOLDER holds the package without its dependencies.

Usage: sky_schema.py FOLDER. The package's own `__init__` would import a server; nothing of that is in these schemas.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


def bare(name: str, **members: Any) -> None:
    """A package or module of the folder without what it would import."""
    module = ModuleType(name)
    module.__path__ = [str(Path(sys.argv[1], *name.split(".")))]
    vars(module).update(members)
    sys.modules[name] = module


class AutostopWaitFor:
    """The one name of a module with dependencies; no file of ours says when to stop."""

    @staticmethod
    def supported_modes() -> list[str]:
        return []


bare("sky", __version__="0")
bare("sky.skylet")
bare("sky.utils")
bare("sky.skylet.autostop_lib", AutostopWaitFor=AutostopWaitFor)
vars(sys.modules["sky.skylet"])["autostop_lib"] = sys.modules["sky.skylet.autostop_lib"]
schemas = import_module("sky.utils.schemas")
vars(schemas)["_task_config_schema"] = dict  # `config:` of a task reaches into the server; no file of ours has one
sys.stdout.write(json.dumps([schemas.get_task_schema(), schemas.get_resources_schema()]))
