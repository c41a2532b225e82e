"""The four models of a pack: encoder, fuser, projector, reader."""
