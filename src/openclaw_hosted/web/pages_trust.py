"""The certificate authority of a platform on a local network, and how a device is told to trust it. For everyone, over HTTP as well."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.trust import CERTIFICATE_PATH, STEPS, fingerprint

router = APIRouter(include_in_schema=False)


@router.get("/trust")
async def trust_page(request: Request) -> Response:
    """The steps."""
    certificate = _certificate(request)
    options = web_of(request).options
    return render(
        request, "trust.html", address=options.addresses.public, path=CERTIFICATE_PATH, steps=STEPS, fingerprint=fingerprint(certificate)
    )


@router.get(CERTIFICATE_PATH)
async def root_certificate(request: Request) -> Response:
    """The certificate, as devices take it."""
    headers = {"Content-Disposition": 'attachment; filename="root.crt"'}
    return Response(_certificate(request), media_type="application/x-x509-ca-cert", headers=headers)


def _certificate(request: Request) -> bytes:
    authority = web_of(request).options.authority
    certificate = authority() if authority is not None else None
    if certificate is None:
        raise NotFound("This platform's certificate needs no trust of its own, or is not made yet.")
    return certificate
