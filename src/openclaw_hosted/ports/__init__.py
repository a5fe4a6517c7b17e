"""What the platform asks of the world: Protocols whose docstrings are contracts.

Every call may raise the `PortError`s of `domain.errors`; `Throttled` and `Unavailable` mean "ask again", and asking again is
always safe. A call does nothing where its work is already done.
"""
