"""Holes, templates, retrieval and what must stay out of the corpus."""

import itertools
import random
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from chunks import JaccardIndex, cut, identifiers
from copies import copying_row
from corpus import licence_of, overlaps, shingles, unfit
from samples import END, MIDDLE, Budget, Sample, context_ids, draw_hole, prompt_ids, render
from tokenizer import SPECIAL

CODE = "\n\n".join(
    f"def area_{i}(radius_{i}, scale):\n    value = radius_{i} * scale\n    return value + {i}" for i in range(40)
)

NAMED = "def spread_of(span, radius_7):\n    return helper_of(span) * radius_7\n\n\ndef unrelated(thing):\n    return thing"


def test_a_hole_is_a_cut_of_the_file() -> None:
    rng = random.Random(0)
    starts = []
    for _ in range(300):
        hole = draw_hole(CODE, rng)
        assert hole is not None and "".join(hole) == CODE and hole[1]
        starts.append(hole[0].endswith("\n"))
    assert 0.35 < np.mean(starts) < 0.65


def test_the_template_round_trips(tokenizer: Tokenizer) -> None:
    sample = Sample("r", "a/b.py", "def f():\n", "    return 1\n", "x = 2\n")
    text = tokenizer.decode(prompt_ids(tokenizer, sample, "spm", Budget()), skip_special_tokens=False)
    assert text == "<|file_sep|>a/b.py\n<|fim_prefix|><|fim_suffix|>x = 2\n<|fim_middle|>def f():\n"
    text = tokenizer.decode(prompt_ids(tokenizer, sample, "psm", Budget()), skip_special_tokens=False)
    assert text == "<|file_sep|>a/b.py\n<|fim_prefix|>def f():\n<|fim_suffix|>x = 2\n<|fim_middle|>"
    row = render(tokenizer, sample, "spm", Budget(), "nothing")
    assert row is not None
    middle = [i for i, kind in zip(*row, strict=True) if kind == MIDDLE]
    assert tokenizer.decode(middle) == "    return 1\n" and row[1][-1] == END


def test_entity_names_stand_before_a_shorter_prompt(tokenizer: Tokenizer) -> None:
    sample = Sample("r", "a.py", CODE + "\n\ndef area_of(radius_7):\n", "    return 1\n", "", cut("other.py", NAMED, 640))
    budget = Budget(left=200, names=40, left_beside_names=40)
    alone, named = (render(tokenizer, sample, "spm", budget, before) for before in ("nothing", "names"))
    assert alone is not None and named is not None and len(named[0]) < len(alone[0])
    text = tokenizer.decode(named[0], skip_special_tokens=False)
    first, rest = text.split("\n", 1)
    assert first.startswith("<|file_sep|> ") and "spread_of" in first.split() and "radius_7" not in first.split()
    assert rest.startswith("<|file_sep|>a.py\n<|fim_prefix|>")


def test_prompts_keep_to_their_budget_and_to_whole_lines(tokenizer: Tokenizer) -> None:
    sample = Sample("r", "a.py", CODE + "\n", "x\n", CODE, cut("other.py", CODE, 64))
    ids = prompt_ids(tokenizer, sample, "spm", Budget(left=50, right=20))
    assert len(ids) <= 50 + 20 + 20
    text = tokenizer.decode(ids, skip_special_tokens=False).split("<|fim_middle|>")[1]
    assert CODE.split("\n")[-1] in text and text.split("\n")[0] in CODE.split("\n")
    assert len(context_ids(tokenizer, sample.retrieved, 200)) <= 200


def test_the_best_chunk_stands_last_and_none_is_of_the_file_itself(tokenizer: Tokenizer) -> None:
    chunks = cut("a.py", CODE, 64) + cut("b.py", CODE, 64)
    found = JaccardIndex(chunks).search(identifiers("def area_7(radius_7, scale)"), "a.py", 5)
    assert found and all(c.path == "b.py" for _, c in found)
    assert "area_7" in found[0][1].text
    ids = context_ids(tokenizer, [c for _, c in found][::-1], 400)
    assert "area_7" in tokenizer.decode(ids).split("b.py")[-1]


def test_chunks_cover_the_code_in_order() -> None:
    chunks = cut("a.py", CODE, 64)
    assert all(a.end_line <= b.start_line for a, b in itertools.pairwise(chunks))
    kept = "\n".join(c.text for c in chunks)
    assert all(line in kept for line in CODE.split("\n"))


def test_copying_rows_lose_nothing_on_first_sight() -> None:
    rng = np.random.default_rng(0)
    ids, classes = copying_row(rng, np.arange(9, 300, dtype=np.uint16), 200, len(SPECIAL), 320)
    assert len(ids) == len(classes) == 200 and 2 in classes
    for i, kind in enumerate(classes):
        if kind == 2:
            assert any(ids[j - 1 : j + 1] == ids[i - 1 : i + 1] for j in range(1, i))


def test_evaluation_text_is_refused_whatever_its_white_space() -> None:
    forbidden = shingles(CODE)
    copied = "import os\n\n" + CODE[:600].replace("    ", "\t") + "\n"
    assert overlaps(copied, forbidden)
    assert not overlaps("\n".join(f"value_{i} = other_{i}()" for i in range(200)), forbidden)


def test_the_excluded_repositories_are_refused_by_name(tmp_path: Path) -> None:
    import zipfile

    from corpus import python_files

    for name in ("torchrl", "diffusers", "google_vizier", "evaluate"):
        wheel = tmp_path / f"{name}-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}-1.dist-info/METADATA", f"Name: {name}\nVersion: 1\nLicense: MIT\n")
            archive.writestr("a.py", CODE)
        assert python_files(wheel)[0] is None


def test_licences_and_unfit_files() -> None:
    assert licence_of("Name: a\nLicense-Expression: BSD-3-Clause\n") == "BSD-3-Clause"
    assert licence_of("Name: a\nClassifier: License :: OSI Approved :: MIT License\n") == "MIT License"
    assert licence_of("Name: a\nLicense: LGPL-3.0\n") is None
    assert licence_of("Name: a\n") is None
    assert unfit("a/_vendor/b.py", CODE) == "vendored"
    assert unfit("a.py", "# Generated by a tool\n" + CODE) == "generated"
    assert unfit("a.py", CODE + "\nkey = 'AKIA" + "A" * 16 + "'\n") == "secret"
    assert unfit("a.py", "def broken(:\n" + CODE) == "syntax"
    assert unfit("a.py", CODE) is None
