"""Prices of parcels."""

from parcels.models import Address, Parcel
from parcels.pricing import FRAGILE_CENTS, quote_parcel

HOME = Address(name="Ada", street="Kade 1", city="Utrecht", postcode="3511 AA")
ABROAD = Address(name="Chloé", street="Rue 3", city="Lille", postcode="59000", country="FR")


def test_a_fragile_parcel_costs_more() -> None:
    plain = quote_parcel(Parcel(number="P1", sender=HOME, recipient=HOME, weight_grams=1000))
    fragile = quote_parcel(Parcel(number="P2", sender=HOME, recipient=HOME, weight_grams=1000, is_fragile=True))
    assert fragile.total_cents - plain.total_cents == FRAGILE_CENTS


def test_abroad_costs_more() -> None:
    home = quote_parcel(Parcel(number="P1", sender=HOME, recipient=HOME, weight_grams=1000))
    abroad = quote_parcel(Parcel(number="P2", sender=HOME, recipient=ABROAD, weight_grams=1000))
    assert abroad.total_cents > home.total_cents
