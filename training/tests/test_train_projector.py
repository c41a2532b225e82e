"""The stage on checkpoint folders of Hugging Face's layout: runs, resumes, stops, and gives the same in two processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
import torch

import context_vectors
from checkpoints import read_projector
from failures import run_stage
from fim_samples import Context, FimSample, write_samples
from tests.layouts import qwen2_coder, qwen3_embedding, unixcoder
from train_projector import main

TRAINING = Path(__file__).parent.parent
SHORT = [
    "--left-tokens",
    "40",
    "--right-tokens",
    "10",
    "--context-tokens",
    "60",
    "--middle-tokens",
    "12",
    "--rollout-tokens",
    "5",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a reader, two encoders and samples."""
    folder = tmp_path_factory.mktemp("work")
    qwen2_coder(folder / "reader")
    qwen3_embedding(folder / "encoder")
    unixcoder(folder / "unixcoder")
    write_samples(folder / "samples.jsonl", [sample(i) for i in range(7)])
    return folder


def sample(i: int) -> FimSample:
    contexts = [
        Context(
            f"lib/{i}_{j}.py",
            f"def f{i}(x):\n    return x + {j}",
            linearised=f"(function_definition f{i} {j})",
            names=[f"f{i}"],
        )
        for j in range(3 if i % 2 else 2)
    ]
    return FimSample(
        f"r/{i}", "r", "app.py", f"class C{i}:\n    def area(self):\n", f"        return {i}\n", "\nx = 1\n", contexts
    )


def command(work: Path, out: Path, *more: str, steps: int = 4) -> list[str]:
    given = ["--reader", str(work / "reader"), "--encoder", str(work / "encoder"), "--samples", str(work / "samples.jsonl")]
    return [*given, "--out", str(out), "--steps", str(steps), "--batch", "4", "--micro", "2", "--lr", "1e-2", *SHORT, *more]


