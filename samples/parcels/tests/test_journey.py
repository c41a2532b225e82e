"""A parcel's journey, from the counter to the door."""

import pytest

from parcels.delivery import deliver_parcel
from parcels.desk import DepotClosed, Desk
from parcels.intake import receive_parcel
from parcels.ledger import Ledger
from parcels.loading import load_parcel
from parcels.messages import Outbox
from parcels.models import Address, Depot, Parcel, ScanStatus
from parcels.sorting import sort_parcel

SENDER = Address(name="Ada", street="Kade 1", city="Utrecht", postcode="3511 AA")
RECIPIENT = Address(name="Bram", street="Gracht 2", city="Delft", postcode="2611 BB")


def make_parcel() -> Parcel:
    return Parcel(number="P1", sender=SENDER, recipient=RECIPIENT, weight_grams=1200)


def make_desk(is_open: bool = True) -> Desk:
    depot = Depot(code="UTR", city="Utrecht", is_open=is_open)
    return Desk(depot, "mo", Ledger(), Outbox())


def test_a_delivered_parcel_has_four_scans() -> None:
    parcel, desk = make_parcel(), make_desk()
    for step in (receive_parcel, sort_parcel, load_parcel, deliver_parcel):
        step(parcel, desk)
    assert [scan.status for scan in desk.ledger.history(parcel)] == [
        ScanStatus.RECEIVED,
        ScanStatus.SORTED,
        ScanStatus.LOADED,
        ScanStatus.DELIVERED,
    ]


def test_the_sender_hears_of_the_delivery() -> None:
    parcel, desk = make_parcel(), make_desk()
    deliver_parcel(parcel, desk)
    assert desk.outbox.messages[-1].to == SENDER


def test_a_closed_depot_takes_nothing() -> None:
    with pytest.raises(DepotClosed):
        receive_parcel(make_parcel(), make_desk(is_open=False))
