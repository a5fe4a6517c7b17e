"""OpenClaw Hosted: a machine of their own with OpenClaw for every user."""

__version__ = "0.1.0"

OPENCLAW_VERSION = "2026.9.6"
"""The OpenClaw that gateways run."""
