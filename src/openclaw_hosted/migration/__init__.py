"""Out of an older system: its users come to machines of their own, one by one, and can go back."""
