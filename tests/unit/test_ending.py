"""What ends when an account changes: one rule, tried for each change."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.account import AccountChange, Proof, ending


@pytest.mark.parametrize("change", list(AccountChange))
def test_all_that_was_given_out_ends_with_a_change_but_for_tokens_that_their_user_keeps(change: AccountChange) -> None:
    assert ending(change) == frozenset(Proof)
    kept = {Proof.TOKEN} if change is AccountChange.PASSWORD_CHANGED else set()
    assert ending(change, keep_tokens=True) == frozenset(Proof) - kept
