"""The platform on one computer."""
