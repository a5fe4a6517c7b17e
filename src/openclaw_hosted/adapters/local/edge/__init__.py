"""This computer's edge: Caddy, and forward-auth in a companion process."""
