"""AWS's error codes, and what they mean to the platform. The one place that knows."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ProxyConnectionError,
)

from openclaw_hosted.domain.errors import Conflict, Denied, NoCapacity, NotFound, PortError, ProviderAway, Throttled, Unavailable

THROTTLED: Final = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "TooManyRequestsException", "EC2ThrottledException", "SlowDown", "SnapshotCreationPerVolumeRateExceeded",
    "ConcurrentSnapshotLimitExceeded",
})  # fmt: skip
NO_CAPACITY: Final = frozenset({
    "InsufficientInstanceCapacity", "InsufficientCapacity", "UnfulfillableCapacity", "InsufficientHostCapacity",
    "InsufficientFreeAddressesInSubnet", "InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "SpotMaxPriceTooLow",
    "Unsupported", "VolumeLimitExceeded", "SnapshotLimitExceeded",
    "TooManyTargetGroups", "TooManyRules", "TooManyTargets", "TooManyRegistrationsForTargetId",
    "TooManyUniqueTargetGroupsPerLoadBalancer", "LimitExceededException",
})  # fmt: skip
NOT_FOUND: Final = frozenset({
    "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "InvalidVolume.NotFound", "InvalidParameterValue.NotFound",
    "InvalidAttachment.NotFound", "InvalidSnapshot.NotFound",
    "InvalidVpcID.NotFound", "InvalidSubnetID.NotFound", "InvalidGroup.NotFound",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.Malformed", "InvalidInstanceId", "InvocationDoesNotExist", "ResourceNotFoundException", "TargetGroupNotFound",
    "RuleNotFound", "ListenerNotFound", "NoSuchResourceException",
    "LoadBalancerNotFound", "RepositoryNotFoundException", "ImageNotFoundException",
    "ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "NatGatewayNotFound", "FileSystemNotFound",
    "MountTargetNotFound", "InvalidAllocationID.NotFound", "AccessPointNotFound",
})  # fmt: skip
DENIED: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "AuthFailure", "ExpiredToken",
    "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
    "OptInRequired", "NotAuthorized", "AuthFailure.ServiceLinkedRoleCreationNotPermitted", "PendingVerification", "Blocked",
})  # fmt: skip
CONFLICT: Final = frozenset({
    "PriorityInUse", "ResourceInUse", "DuplicateTargetGroupName", "VolumeInUse", "IncorrectState", "IncorrectInstanceState",
    "IncorrectSpotRequestState", "UnsupportedOperation", "InvalidVolume.ZoneMismatch", "IdempotentParameterMismatch",
    "ResourceExistsException", "InvalidRequestException", "InvalidTarget", "OperationNotPermitted",
    "ClusterContainsContainerInstancesException", "ClusterContainsServicesException", "ClusterContainsTasksException", "FileSystemInUse",
    "UpdateInProgressException", "ResourceInUseException", "InvalidIPAddress.InUse", "DependencyViolation",
    "ClusterContainsCapacityProviderException",
})  # fmt: skip
UNAVAILABLE: Final = frozenset({
    "InternalError", "InternalFailure", "InternalServiceError", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException",
    "Unavailable",
})  # fmt: skip
LONGEST_MESSAGE: Final = 300
_MEANINGS: Final[dict[str, type[PortError]]] = {
    code: kind
    for codes, kind in (
        (THROTTLED, Throttled),
        (NO_CAPACITY, NoCapacity),
        (NOT_FOUND, NotFound),
        (DENIED, Denied),
        (CONFLICT, Conflict),
        (UNAVAILABLE, Unavailable),
    )
    for code in codes
}


def meaning(call: str, error: Exception) -> PortError:
    """What an error of the SDK means. Raise it `from` the error, so that `code_of` still tells."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return refusal(call, str(details.get("Code", "Unknown")), str(details.get("Message", "")), status)
    if isinstance(error, NoCredentialsError):
        return Denied("There are no AWS credentials: give the machine a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID.")
    if isinstance(error, EndpointConnectionError | ProxyConnectionError):
        return ProviderAway(f"AWS can't be reached for {call}.")
    if isinstance(error, HTTPClientError | ConnectionError | TimeoutError):
        return Unavailable(f"AWS did not answer {call} ({type(error).__name__}).")
    if isinstance(error, BotoCoreError):
        return PortError(f"The AWS SDK could not make the call {call} ({type(error).__name__}).")
    return PortError(f"{call} failed ({type(error).__name__}).")


def refusal(call: str, code: str, message: str, status: int = 400) -> PortError:
    """What an error code of AWS means."""
    kind = _MEANINGS.get(code) or (Unavailable if status >= 500 else PortError)
    return kind(f"AWS answered {call} with {code}: {message[:LONGEST_MESSAGE]}")


def code_of(error: BaseException) -> str:
    """AWS's own code of a translated error; empty where it has none."""
    cause = error.__cause__
    return str(cause.response.get("Error", {}).get("Code", "")) if isinstance(cause, ClientError) else ""
