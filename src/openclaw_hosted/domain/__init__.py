"""What the platform knows and decides, pure: no I/O, no clock, no ORM, no async."""
