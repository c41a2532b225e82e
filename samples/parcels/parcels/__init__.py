"""Follow parcels from the counter to the door, and back."""
