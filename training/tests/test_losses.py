"""Each loss against its formula, worked by hand."""

import math

import pytest
import torch

from losses import LossWeights, cosine_alignment, kl_to_teacher, reinforce, sequence_cross_entropy, token_log_probs


def test_alignment_is_the_norm_over_the_root_of_two() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    collapsed = torch.tensor([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0]])
    # Cosine matrices [[1, 0], [0, 1]] and all ones: two entries differ by 1, the norm is sqrt(2).
    assert cosine_alignment(collapsed, vectors).item() == pytest.approx(1.0)
    kept = torch.tensor([[0.0, 3.0, 0.0], [5.0, 0.0, 0.0]])
    assert cosine_alignment(kept, vectors).item() < 1e-5


def test_alignment_pulls_collapsed_rows_apart() -> None:
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(6, 8), dim=-1)
    rows = (torch.ones(6, 4) + 0.01 * torch.randn(6, 4)).requires_grad_()
    optimizer = torch.optim.Adam([rows], 0.05)
    first = None
    for _ in range(100):
        loss = cosine_alignment(rows, vectors)
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first


def test_alignment_has_a_gradient_where_nothing_differs() -> None:
    vectors = torch.eye(3)
    rows = torch.eye(3, requires_grad=True)
    cosine_alignment(rows, vectors).backward()
    assert torch.isfinite(rows.grad).all()


def test_cross_entropy_is_the_mean_of_each_sequence_then_of_all() -> None:
    log_probs = torch.tensor([[-1.0, -3.0, -99.0], [-4.0, -99.0, -99.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert sequence_cross_entropy(log_probs, mask).item() == pytest.approx((2.0 + 4.0) / 2)


def test_log_probs_are_those_of_the_targets() -> None:
    logits = torch.log(torch.tensor([[[0.25, 0.75], [0.5, 0.5]]]))
    found = token_log_probs(logits, torch.tensor([[1, 0]]))
    assert torch.allclose(found, torch.log(torch.tensor([[0.75, 0.5]])))


def test_reinforce_weighs_the_whole_rollout_by_its_reward() -> None:
    log_probs = torch.tensor([[-1.0, -2.0], [-3.0, -99.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    rewards = torch.tensor([2.0, 0.5])
    loss = reinforce(log_probs, mask, rewards)
    assert loss.item() == pytest.approx((2.0 * 3.0 + 0.5 * 3.0) / 2)
    loss.backward()
    # Going down raises what was rewarded, in proportion, and leaves the padding alone.
    assert torch.allclose(log_probs.grad, torch.tensor([[-1.0, -1.0], [-0.25, 0.0]]))


def test_the_self_critical_form_pushes_away_from_what_greedy_does_better() -> None:
    log_probs = torch.tensor([[-1.0]], requires_grad=True)
    reinforce(log_probs, torch.ones(1, 1), torch.tensor([0.2]), torch.tensor([0.9])).backward()
    assert log_probs.grad.item() > 0


def test_kl_is_zero_for_equals_and_its_formula_otherwise() -> None:
    teacher, student = torch.tensor([[[0.5, 0.5]]]).log(), torch.tensor([[[0.25, 0.75]]]).log()
    assert kl_to_teacher(teacher, teacher, torch.ones(1, 1)).item() == pytest.approx(0.0, abs=1e-7)
    expected = 0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75)
    assert kl_to_teacher(student, teacher, torch.ones(1, 1)).item() == pytest.approx(expected, rel=1e-5)


def test_the_total_is_the_weighted_sum_with_the_papers_weights() -> None:
    terms = {"cross_entropy": torch.tensor(1.0), "reinforce": torch.tensor(10.0), "alignment": torch.tensor(2.0)}
    assert LossWeights().total(terms).item() == pytest.approx(0.9 + 1.0 + 0.2)
