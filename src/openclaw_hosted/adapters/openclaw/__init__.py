"""OpenClaw itself, wherever its gateway runs: its configuration, its APIs, its log."""
