"""Tables, queries and migrations, on SQLite and Postgres."""

from openclaw_hosted.store.migrate import migrate
from openclaw_hosted.store.open import Store, open_store

__all__ = ["Store", "migrate", "open_store"]
