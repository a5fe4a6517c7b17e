"""Implementations of the ports, one folder a provider."""
