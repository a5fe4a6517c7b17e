"""Terraform, made ready once for all tests of a process."""

from __future__ import annotations

import pytest

from tests.terraform.support import Terraform, copied


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return copied(tmp_path_factory.mktemp("terraform"))
