"""A client of the platform's API, for programs in Python.

    from openclaw_hosted.client import Client

    with Client("https://claw.example.com", token) as client:
        made = client.create_instance({"name": "Work"})
        for state in client.follow_instance(made["id"]):
            print(state["phase"])

Answers are dictionaries with the names that the API uses, and types that a type checker knows. Refusals are `ApiError`. It needs httpx, and
nothing else of this package. `operations.py` and `models.py` are written by `make client` from the API's own description.
"""

from openclaw_hosted.client.client import Client
from openclaw_hosted.client.errors import ApiError, NotReached

__all__ = ["ApiError", "Client", "NotReached"]
