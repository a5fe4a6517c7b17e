"""Passwords whose hashes cost next to nothing: hundreds of tests sign somebody in."""

from __future__ import annotations

from argon2 import PasswordHasher

QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
