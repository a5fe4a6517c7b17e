"""OpenClaw's configuration for a hosted gateway, as a patch over what is there. Credentials are only referred to, never in it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from openclaw_hosted.domain.addresses import LocalModels
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings, GatewaySpec, ModelProvider
from openclaw_hosted.domain.naming import InstanceId, base_path

Config = dict[str, Any]

SECRET_PROVIDER: Final = "platform"
MAIN_AGENT: Final = "main"
"""The assistant that OpenClaw has by itself."""
ECHO_PATH: Final = "/api/v1/oc-hosted/echo"
"""Where the platform's plugin answers as the echo model, on the gateway's own port and to its own token."""
DEFAULT_MODELS: Final[Mapping[ModelProvider, str]] = {
    ModelProvider.ECHO: "echo",
    ModelProvider.ANTHROPIC: "claude-opus-5",
    ModelProvider.OPENAI: "gpt-6-astra",
    ModelProvider.OPENROUTER: "auto",
    ModelProvider.GOOGLE: "gemini-3.1-pro-preview",
}
COMPATIBLE_PROVIDER_ID: Final = "custom"
LOG_BYTES: Final = 4 << 20
"""When OpenClaw begins its log file anew; it keeps five more. In a container they lie in memory, too small for OpenClaw's own 100 MB."""
UNUSED_PLUGINS: Final = (
    "bonjour", "browser", "canvas", "cua-computer", "file-transfer", "geolocation", "github", "linux-node", "ollama", "talk-voice", "xai",
)  # fmt: skip
"""Those that need a screen, a local network or a device, and cost every gateway 2.5 seconds at its start."""

PLATFORM_SECTIONS: Final = frozenset({"gateway", "secrets", "logging", "update", "browser"})
PLATFORM_PLUGINS: Final = ("admin-http-rpc",)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a gateway finds things, as it sees them itself."""

    port: int
    bind: str
    """OpenClaw's word for the addresses to listen on."""
    secrets_path: str
    log_path: str
    plugin_path: str
    trusted_proxies: Sequence[str]
    public_origins: Sequence[str] = ()
    console_level: str | None = None
    """From which level on OpenClaw's loggers print; None leaves that to the user. What else it prints, such as replies, heeds none."""
    local_models: LocalModels = field(default_factory=LocalModels)
    """Those of this computer that it reaches at another address."""


def provider_id(provider: ModelProvider) -> str:
    """How OpenClaw calls a model provider."""
    return COMPATIBLE_PROVIDER_ID if provider is ModelProvider.COMPATIBLE else provider.value


def primary_model(settings: GatewaySettings) -> str:
    """The model that answers, as OpenClaw writes it: `provider/model`."""
    prefix = provider_id(settings.provider)
    model = settings.model or DEFAULT_MODELS.get(settings.provider, "")
    return model if model.startswith(f"{prefix}/") and settings.provider is not ModelProvider.COMPATIBLE else f"{prefix}/{model}"


def render_config(spec: GatewaySpec, places: Places, existing: Config) -> Config:
    """The whole configuration to start with: what the platform sets, over what the user changed in OpenClaw itself."""
    based = merge_patch(existing, base_patch(spec.instance_id, places))
    return merge_patch(based, settings_patch(spec, places, based))


def settings_patch(spec: GatewaySpec, places: Places, existing: Config) -> Config:
    """A merge patch that brings the user's settings into `existing`, and takes away what earlier settings put there."""
    settings = spec.settings
    providers = {"echo": _echo_stanza(places.port)}
    if settings.provider is not ModelProvider.ECHO:
        providers[provider_id(settings.provider)] = _provider_stanza(settings, places)
    channels = {channel.value: _channel_stanza(channel) for channel in sorted(settings.channels)}
    patch = {
        "gateway": {"controlUi": {"allowedOrigins": sorted({*places.public_origins, *spec.allowed_origins})}},
        "agents": {"defaults": {"model": {"primary": primary_model(settings)}}},
        "models": {"mode": "merge", "providers": {**_removed(existing, ("models", "providers"), providers), **providers}},
        "channels": {**_removed(existing, ("channels",), channels), **channels},
    }
    return patch if merge_patch(existing, patch) == existing else merge_patch(patch, _named(spec.name, existing))


def _named(name: str, existing: Config) -> Config:
    """Has the assistant bear the instance's name, unless its user gave it one in OpenClaw. Only with a change of something else: OpenClaw
    takes seconds to take up a name, and refuses a turn that comes meanwhile."""
    agents = _at(existing, "agents", "entries")
    if not name or (agents and MAIN_AGENT not in agents) or "name" in _at(agents, MAIN_AGENT, "identity"):
        return {}
    return {"agents": {"entries": {MAIN_AGENT: {"identity": {"name": name}}}}}


