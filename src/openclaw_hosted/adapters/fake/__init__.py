"""A provider in memory, with fault knobs, for tests and simulation."""
