"""The operator's console: overview, lists with search and paging, detail pages, and what an operator does there."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from openclaw_hosted.web.console import actions, details, exports, lists, live, overview, runbooks, several
from openclaw_hosted.web.security import require_admin_visitor

PREFIX = "/admin"
router = APIRouter(include_in_schema=False)
for module in (overview, exports, lists, runbooks, details, several, actions):
    router.include_router(module.router, prefix=PREFIX, dependencies=[Depends(require_admin_visitor)])
router.include_router(live.router, prefix=PREFIX)
