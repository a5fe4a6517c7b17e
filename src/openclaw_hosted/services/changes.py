"""What settings and credentials have to be to each other when an instance gets new ones."""

from __future__ import annotations

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.gateway import CHANNEL_CREDENTIALS, Channel, Credential, CredentialsChange, GatewaySettings, needs_key
from openclaw_hosted.domain.instance import Instance


def check_channels(shipped: frozenset[Channel], settings: GatewaySettings) -> None:
    """Raise `InvalidInput` for a channel that the installed OpenClaw does not have."""
    missing = sorted(settings.channels - shipped)
    if missing:
        raise InvalidInput(FieldProblem("settings.channels", f"This OpenClaw release does not have {', '.join(missing)}."))


def fitting_credentials(instance: Instance, settings: GatewaySettings, change: CredentialsChange) -> CredentialsChange:
    """`change`, with what the new settings have no use for taken away, so that a key never goes to another provider than the
    one it was given for. Raises `InvalidInput` where that leaves a new provider that needs one without a key."""
    old = instance.settings
    moved = (settings.provider, settings.base_url) != (old.provider, old.base_url)
    unused = {name for channel, names in CHANNEL_CREDENTIALS.items() if channel not in settings.channels for name in names}
    if moved and Credential.MODEL_API_KEY not in change.set:
        if needs_key(settings.provider):
            raise InvalidInput(FieldProblem(f"credentials.{Credential.MODEL_API_KEY}", "Another provider needs a key of its own."))
        unused.add(Credential.MODEL_API_KEY)
    gone = (unused & instance.credential_names) - frozenset(change.set)
    return CredentialsChange(change.set, change.remove | gone)
