"""Use cases: what a user or an operator can ask for."""
