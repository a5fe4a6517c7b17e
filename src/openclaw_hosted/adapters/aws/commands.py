"""Run Command: the machine's script, sent whole with each command, so that no machine runs an older one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.aws.sdk import Answer, Call, Sdk
from openclaw_hosted.domain.errors import Conflict, Denied, NotFound, PortError, Unavailable
from openclaw_hosted.ports.clock import Clock

MACHINE: Final = "openclaw-machine.sh"
STATES: Final = "openclaw-states.sh"
STATES_FUNCTION: Final = "openclaw_states"
DELIVERY_SECONDS: Final = 30
"""The shortest that SSM takes: a machine that comes back later must not run an old command. The generation check guards what is left."""
EXECUTION_SECONDS: Final = 900
FIRST_LOOK_SECONDS: Final = 0.4
LOOK_SECONDS: Final = 1.0
LONGEST_LOOK_SECONDS: Final = 4.0
WORKING: Final = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
LONGEST_REASON: Final = 300
GONE_LOOK_SECONDS: Final = 10.0
"""After how long, and from how old a listing of the fleet, it is seen whether the machine at work is still there."""
COMMENTS_AND_INDENTATION: Final = re.compile(r"(?m)^ *#[^!\n].*\n|^ +")
COMMENTS_AT_END: Final = re.compile(r"(?m)\{ # .*$")
AGENT_SAYS: Final = re.compile(r"\s*failed to run commands: exit status \d+\s*$")
"""What the agent adds to a script's own errors (amazon-ssm-agent, agent/plugins/runscript)."""
EXIT_CODES: Final[Mapping[int, type[PortError]]] = {3: Conflict, 4: Conflict, 5: NotFound, 6: Denied, 7: Unavailable, 8: NotFound}
"""What the script's exit codes mean (machine/openclaw-machine.sh)."""


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What a command said. SSM keeps no more than 24,000 characters."""

    stdout: str

    def fields(self) -> dict[str, str]:
        """Its lines `key=value`."""
        return dict(line.split("=", 1) for line in self.stdout.splitlines() if "=" in line)


class RunCommand:
    """Runs verbs of the machine's script. What it sends, SSM shows to whoever may list commands for 30 days: never a secret."""

    def __init__(self, sdk: Sdk, fleet: Fleet, clock: Clock) -> None:
        self._sdk = sdk
        self._fleet = fleet
        self._clock = clock
        self._script = machine_script()

    async def run(self, provider_ref: str, verb: str, *, before: str = "", **arguments: str | int) -> CommandOutput:
        """Run one verb and wait for its end; `before` is another line of script whose failure does not count.

        Raises what the script's exit code means, `NotFound` for a machine that SSM does not know, or that ends meanwhile, and `Unavailable`
        when it did not answer.
        """
        return await self._send(provider_ref, verb, f"{self._script}{before}\n{_line(verb, arguments)}")

    async def run_states(self, provider_ref: str, verb: str, **arguments: str | int) -> CommandOutput:
        """The same for a verb of what brings and fetches states (machine/openclaw-states.sh)."""
        script = f"{self._script}{machine_script(STATES)}\n{_line(verb, arguments, STATES_FUNCTION)}"
        return await self._send(provider_ref, f"state {verb}", script)

    async def shell(self, provider_ref: str, script: str) -> tuple[int, str, str]:
        """Run any script, for an operator; returns exit code, standard output and standard error."""
        answer = await self._outcome(provider_ref, script, "by an operator")
        return (
            int(answer.get("ResponseCode", -1)),
            str(answer.get("StandardOutputContent", "")),
            _errors(answer),
        )

    async def _send(self, provider_ref: str, verb: str, script: str) -> CommandOutput:
        answer = await self._outcome(provider_ref, script, f"openclaw {verb}")
        code = int(answer.get("ResponseCode", -1))
        if answer["Status"] == "Success" and code == 0:
            return CommandOutput(str(answer.get("StandardOutputContent", "")))
        reason = _errors(answer).strip()[-LONGEST_REASON:]
        if answer["Status"] != "Failed":
            raise Unavailable(f"Machine {provider_ref} did not run “{verb}”: {answer.get('StatusDetails') or answer['Status']}.")
        raise EXIT_CODES.get(code, Unavailable)(f"Machine {provider_ref}, “{verb}”: {reason or f'exit code {code}'}")

    async def _outcome(self, provider_ref: str, script: str, comment: str) -> Answer:
        sent = await self._sdk.call(
            Call.SEND_COMMAND,
            InstanceIds=[provider_ref], DocumentName="AWS-RunShellScript", TimeoutSeconds=DELIVERY_SECONDS, Comment=comment,
            Parameters={"commands": script.splitlines(), "executionTimeout": [str(EXECUTION_SECONDS)]},
        )  # fmt: skip
        command_id = sent["Command"]["CommandId"]
        began_at = self._clock.monotonic()
        pause = FIRST_LOOK_SECONDS
        while (passed := self._clock.monotonic() - began_at) < DELIVERY_SECONDS + EXECUTION_SECONDS:
            await self._clock.sleep(pause)
            answer = await self._look(provider_ref, command_id)
            if answer is not None and answer["Status"] not in WORKING:
                return answer
            if passed >= GONE_LOOK_SECONDS and not await self._fleet.runs(provider_ref, GONE_LOOK_SECONDS):
                raise NotFound(f"Machine {provider_ref} ended before its command did.")
            pause = min(LONGEST_LOOK_SECONDS, max(LOOK_SECONDS, pause * 1.25))
        raise Unavailable(f"Machine {provider_ref} did not end a command in time.")

    async def _look(self, provider_ref: str, command_id: str) -> Answer | None:
        """How the command is; None where SSM does not know it yet, which is normal just after it was sent."""
        try:
            return await self._sdk.call(Call.GET_INVOCATION, CommandId=command_id, InstanceId=provider_ref)
        except NotFound:
            return None


def _errors(answer: Answer) -> str:
    """What the script itself wrote to its standard error. SSM keeps the first 8,000 characters."""
    return AGENT_SAYS.sub("\n", str(answer.get("StandardErrorContent", "")))


def machine_script(name: str = MACHINE) -> str:
    """The script that defines `openclaw_machine`; its first line names bash, which AWS-RunShellScript heeds.

    Without comments and indentation: user data has little room. terraform/ec2-per-user.tf does the same.
    """
    text = resources.files("openclaw_hosted.adapters.aws.machine").joinpath(name).read_text(encoding="utf-8")
    return COMMENTS_AT_END.sub("{", COMMENTS_AND_INDENTATION.sub("", text))


def _line(verb: str, arguments: Mapping[str, str | int], function: str = "openclaw_machine") -> str:
    return " ".join((function, verb, *(f"{name}={value}" for name, value in arguments.items())))
