"""What runs on a machine."""
