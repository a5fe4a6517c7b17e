"""What AWS charges in a region, from its price list and the history of Spot prices.

The price list answers in one region for all, and with one product for each of its attributes' values: the filters below leave one.
Attributes and codes are those of AWS's price list service (GetProducts), as its reference and its published offer files have them.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from openclaw_hosted.adapters.aws.sdk import Operation, Sdk
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.prices import Kind

LIST_REGION: Final = "us-east-1"
"""Where the price list of all regions is."""


class PriceCall(Operation):
    """Calls of the operator who refreshes prices, with credentials of their own: no role of the platform has them."""

    GET_PRODUCTS = "pricing:GetProducts"
    SPOT_HISTORY = "ec2:DescribeSpotPriceHistory"


async def read_prices(price_list: Sdk, region_sdk: Sdk, region: str, instance_type: str, now: float) -> Mapping[Kind, float]:
    """In US dollars, each for what its kind is billed by. Raises `NotFound` for a machine that AWS does not price there."""
    machine = {
        "instanceType": instance_type, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
    }  # fmt: skip
    disk = await _listed(price_list, region, {"productFamily": "Storage", "volumeApiName": "gp3"})
    return {
        Kind.ON_DEMAND_MACHINE: await _listed(price_list, region, machine),
        Kind.SPOT_MACHINE: await _spot(region_sdk, instance_type, now),
        Kind.DATA_GIB: disk,
        Kind.ROOT_GIB: disk,
        Kind.CONTROL_PLANE_GIB: disk,
        Kind.SNAPSHOT_GIB: await _listed(price_list, region, {"productFamily": "Storage Snapshot", "storageMedia": "Amazon S3"}),
    }


async def _listed(sdk: Sdk, region: str, attributes: Mapping[str, str]) -> float:
    """The price on demand of the one product with these attributes; of several, the lowest that is not free."""
    wanted = {"regionCode": region, **attributes}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]
    found = [
        usd
        async for page in sdk.pages(PriceCall.GET_PRODUCTS, ServiceCode="AmazonEC2", Filters=filters, FormatVersion="aws_v1")
        for product in page["PriceList"]
        for usd in _dollars(json.loads(product))
        if usd > 0
    ]
    if not found:
        raise NotFound(f"AWS lists no price in {region} for {', '.join(attributes.values())}.")
    return min(found)


def _dollars(product: Mapping[str, Any]) -> Iterator[float]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            yield float(dimension.get("pricePerUnit", {}).get("USD", 0))


async def _spot(sdk: Sdk, instance_type: str, now: float) -> float:
    """The present price, in the middle of the zones: machines are launched where there is capacity."""
    newest: dict[str, tuple[datetime, float]] = {}
    wanted = {"InstanceTypes": [instance_type], "ProductDescriptions": ["Linux/UNIX"], "StartTime": datetime.fromtimestamp(now, UTC)}
    async for page in sdk.pages(PriceCall.SPOT_HISTORY, **wanted):
        for each in page["SpotPriceHistory"]:
            at, usd = each["Timestamp"], float(each["SpotPrice"])
            zone = each["AvailabilityZone"]
            if zone not in newest or newest[zone][0] < at:
                newest[zone] = at, usd
    if not newest:
        raise NotFound(f"AWS has no Spot price for {instance_type}.")
    return round(statistics.median(usd for _, usd in newest.values()), 6)
