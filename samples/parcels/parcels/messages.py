"""Messages to senders and recipients. They are collected here; something else sends them."""

from dataclasses import dataclass

from parcels.models import Address, Parcel

TEMPLATES = {
    "received": "We have received parcel {number}.",
    "sorted": "Parcel {number} is on its way to {city}.",
    "loaded": "Parcel {number} will be delivered today.",
    "delivered": "Parcel {number} has been delivered.",
    "refused": "Parcel {number} was refused.",
    "returned": "Parcel {number} is on its way back to {city}.",
}


@dataclass(frozen=True)
class Message:
    to: Address
    text: str


class Outbox:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def notify(self, address: Address, parcel: Parcel, *, template: str) -> Message:
        text = TEMPLATES[template].format(number=parcel.number, city=address.city)
        message = Message(to=address, text=text)
        self.messages.append(message)
        return message
