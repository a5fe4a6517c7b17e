"""Machines that are processes, and the supervisor of either kind."""
