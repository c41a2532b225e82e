"""HEF's regimes on a checkpoint of Hugging Face's layout and on a run of ours: what changes, what is written, what resumes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

import evaluate_projector
import export_addon
import steps
import train_end_to_end
from checkpoints import new_fuser, read_fuser, read_projector, save
from compress import Compressor, Objective
from context_vectors import ContextVectors, read_parts
from fim_samples import FimSample, read_samples, write_samples
from metrics import columns_of
from models.reader import Reader, ReaderConfig
from pretrained import load_reader
from pretrained_encoder import load_encoder
from ranks import Ranks
from sequences import Lengths
from tests.layouts import qwen2_coder, qwen3_embedding
from tests.test_train_projector import Ran, curve, sample
from tests.test_train_projector import run as run_of
from train_end_to_end import CROSS_ENTROPY
from weights_digest import digest_of

TRAINING = Path(__file__).parent.parent
SHORT = ["--left-tokens", "40", "--right-tokens", "10", "--context-tokens", "60", "--middle-tokens", "12", "--hidden", "48"]


def with_file(i: int) -> FimSample:
    """Of every other sample the first two contexts stand in one file."""
    found = sample(i)
    if i % 2:
        for line, context in enumerate(found.contexts[:2]):
            context.path, context.line = f"lib/{i}.py", 10 - line
    return found


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    qwen2_coder(folder / "reader")
    qwen3_embedding(folder / "encoder", width=64)
    torch.manual_seed(0)
    save(folder / "fuser.pt", new_fuser(64, 4), {"steps": 1})
    write_samples(folder / "samples.jsonl", [with_file(i) for i in range(7)])
    return folder


def command(work: Path, out: Path, *more: str, regime: str = "end-to-end", steps: int = 4) -> list[str]:
    given = [f"--{name}={work / file}" for name, file in (("reader", "reader"), ("encoder", "encoder"), ("fuser", "fuser.pt"))]
    plan = ["--steps", str(steps), "--batch", "4", "--micro", "2", "--lr", "1e-2", "--contexts", "2", "--files", "1"]
    return [*given, "--samples", str(work / "samples.jsonl"), "--out", str(out), "--regime", regime, *plan, *SHORT, *more]


def run(arguments: list[str]) -> Ran:
    return run_of(arguments, train_end_to_end.main)


@pytest.fixture(scope="module", params=["separate", "end-to-end"])
def whole(work: Path, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """An uninterrupted run of each regime."""
    out = work / str(request.param)
    result = run(command(work, out, regime=request.param))
    assert result.returncode == 0, result.stderr
    assert "samples/s" in result.stdout and " left" in result.stdout and "3 of them with nodes of files" in result.stdout
    return request.param, out


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_what_each_regime_trains(work: Path, whole: tuple[str, Path]) -> None:
    regime, out = whole
    before, after = (read_fuser(folder / "fuser.pt", 64).state_dict() for folder in (work, out))
    assert same(before, after) == (regime == "separate")
    before, after = (load_reader(folder / "reader").model.state_dict() for folder in (work, out))
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    projector, facts = read_projector(out / "projector.pt")
    assert (projector.config.layers, projector.config.norm, projector.config.hidden) == (2, False, 48)
    assert facts["regime"] == f"HEF, {regime}" and set(curve(out)[0]) == {"step", "cross_entropy"}
    assert load_encoder(work / "encoder").encode(["x"]).shape == (1, 64)
    assert facts["encoder weights"] == digest_of(work / "encoder")


def test_the_reader_is_written_in_the_layout_it_came_in(work: Path, whole: tuple[str, Path]) -> None:
    folder = whole[1] / "reader"
    left_out = {f.name for f in (work / "reader").iterdir()} - {f.name for f in folder.iterdir()}
    assert all(".safetensors" in name for name in left_out)
    assert (folder / "config.json").read_text() == (work / "reader" / "config.json").read_text()
    model, report = AutoModelForCausalLM.from_pretrained(str(folder), output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and model.dtype == torch.bfloat16
    ids = AutoTokenizer.from_pretrained(str(folder))("def f(x):")["input_ids"]
    assert model(torch.tensor([ids])).logits.isfinite().all()
    facts = read_projector(whole[1] / "projector.pt")[1]
    assert facts["reader weights"] == digest_of(folder) != digest_of(work / "reader")


def test_an_add_on_is_bound_to_the_new_reader(
    work: Path, whole: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(reader: Path) -> Ran:
        line = [
            "--run",
            str(whole[1]),
            "--reader",
            str(reader),
            "--encoder",
            str(work / "encoder"),
            "--out",
            str(tmp_path / "a"),
        ]
        return run_of([*line, "--encoder-format", "reference"], export_addon.main)

    refused = export(work / "reader")
    assert refused.returncode == 1 and "is not the reader this projector was trained with" in refused.stderr
    accepted = export(whole[1] / "reader")
    assert accepted.returncode == 0, accepted.stderr
    manifest = json.loads((tmp_path / "a" / "addon.json").read_text())
    assert manifest["reader"]["weights"] == [digest_of(whole[1] / "reader")]
    assert manifest["projector"]["levels"] == ["chunk", "file"] and manifest["pseudoTokens"] == 3
    assert "train_end_to_end.py" in (tmp_path / "a" / "MODEL_CARD.md").read_text()


def test_a_resumed_run_has_the_weights_of_a_straight_one(work: Path, whole: tuple[str, Path]) -> None:
    regime, straight = whole
    out = work / f"interrupted-{regime}"
    with pytest.MonkeyPatch.context() as patch:
        rate = steps.Plan.rate

        def interrupted(plan: steps.Plan, step: int) -> float:
            if step == 3:
                raise KeyboardInterrupt
            return rate(plan, step)

        patch.setattr(steps.Plan, "rate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(command(work, out, "--save-every", "2", regime=regime))
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 2 and not (out / "reader").exists()
    # The pace of saving is no part of what is computed, but of the plan: the straight run has the same.
    reference = work / f"reference-{regime}"
    assert run(command(work, reference, "--save-every", "2", regime=regime)).returncode == 0
    result = run(command(work, out, "--save-every", "2", regime=regime))
    assert result.returncode == 0 and "resumed at step 2" in result.stdout, result.stderr
    assert curve(out) == curve(reference) == curve(straight)
    for mine, theirs in zip(models_in(out), models_in(reference), strict=True):
        assert same(mine, theirs)


def models_in(out: Path) -> list[dict[str, torch.Tensor]]:
    reader = load_reader(out / "reader").model
    return [m.state_dict() for m in (reader, read_fuser(out / "fuser.pt", 64), read_projector(out / "projector.pt")[0])]


def test_two_processes_train_what_one_trains(work: Path, tmp_path: Path) -> None:
    line = command(work, tmp_path / "two", "--lr", "1e-3")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole_line = [sys.executable, *torchrun, "train_end_to_end.py", *line]
    result = subprocess.run(whole_line, cwd=TRAINING, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert "2 processes on cpu" in result.stdout and result.stdout.count('"steps": 4') == 1
    assert run(command(work, tmp_path / "one", "--lr", "1e-3")).returncode == 0
    for mine, theirs in zip(curve(tmp_path / "two"), curve(tmp_path / "one"), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-3, abs=2e-3)
    for two, one in zip(models_in(tmp_path / "two"), models_in(tmp_path / "one"), strict=True):
        assert all(torch.allclose(one[name], two[name], atol=5e-3) for name in one)


def test_recomputed_activations_give_the_same(work: Path, whole: tuple[str, Path], tmp_path: Path) -> None:
    assert run(command(work, tmp_path / "out", "--recompute", regime=whole[0])).returncode == 0
    for mine, theirs in zip(curve(tmp_path / "out"), curve(whole[1]), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)


def test_a_loss_that_is_no_number_stops_the_run(work: Path, whole: tuple[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "poisoned"
    line = command(work, out, "--save-every", "1", steps=3)
    assert run(line).returncode == 0
    vectors = next((out / "vectors").glob("*.pt"))
    state = torch.load(vectors, weights_only=True)
    state["vectors"][:] = float("nan")
    torch.save(state, vectors)
    kept = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save(kept | {"step": 2}, out / "checkpoint.pt")
    result = run(line)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "cross_entropy" in result.stderr and "at step 2; batch: r/" in result.stderr
    assert "checkpoint.pt holds the last good state, step 2" in result.stderr
    assert same(torch.load(out / "checkpoint.pt", weights_only=True)["model"], kept["model"])


def compressor_of(work: Path, out: Path) -> Compressor:
    reader = load_reader(out / "reader")
    projector, facts = read_projector(out / "projector.pt")
    keys, vectors = read_parts(out / "vectors", "encoder-text")
    known = ContextVectors({k: i for i, k in enumerate(keys)}, vectors, "text")
    parts = (reader, projector, known, Lengths(**facts["lengths"]), 2, Objective(CROSS_ENTROPY))
    return Compressor(*parts, fuser=read_fuser(out / "fuser.pt", 64), files=1)


def test_evaluation_is_the_forward_of_training(work: Path, whole: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    out = whole[1]
    line = [
        "evaluate_projector.py",
        "--reader",
        str(out / "reader"),
        "--encoder",
        str(work / "encoder"),
        "--modes",
        "compressed",
    ]
    line += [
        "--projector",
        str(out / "projector.pt"),
        "--samples",
        str(work / "samples.jsonl"),
        "--out",
        str(out / "rows.jsonl"),
    ]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(Exception, match="trained with nodes of files: name their fuser with --fuser"):
        evaluate_projector.main()

    def losses(*more: str) -> list[float]:
        monkeypatch.setattr(sys, "argv", [*line, *more])
        evaluate_projector.main()
        column = columns_of([out / "rows.jsonl"], with_code_bleu=False)[0]
        return [value / column.weights[task] for task, value in column.scores["nll"].items()]

    found = losses("--fuser", str(out / "fuser.pt"))
    compressor = compressor_of(work, out)
    ranks = Ranks(0, 1, torch.device("cpu"))
    for value, one in zip(found, read_samples(work / "samples.jsonl"), strict=True):
        loss = compressor.terms([one], 0, 0, ranks)["cross_entropy"]
        assert isinstance(loss, torch.Tensor)
        assert value == pytest.approx(float(loss.detach()), rel=1e-4)
    apart = losses("--files", "0")
    assert [a != pytest.approx(b, rel=1e-6) for a, b in zip(apart, found, strict=True)] == [i % 2 == 1 for i in range(7)]


def test_nodes_stand_files_first_and_the_best_chunk_last(work: Path, whole: tuple[str, Path]) -> None:
    compressor = compressor_of(work, whole[1])
    one, two = (with_file(i) for i in (1, 2))
    rows = compressor.rows_of([one, two])
    assert one.files(1) == [[one.contexts[1], one.contexts[0]]] and two.files(1) == []
    best, second = one.contexts[:2]
    chunks, _ = compressor.project([second, best, two.contexts[1], two.contexts[0]])
    fused = compressor.projector(compressor.file_vectors([[second, best]])).flatten(0, 1)
    assert torch.allclose(rows, torch.cat((fused, chunks)), atol=1e-5)
    assert compressor.prompts([one, two]).is_row.sum(1).tolist() == [3, 2]


def test_a_run_of_ours(work: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = Reader(ReaderConfig(320, 64, 2, 4, 2, 96, 256))
    (tmp_path / "reader" / "reader").mkdir(parents=True)
    (tmp_path / "reader" / "tokenizer").mkdir()
    tokenizer.save(str(tmp_path / "reader" / "tokenizer" / "tokenizer.json"))
    save(tmp_path / "reader" / "reader" / "reader.pt", own, {"tokens": 7, "step": 1})
    more = ["--reader", str(tmp_path / "reader"), "--precision", "bfloat16", "--names-tokens", "16"]
    result = run(command(work, tmp_path / "out", *more, steps=2))
    assert result.returncode == 0, result.stderr
    after = load_reader(tmp_path / "out" / "reader")
    before = load_reader(tmp_path / "reader")
    assert after.order == "spm" and not same(after.model.state_dict(), before.model.state_dict())
    kept = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(value, kept[f"reader.{name}"]) for name, value in after.model.state_dict().items())
