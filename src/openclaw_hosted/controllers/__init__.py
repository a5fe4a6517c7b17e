"""The loops that bring what exists to what is wanted."""
