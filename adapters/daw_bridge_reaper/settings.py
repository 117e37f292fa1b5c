"""What `daw-bridge reaper setup` remembers: where REAPER keeps its files and where its web interface listens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from daw_bridge.errors import InputError
from daw_bridge.files import write_atomic
from daw_bridge.paths import user_config_dir

LOOPBACK = "127.0.0.1"
WEB_PORT = 2307
SETTINGS_FILE = "reaper.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where REAPER's web interface listens. Loopback unless somebody asks for another machine."""

    host: str = LOOPBACK
    web_port: int = WEB_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperSettings:
    """`resource_path` is REAPER's folder of settings, None when it is the usual one."""

    address: Address = field(default_factory=Address)
    resource_path: Path | None = None


def read_settings() -> ReaperSettings:
    """The settings, or the defaults. Raises InputError when the file is damaged."""
    path = user_config_dir() / SETTINGS_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        host, port, resource = str(raw["host"]), int(raw["web_port"]), raw.get("resource_path")
    except FileNotFoundError:
        return ReaperSettings()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: cannot be read ({exc}); delete it and run 'daw-bridge reaper setup'") from exc
    return ReaperSettings(address=Address(host=host, web_port=port), resource_path=Path(resource) if resource else None)


def write_settings(settings: ReaperSettings) -> Path:
    """Remember the settings; where they are."""
    path = user_config_dir() / SETTINGS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "host": settings.address.host,
        "web_port": settings.address.web_port,
        "resource_path": str(settings.resource_path) if settings.resource_path else None,
    }
    write_atomic(path, json.dumps(body, indent=2) + "\n")
    return path


def forget_settings() -> None:
    """Back to the defaults."""
    (user_config_dir() / SETTINGS_FILE).unlink(missing_ok=True)
