"""`python -m openclaw_hosted` is the command `openclaw-hosted`."""

from openclaw_hosted.cli.main import main

if __name__ == "__main__":
    main()