def merge_patch(target: Config, patch: Config) -> Config:
    """`target` with `patch` applied as RFC 7396 says: null takes away, objects merge, all else replaces."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = merge_patch(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def replaced_arrays(target: Any, patch: Any, path: str = "") -> list[str]:
    """The paths of the arrays in `target` that `patch` takes away or replaces; OpenClaw wants them named, even empty ones."""
    if isinstance(target, list):
        return [path] if target != patch else []
    if not isinstance(target, dict):
        return []
    names = target if patch is None else [name for name in patch if name in target] if isinstance(patch, dict) else []
    below = (replaced_arrays(target[name], patch[name] if patch else None, f"{path}.{name}" if path else name) for name in names)
    return [found for paths in below for found in paths]


def portable_config(config: Config) -> Config:
    """What of a configuration is its user's own, and goes with their data: neither where the platform put things, nor its plugin, nor
    what refers to its credentials."""
    kept = {name: value for name, value in config.items() if name not in PLATFORM_SECTIONS}
    plugins = dict.fromkeys(("oc-hosted", *PLATFORM_PLUGINS, *UNUSED_PLUGINS))
    patch: Config = {
        "models": {"providers": _removed(config, ("models", "providers"), ())},
        "channels": _removed(config, ("channels",), ()),
        "plugins": {"load": None, "entries": plugins},
        "agents": {"defaults": {"model": None}},
    }
    return merge_patch(kept, {name: change for name, change in patch.items() if name in kept})


def base_patch(instance_id: InstanceId, places: Places) -> Config:
    """What does not depend on the user."""
    return {
        "secrets": {"providers": {SECRET_PROVIDER: {"source": "file", "path": places.secrets_path, "mode": "json"}}},
        "gateway": {
            "mode": "local",
            "bind": places.bind,
            "port": places.port,
            "auth": {
                "mode": "token",
                "token": _secret(Credential.GATEWAY_TOKEN),
                "rateLimit": {"maxAttempts": 10, "windowMs": 60000, "lockoutMs": 300000},
            },
            "controlUi": {"basePath": base_path(instance_id), "communityInvite": False},
            "trustedProxies": list(places.trusted_proxies),
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
        },
        "plugins": {
            "load": {"paths": [places.plugin_path]},
            "entries": {
                "admin-http-rpc": {"enabled": True},
                "oc-hosted": {"enabled": True, "hooks": {"allowConversationAccess": True}},
                **{name: {"enabled": False} for name in UNUSED_PLUGINS},
            },
        },
        "browser": {"enabled": False},
        "agents": {"defaults": {"heartbeat": {"every": "0m"}}},
        "logging": {
            "consoleStyle": "json",
            **({"consoleLevel": places.console_level} if places.console_level else {}),
            "file": places.log_path,
            "maxFileBytes": LOG_BYTES,
        },
        "update": {"checkOnStart": False},
    }


def _secret(name: str) -> Config:
    return {"source": "file", "provider": SECRET_PROVIDER, "id": f"/{name}"}


def _echo_stanza(port: int) -> Config:
    free = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
    model = {
        "id": "echo", "name": "Echo", "reasoning": False, "input": ["text"], "cost": free, "contextWindow": 128000, "maxTokens": 4096,
    }  # fmt: skip
    address = f"http://127.0.0.1:{port}{ECHO_PATH}"
    return {"baseUrl": address, "apiKey": _secret(Credential.GATEWAY_TOKEN), "api": "openai-completions", "models": [model]}


def _provider_stanza(settings: GatewaySettings, places: Places) -> Config:
    key = {"apiKey": _secret(Credential.MODEL_API_KEY)}
    if settings.provider is not ModelProvider.COMPATIBLE:
        return key
    model = {"id": settings.model, "name": settings.model}
    return {**key, "baseUrl": places.local_models.as_seen(settings.base_url or ""), "api": "openai-completions", "models": [model]}


def _channel_stanza(channel: Channel) -> Config:
    if channel is Channel.TELEGRAM:
        return {"enabled": True, "botToken": _secret(Credential.TELEGRAM_BOT_TOKEN), "dmPolicy": "pairing"}
    if channel is Channel.DISCORD:
        return {"enabled": True, "token": _secret(Credential.DISCORD_BOT_TOKEN)}
    return {
        "enabled": True, "mode": "socket",
        "botToken": _secret(Credential.SLACK_BOT_TOKEN), "appToken": _secret(Credential.SLACK_APP_TOKEN),
    }  # fmt: skip


def _removed(existing: Config, path: Sequence[str], wanted: Container[str]) -> Config:
    """A patch that takes away the stanzas which refer to the platform's credentials and are no longer wanted."""
    return {name: None for name, stanza in _at(existing, *path).items() if name not in wanted and _refers_to_platform(stanza)}


def _at(config: Config, *path: str) -> Config:
    """What stands there, if it is an object; else an empty one."""
    found: Any = config
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _refers_to_platform(stanza: Any) -> bool:
    if not isinstance(stanza, dict):
        return False
    return any(isinstance(value, dict) and value.get("provider") == SECRET_PROVIDER for value in stanza.values())
