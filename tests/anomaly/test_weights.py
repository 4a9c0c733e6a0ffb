"""Weights are written with the same bytes for the same numbers: their SHA-256 pins them."""

import torch

from anomaly import export_weights
from anomaly.bundle import sha256_of


def test_the_same_numbers_are_the_same_bytes(tmp_path):
    checkpoint = tmp_path / "best.pt"
    torch.save({"model": {"weight": torch.arange(6.0)}}, checkpoint)
    first, second = (export_weights(checkpoint, tmp_path / f"{name}.pt") for name in ("one", "two"))
    assert first == second == sha256_of(tmp_path / "one.pt")
    assert torch.load(tmp_path / "one.pt", weights_only=True)["weight"].dtype == torch.float16
