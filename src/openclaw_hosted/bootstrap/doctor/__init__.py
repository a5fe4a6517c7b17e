"""What `openclaw-hosted doctor` looks at."""
