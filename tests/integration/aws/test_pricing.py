"""`cost refresh` against a stand-in for AWS's price list and Spot history, which answers in their shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from openclaw_hosted.bootstrap.costs import planned_deployment
from openclaw_hosted.bootstrap.pricing import PRICES_FILE, kept_prices, refresh_prices
from openclaw_hosted.domain.cost import projection
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.prices import Kind
from tests.support.serving import serving

LISTED = {"t3.small": "0.0208000000", "gp3": "0.0800000000", "Amazon S3": "0.0500000000"}
SPOT = """<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><spotPriceHistorySet>{}</spotPriceHistorySet>
<nextToken/></DescribeSpotPriceHistoryResponse>"""
HISTORY = [
    ("us-west-2a", "2026-11-30T08:00:00.000Z", "0.0066"), ("us-west-2a", "2026-11-30T09:00:00.000Z", "0.0070"),
    ("us-west-2b", "2026-11-30T09:00:00.000Z", "0.0064"), ("us-west-2c", "2026-11-30T07:00:00.000Z", "0.0090"),
]  # fmt: skip


class PriceList(ThreadingHTTPServer):
    """Answers GetProducts and DescribeSpotPriceHistory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, str]] = []
        self.listed = dict(LISTED)
        self.history = list(HISTORY)


class _Handler(BaseHTTPRequestHandler):
    server: PriceList

    def log_message(self, *arguments: Any) -> None:
        """Be quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.headers.get("x-amz-target") == "AWSPriceListService.GetProducts":
            return self._answer(json.dumps(self._products(json.loads(body))), "application/x-amz-json-1.1")
        assert parse_qs(body)["Action"] == ["DescribeSpotPriceHistory"]
        items = "".join(
            f"<item><instanceType>t3.small</instanceType><productDescription>Linux/UNIX</productDescription><spotPrice>{usd}</spotPrice>"
            f"<timestamp>{at}</timestamp><availabilityZone>{zone}</availabilityZone></item>"
            for zone, at, usd in self.server.history
        )
        return self._answer(SPOT.format(items), "text/xml")

    def _products(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = {each["Field"]: each["Value"] for each in asked["Filters"]}
        self.server.asked.append(wanted)
        found = [usd for name, usd in self.server.listed.items() if name in wanted.values()]
        return {"FormatVersion": "aws_v1", "PriceList": [_product("0.0000000000"), *map(_product, found)]}

    def _answer(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def _product(usd: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": usd}}
    return json.dumps({"product": {"attributes": {}}, "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}}})


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    with serving(PriceList()) as server:
        for name in ("USER_INSTANCE_TYPE", "SPOT_PRICE_PER_HOUR", "ON_DEMAND_PRICE_PER_HOUR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield server


async def test_prices_are_read_kept_and_used(prices: PriceList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = projection(10, 2, planned_deployment(tmp_path))
    read = await refresh_prices(tmp_path, "us-west-2")
    assert read.prices == {
        Kind.ON_DEMAND_MACHINE: 0.0208, Kind.SPOT_MACHINE: 0.007, Kind.DATA_GIB: 0.08, Kind.ROOT_GIB: 0.08, Kind.CONTROL_PLANE_GIB: 0.08,
        Kind.SNAPSHOT_GIB: 0.05,
    }  # fmt: skip
    assert kept_prices(tmp_path) == read
    assert {asked["regionCode"] for asked in prices.asked} == {"us-west-2"}
    after = projection(10, 2, planned_deployment(tmp_path))
    assert round(after.total_usd - before.total_usd, 2) == round(12 * 0.001 * 730, 2)
    monkeypatch.setenv("SPOT_PRICE_PER_HOUR", "0.006")
    assert planned_deployment(tmp_path).spot_price == 0.006
    monkeypatch.setenv("USER_INSTANCE_TYPE", "m7i.large")
    monkeypatch.delenv("SPOT_PRICE_PER_HOUR")
    assert planned_deployment(tmp_path).spot_price == before_price()


def before_price() -> float:
    return planned_deployment(Path("/nonexistent")).spot_price


@pytest.mark.parametrize("lacking", ["list", "history"])
async def test_what_aws_does_not_price_changes_nothing(prices: PriceList, tmp_path: Path, lacking: str) -> None:
    await refresh_prices(tmp_path, "us-west-2")
    kept = (tmp_path / PRICES_FILE).read_text()
    if lacking == "list":
        prices.listed.pop("t3.small")
    else:
        prices.history.clear()
    with pytest.raises(NotFound, match=r"t3\.small"):
        await refresh_prices(tmp_path, "us-west-2")
    assert (tmp_path / PRICES_FILE).read_text() == kept


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"prices": {"NOTHING": 1}}', '{"at": 1, "region": "r", "instance_type": "t", "prices": {"METRIC": -1}}']
)
def test_a_file_that_holds_something_else_is_no_price(tmp_path: Path, content: str) -> None:
    (tmp_path / PRICES_FILE).write_text(content)
    assert kept_prices(tmp_path) is None
    assert projection(10, 2, planned_deployment(tmp_path)).total_usd > 0
