"""The things the package talks about."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class ScanStatus(Enum):
    RECEIVED = "received"
    SORTED = "sorted"
    LOADED = "loaded"
    DELIVERED = "delivered"
    REFUSED = "refused"
    RETURNED = "returned"


class Channel(Enum):
    EMAIL = "email"
    LETTER = "letter"


@dataclass(frozen=True)
class Address:
    name: str
    street: str
    city: str
    postcode: str
    country: str = "NL"


@dataclass
class Parcel:
    number: str
    sender: Address
    recipient: Address
    weight_grams: int
    insured_cents: int = 0
    is_fragile: bool = False


@dataclass(frozen=True)
class Depot:
    code: str
    city: str
    is_open: bool = True


@dataclass(frozen=True)
class Scan:
    parcel_number: str
    depot_code: str
    status: ScanStatus
    operator: str
    at: datetime = field(default_factory=datetime.now)