@dataclass(frozen=True)
class Ran:
    """How a run ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(arguments: list[str], stage: Callable[[], None] = main) -> Ran:
    """A script in this process: importing it again would take longer than running it."""
    out, err, code = StringIO(), StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stage.py", *arguments])
        try:
            run_stage(stage)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(work: Path) -> Path:
    """An uninterrupted run."""
    result = run(command(work, work / "whole"))
    assert result.returncode == 0, result.stderr
    assert "samples/s" in result.stdout and " left" in result.stdout
    return work / "whole"


def test_every_term_is_trained_and_the_loss_falls(work: Path) -> None:
    out = work / "longer"
    result = run(command(work, out, "--reinforce", "0.01", "--lr", "5e-3", "--batch", "7", steps=40))
    assert result.returncode == 0, result.stderr
    rows = curve(out)
    assert set(rows[0]) == {"step", "cross_entropy", "reinforce", "alignment", "em", "es"}
    first, last = ([sum(r[k] for r in part) / 6 for k in ("cross_entropy", "alignment")] for part in (rows[:6], rows[-6:]))
    assert last[0] < first[0] and last[1] < first[1]
    projector, facts = read_projector(out / "projector.pt")
    assert (projector.config.vector_dim, projector.config.reader_dim, projector.config.layers) == (48, 32, 3)
    assert facts["weights"]["reinforce"] == 0.01 and facts["reader"] == "reader"


def test_two_processes_give_what_one_gives(work: Path, whole: Path) -> None:
    out = work / "two"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    line = [sys.executable, *torchrun, "train_projector.py", *command(work, out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(line, cwd=TRAINING, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert "2 processes on cpu" in result.stdout
    for mine, theirs in zip(curve(out), curve(whole), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-3, abs=2e-3)
    one, two = (read_projector(f / "projector.pt")[0].state_dict() for f in (whole, out))
    assert all(torch.allclose(one[name], two[name], atol=5e-3) for name in one)


def test_a_killed_run_goes_on_to_the_same_loss(work: Path, whole: Path) -> None:
    out = work / "killed"
    line = [sys.executable, "-u", "train_projector.py", *command(work, out, "--save-every", "2")]
    process = subprocess.Popen(line, cwd=TRAINING, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    while not (out / "checkpoint.pt").is_file():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = run(command(work, out, "--save-every", "2"))
    assert result.returncode == 0 and "resumed at step" in result.stdout, result.stderr
    assert [r["step"] for r in curve(out)] == [1, 2, 3, 4]
    reference = run(command(work, work / "reference", "--save-every", "2"))
    assert reference.returncode == 0
    assert curve(out) == curve(work / "reference")
    assert curve(out) == curve(whole)


def test_a_checkpoint_of_other_options_is_refused(work: Path, whole: Path) -> None:
    result = run(command(work, whole, "--layers", "2"))
    assert result.returncode == 1
    assert "was made with other options" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "more",
    [
        ["--self-critical"],
        ["--kl", "0.5", "--reinforce", "0"],
        ["--pretrain-steps", "2", "--reinforce", "0"],
        ["--entities-tokens", "16", "--reinforce", "0", "--per-node", "2", "--layers", "2", "--no-norm"],
    ],
)
def test_switches(work: Path, tmp_path: Path, more: list[str]) -> None:
    result = run(command(work, tmp_path / "out", *more, steps=3))
    assert result.returncode == 0, result.stderr
    assert len(curve(tmp_path / "out")) == 3


def test_unixcoder_reads_syntax_trees(work: Path, tmp_path: Path) -> None:
    more = ["--encoder", str(work / "unixcoder"), "--modality", "ast", "--reinforce", "0"]
    result = run(command(work, tmp_path / "out", *more, steps=1))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "vectors" / "unixcoder-ast-0000.pt").is_file()


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(work: Path) -> None:
    out = work / "poisoned"
    arguments = command(work, out, "--reinforce", "0", "--save-every", "1", steps=6)
    assert run(arguments).returncode == 0
    # The vectors of one sample become NaN: a damaged encoder.
    vectors = out / "vectors" / "encoder-text-0000.pt"
    state = torch.load(vectors, weights_only=True)
    state["vectors"][:] = float("nan")
    torch.save(state, vectors)
    (out / "checkpoint.pt").rename(out / "kept.pt")
    checkpoint = torch.load(out / "kept.pt", weights_only=True) | {"step": 2}
    torch.save(checkpoint, out / "checkpoint.pt")
    result = run(arguments)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "is no finite number at step 2; batch: r/" in result.stderr
    assert "checkpoint.pt holds the last good state, step 2" in result.stderr
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 2


def test_a_full_disk_keeps_the_last_good_checkpoint(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(command(work, out, "--reinforce", "0", steps=2)).returncode == 0
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save(state | {"step": 1}, out / "checkpoint.pt")
    (out / "checkpoint.tmp").symlink_to("/dev/full")
    result = run(command(work, out, "--reinforce", "0", steps=2))
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "No space left on device" in result.stderr and "still holds the last good checkpoint" in result.stderr
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 1


def test_empty_and_wrong_samples(work: Path, tmp_path: Path) -> None:
    for content, words in [
        ("", "holds no samples"),
        ('{"id": 1}\n', "samples.jsonl:1 is no sample"),
        (None, "No such file"),
    ]:
        file = tmp_path / "samples.jsonl"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        result = run(command(work, tmp_path / "out", "--samples", str(file)))
        assert result.returncode == 1 and words in result.stderr and "Traceback" not in result.stderr
    write_samples(tmp_path / "bare.jsonl", [FimSample("r/0", "r", "a.py", "x", "y", "z")])
    assert "has a context" in run(command(work, tmp_path / "out", "--samples", str(tmp_path / "bare.jsonl"))).stderr


def test_contexts_are_encoded_once_in_parts(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_vectors, "PART", 6)
    first = run(command(work, tmp_path / "out", "--reinforce", "0", steps=1))
    assert first.stdout.count("contexts encoded by encoder") == 3
    (tmp_path / "out" / "vectors" / "encoder-text-0002.pt").unlink()
    (tmp_path / "out" / "checkpoint.pt").unlink()
    again = run(command(work, tmp_path / "out", "--reinforce", "0", steps=1))
    assert again.returncode == 0 and again.stdout.count("contexts encoded by encoder") == 1
