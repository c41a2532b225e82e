"""What a parcel costs to send."""

from dataclasses import dataclass

from parcels.models import Parcel

BASE_CENTS = 495
CENTS_PER_KILOGRAM = 120
FRAGILE_CENTS = 250
ABROAD_FACTOR = 2.5


@dataclass(frozen=True)
class Quote:
    base_cents: int
    weight_cents: int
    extras_cents: int

    @property
    def total_cents(self) -> int:
        return self.base_cents + self.weight_cents + self.extras_cents


def quote_parcel(parcel: Parcel) -> Quote:
    """Base price, weight, and extras for fragile and insured parcels."""
    factor = 1.0 if parcel.recipient.country == parcel.sender.country else ABROAD_FACTOR
    weight_cents = round(parcel.weight_grams / 1000 * CENTS_PER_KILOGRAM * factor)
    extras_cents = FRAGILE_CENTS if parcel.is_fragile else 0
    extras_cents += parcel.insured_cents // 100
    return Quote(
        base_cents=round(BASE_CENTS * factor),
        weight_cents=weight_cents,
        extras_cents=extras_cents,
    )
