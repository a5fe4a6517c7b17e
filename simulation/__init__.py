"""Proof by simulation: the production control loops and services on a simulated world, driven by a seed (docs/simulation.md)."""
