"""Run a script on a machine of the fleet by Run Command, for an operator."""

from __future__ import annotations

from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.aws import aws_sdk
from openclaw_hosted.settings_aws import load_aws_settings


async def run_on_machine(provider_ref: str, script: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error. Raises `SettingsError` without an account, and `PortError`."""
    clock, aws = SystemClock(), load_aws_settings()
    async with aws_sdk(aws, clock) as sdk:
        return await RunCommand(sdk, Fleet(sdk, clock, aws.deployment, aws.vpc), clock).shell(provider_ref, script)
