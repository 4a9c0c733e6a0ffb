"""Reduced precision: where it is taken, that a finding says so, and how little it changes."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import phantom

from anomaly import load_detector, precision
from anomaly.detector import bundle_precision
from anomaly.precision import autocast, name_of, reduced

CPU = torch.device("cpu")
HEAD = SimpleNamespace(array=phantom((60, 60, 8), lesion=True)[0], affine=np.diag([3.0, 3.0, 5.5, 1.0]))


@pytest.mark.parametrize("has_it", [True, False])
def test_auto_is_what_the_processor_has(monkeypatch, has_it):
    found = {"avx512_f": True, "amx_bf16": has_it}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert name_of(reduced(CPU)) == ("bf16" if has_it else "fp32")
    assert name_of(reduced(CPU, "fp32")) == "fp32"
    assert name_of(reduced(CPU, "bf16")) == "bf16", "whoever asks for it gets it"
    with pytest.raises(ValueError, match="auto, fp32, bf16, got 'half'"):
        reduced(CPU, "half")


def test_an_older_gpu_has_float16(monkeypatch):
    for supported, name in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, supported=supported, **_: supported)
        assert name_of(reduced(torch.device("cuda"))) == name


def test_the_bundle_decides_where_nobody_asks():
    assert bundle_precision({"precision": "fp32"}) == "fp32"
    assert bundle_precision({"precision": "fp32"}, "bf16") == "bf16"
    assert bundle_precision({}) == "auto"
    assert bundle_precision({"evaluator": {"amp": False}}) == "fp32", "a bundle of an earlier version"


def test_the_finding_says_it_and_hardly_anything_changes(bundle):
    exams = {name: load_detector(bundle, device="cpu", precision=name).examine(HEAD) for name in ("fp32", "bf16")}
    assert {name: exam.finding.precision for name, exam in exams.items()} == {"fp32": "fp32", "bf16": "bf16"}
    one, other = exams.values()
    assert 0 < np.abs(one.score - other.score).max() < 0.03
    assert one.finding.score == pytest.approx(other.finding.score, abs=0.01)
    assert (one.mask != other.mask).mean() < 1e-3


def test_without_the_instructions_auto_is_bit_for_bit_fp32(bundle, monkeypatch):
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: False)
    exams = [load_detector(bundle, device="cpu", precision=name).examine(HEAD) for name in ("auto", "fp32")]
    np.testing.assert_array_equal(exams[0].score, exams[1].score)
    assert exams[0].finding.precision == "fp32"


def test_a_bundle_that_must_be_exact_is(bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    path = copy / "configs" / "inference.yaml"
    path.write_text(path.read_text().replace("precision: auto", "precision: fp32", 1))
    assert load_detector(copy, device="cpu").dtype is None


@pytest.mark.parametrize("length", [1, 2, 3, 4])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (3, (1, 1, 2)), (3, (2, 2, 1)), (7, 2)])
def test_short_axes_are_not_read_beyond_their_end(kernel, stride, length):
    """PyTorch 2.13 on CPUs with AVX512-BF16: garbage from a stride of 2 over an axis of one or two voxels."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(64, 64, kernel, stride, kernel // 2, bias=False)
    image = torch.rand(1, 64, 8, 8, length)
    for _ in range(3):
        junk = [torch.full((150_000,), 1e30).to(torch.bfloat16) for _ in range(5)]
        del junk  # what lies in freed memory is what would be read
        found = {}
        for dtype in (None, torch.bfloat16):
            leaf = image.clone().requires_grad_()
            with autocast(CPU, dtype):
                made = convolution(leaf).float()
            made.square().mean().backward()
            found[dtype] = made.detach(), leaf.grad
        torch.testing.assert_close(found[torch.bfloat16], found[None], atol=0.02, rtol=0.05)
