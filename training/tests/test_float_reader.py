"""The float32 graphs compute what torch does."""

import numpy as np
import torch

import graphs
from parity import Family, empty_past, reader_inputs, session


@torch.no_grad()
def test_float32_graphs_are_the_model(family: Family) -> None:
    ids = np.asarray([family.tokenizer.encode("def area(self):\n    return 3").ids], np.int64)
    embeds = session(graphs.embed_graph(family.reader, None)).run(None, {"input_ids": ids})[0]
    assert np.array_equal(embeds, family.reader.embed_tokens(torch.from_numpy(ids)).numpy())
    run = session(graphs.reader_graph(family.reader, family.logit_bias(), None))
    logits = run.run(None, reader_inputs(family.reader, embeds, empty_past(family.reader), 0))[0]
    expected = family.reader.logits(family.reader.hidden(torch.from_numpy(embeds))) + family.logit_bias()
    assert np.abs(logits - expected.numpy()).max() < 1e-4
