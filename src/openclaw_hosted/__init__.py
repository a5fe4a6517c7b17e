"""OpenClaw Hosted: a machine of their own with OpenClaw for every user."""

__version__ = "0.1.0"
