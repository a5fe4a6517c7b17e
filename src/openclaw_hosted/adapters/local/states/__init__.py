"""Users' states on their way from an older system's folder to a volume of this computer, and back."""
