"""How the lab refuses a call."""

from __future__ import annotations

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException


class Refused(ServiceException):  # type: ignore[misc]
    """A call that is answered with an error of this code, in the way of its service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        if code not in COMMON_ERROR_CODES:
            COMMON_ERROR_CODES.append(code)  # moto warns of codes that a service's model does not name; AWS uses such
