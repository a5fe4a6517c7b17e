"""What runs on a machine, as package data: `openclaw-machine.sh`, sent with every Run Command, and `user-data.sh`, for its first boot."""
