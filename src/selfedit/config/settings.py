"""The user's own settings: what a config, which may be somebody else's, cannot decide. They stand in a file of theirs.

So far that is which keys may go where. A config, and that of a run's folder, names an address and an environment
variable, and could name any: a key leaves only for a host that the user has allowed for it, or that issues such keys.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field

from selfedit.config.load import read_toml, validated
from selfedit.config.tree import EndpointConfig, Section
from selfedit.errors import InputError
from selfedit.files import write_whole

ISSUERS: Mapping[str, str] = {
    "DEEPSEEK_API_KEY": "api.deepseek.com",
    "GROQ_API_KEY": "api.groq.com",
    "MISTRAL_API_KEY": "api.mistral.ai",
    "OPENAI_API_KEY": "api.openai.com",
    "OPENROUTER_API_KEY": "openrouter.ai",
    "TOGETHER_API_KEY": "api.together.xyz",
}
"""Variables by the custom of whoever issues the key, and the host of theirs that it is for. Allowed without asking."""

DEFAULT_VARIABLE = EndpointConfig().key_env


class Settings(Section):
    keys: dict[str, tuple[str, ...]] = Field({}, description="the hosts that the key in each variable may be sent to")


def settings_path() -> Path | None:
    """settings.toml in $SELFEDIT_CONFIG_HOME, else in $XDG_CONFIG_HOME/selfedit, else in ~/.config/selfedit.

    None where there is no home. A relative one does not count: it would be the folder of whoever made it.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    folder = Path(os.environ.get("SELFEDIT_CONFIG_HOME") or os.path.join(home, "selfedit"))
    return folder / "settings.toml" if folder.is_absolute() else None


def read_settings() -> Settings:
    """Raises InputError for a file that cannot be read or understood."""
    path = settings_path()
    try:
        there = path is not None and path.exists()
    except OSError:  # a home that nobody may look into
        there = False
    return validated(Settings, read_toml(path), str(path)) if path and there else Settings()


def allow_key(variable: str, address: str, allow: bool = True) -> Path:
    """Let the key in this environment variable be sent to the address's host, or no longer. Returns the file it is in.

    Raises InputError for what is no variable or address, and where the settings cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise InputError("the first word is the name of an environment variable, not the key itself")
    path, host = settings_path(), host_of(address)
    if path is None:
        raise InputError("there is no home for your settings; set SELFEDIT_CONFIG_HOME to the full path of a folder")
    keys = read_settings().keys
    hosts = [other for other in keys.get(variable, ()) if other != host] + [host] * allow
    keys = {**keys, variable: tuple(hosts)}
    rows = [f"{name} = {json.dumps(of_name)}" for name, of_name in sorted(keys.items()) if of_name]
    lines = ["# Written by `selfedit keys`: where the keys in environment variables may be sent.", "[keys]", *rows]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; set SELFEDIT_CONFIG_HOME to a folder that can be written"
        ) from None
    return path


def host_of(address: str) -> str:
    """The host of an address or of a host's name, with the port where it is not that of https.

    host_of("https://api.openai.com/v1") == host_of("API.openai.com:443") == "api.openai.com"
    host_of("http://localhost/v1") == "localhost:80"
    """
    try:
        url = EndpointConfig(url=address if "://" in address else f"https://{address}").url
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise InputError(f"{address!r} is no host; it looks like api.example.com, localhost:8000 or a url") from None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}" if port == 443 else f"{host}:{port}"


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine: what is sent there passes no network."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_allowed(endpoint: EndpointConfig) -> bool:
    """Whether the key in the endpoint's variable may be sent to its host."""
    host, variable = host_of(endpoint.url), endpoint.key_env
    return host == ISSUERS.get(variable) or host in read_settings().keys.get(variable, ())


def key_for(endpoint: EndpointConfig) -> str:
    """The key to send with requests to the endpoint; empty for none.

    Raises InputError for a key that may not go there. That in the default variable is only not sent: most local servers
    need none, and where one is wanted the server says so.
    """
    variable, host = endpoint.key_env, host_of(endpoint.url)
    key = os.environ.get(variable, "").strip() if variable else ""
    if not key or (variable == DEFAULT_VARIABLE and not is_allowed(endpoint)):
        return ""
    if not is_allowed(endpoint):
        raise InputError(
            f"the config wants the key in {variable} sent to {host}, which you have not allowed; if that is who gave "
            f"it to you: selfedit keys allow {variable} {host}; if not, take key_env out of the config"
        )
    if urlsplit(endpoint.url).scheme != "https" and not is_loopback(endpoint.url):
        raise InputError(
            f"the key in {variable} is not sent to {host} by plain http, where others could read it; use https, or a "
            "tunnel to localhost"
        )
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"the key in {variable} has characters that no key has; copy it again")
    return key
