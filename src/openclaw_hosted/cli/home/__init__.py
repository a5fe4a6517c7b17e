"""An OpenClaw that ran at home: what its state directory holds, and how it comes here without its keys."""
