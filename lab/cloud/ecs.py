"""What moto lacks of ECS: services with tasks that run, and a listing of all capacity providers.

With `Account.tasks`, a service that is to have tasks has one, which is registered with the service's target groups. Without, tasks are
numbers: what is to run runs at once, and what is to stop has stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.ecs.models import ecs_backends

from lab.cloud.calls import Call
from lab.cloud.operations import moto, operation
from lab.cloud.secrets import secret_value
from lab.cloud.targets import TargetRow
from lab.plane.tasks import Folder, Task, TaskOrder

if TYPE_CHECKING:
    from lab.cloud.account import Account


@dataclass
class Post:
    """A service's place for a task."""

    task: Task | None = None
    turning: bool = False
    """Whether a task is being started or ended."""


@dataclass
class Posts:
    """Those of all services, by ARN."""

    rows: dict[str, Post] = field(default_factory=dict)

    def of(self, service: Any) -> Post:
        """That of one; made when it is first asked for."""
        return self.rows.setdefault(str(service.arn), Post())


def attend(account: Account) -> None:
    """Begin to start and to end what services want. Call often."""
    if account.tasks is None:
        return
    with account.lock:
        for service in _services(account):
            post = account.posts.of(service)
            if not post.turning and (service.desired_count > 0) is (post.task is None):
                post.turning = True
                account.background(partial(_turn, account, service, post))


def end_all(account: Account) -> None:
    """End every task."""
    for post in account.posts.rows.values():
        if post.task is not None:
            post.task.end()
            post.task = None


def _turn(account: Account, service: Any, post: Post) -> None:
    assert account.tasks is not None
    try:
        if post.task is None:
            task = account.tasks.start(_order(account, service))
            with account.lock:
                _register(account, service, task)
                post.task = task
        else:
            with account.lock:
                _deregister(account, service, post.task)
            post.task.end()
            post.task = None
    finally:
        post.turning = False


def _order(account: Account, service: Any) -> TaskOrder:
    """What the task definition says; the first of its containers is the one."""
    definition = _backend(account).describe_task_definition(service.task_definition)
    container = definition.container_definitions[0]
    volumes = {volume["name"]: volume["efsVolumeConfiguration"] for volume in definition.volumes}
    plain = {pair["name"]: pair["value"] for pair in container["environment"]}
    return TaskOrder(
        str(service.name),
        int(service.load_balancers[0]["containerPort"]),
        int(container["memory"]),
        {
            point["containerPath"]: Folder(volumes[point["sourceVolume"]]["fileSystemId"], volumes[point["sourceVolume"]]["rootDirectory"])
            for point in container["mountPoints"]
        },
        plain | {each["name"]: secret_value(account, each["valueFrom"]) for each in container.get("secrets", ())},
    )


def _register(account: Account, service: Any, task: Task) -> None:
    for each in service.load_balancers:
        row = TargetRow(task.address, task.port, task.address)
        account.targets.of(account, each["targetGroupArn"])[row.key] = row


def _deregister(account: Account, service: Any, task: Task) -> None:
    for each in service.load_balancers:
        row = account.targets.of(account, each["targetGroupArn"]).get(f"{task.address}:{task.port}")
        if row is not None:
            row.draining_since = account.clock()


def _backend(account: Account) -> Any:
    return ecs_backends[account.account_id][account.region]


def _services(account: Account) -> list[Any]:
    return list(_backend(account).services.values())


@operation("ecs", "DescribeServices")
def describe_services(account: Account, call: Call) -> Any:
    """A task that is being ended still runs; one that is being started is pending."""
    for service in _services(account):
        if account.tasks is None:
            service.running_count, service.pending_count = service.desired_count, 0
        else:
            post = account.posts.of(service)
            service.running_count, service.pending_count = int(post.task is not None), int(post.task is None and post.turning)
    return moto(call)


@operation("ecs", "DescribeCapacityProviders")
def describe_capacity_providers(account: Account, call: Call) -> Any:
    """Without names, all."""
    if call.params.get("capacityProviders"):
        return moto(call)
    return {"capacityProviders": list(_backend(account).capacity_providers.values()), "failures": []}
