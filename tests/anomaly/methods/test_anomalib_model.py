"""Models of anomalib as methods: by a model of our own with their interface, and by theirs where they are installed."""

import importlib
from collections import namedtuple

import pytest
import torch
from monai.data import MetaTensor
from monai.utils import set_determinism
from torch import nn

from anomaly.engines import MethodTrainer
from anomaly.methods.anomalib_model import AnomalibModel, load_backbone, require_anomalib
from anomaly.networks import SliceWise

Answer = namedtuple("Answer", ["pred_score", "anomaly_map"])


class MeanDistance(nn.Module):
    """Collects images as anomalib's PatchCore collects features: a map of distances to their mean image."""

    def __init__(self, flat=False):
        super().__init__()
        self.flat, self.store, self.mean, self.seen = flat, [], None, None

    def forward(self, image):
        self.seen = image
        if self.training:
            self.store.append(image)
            return image
        distance = (image - self.mean).abs().mean(dim=1, keepdim=True) - 7  # below 0, as FastFlow's maps are
        return Answer(distance.amax(dim=(1, 2, 3)), distance[:, 0] if self.flat else distance)

    def fit(self):
        self.mean = torch.cat(self.store).mean(dim=0)


def healthy(count=4, size=(20, 24)):
    torch.manual_seed(0)
    return [0.3 + 0.05 * torch.rand(1, 1, *size) for _ in range(count)]


def fitted(**options):
    method = AnomalibModel(MeanDistance(**options), size=32)
    method.fit(healthy(), finish=lambda model: model.fit())
    return method


def test_a_slice_goes_in_as_a_backbone_expects_it():
    method = fitted()
    method(torch.full((2, 1, 20, 24), 0.485))
    seen = method.model.seen
    assert seen.shape == (2, 3, 32, 32)
    torch.testing.assert_close(seen[:, 0], torch.zeros(2, 32, 32), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, 1], torch.full((2, 32, 32), (0.485 - 0.456) / 0.224))
    torch.testing.assert_close(seen[:, 2], torch.full((2, 32, 32), (0.485 - 0.406) / 0.225))


@pytest.mark.parametrize("flat", [False, True])
def test_the_highest_healthy_value_is_at_one_half_and_the_order_stays(flat):
    method = fitted(flat=flat)
    scores = torch.cat([method(image) for image in healthy()])
    assert scores.min() == 0
    assert scores.max() == pytest.approx(0.5)
    ill = healthy()[0].clone()
    ill[..., 5:12, 5:12] = 1
    told = method.explain(ill)
    assert told["score"].shape == told["anomaly_map"].shape == ill.shape
    assert told["score"].max() < 1
    assert (told["score"][..., 6:11, 6:11] > 0.5).all()
    score, raw = told["score"].flatten(), told["anomaly_map"].flatten()
    assert (score[raw.argsort()].diff() >= 0).all()
    x = raw - method.lowest
    torch.testing.assert_close(score, x.clamp(min=0) / (x.clamp(min=0) + method.span))


def test_the_range_travels_with_the_weights():
    method = fitted()
    again = AnomalibModel(method.model, size=32)
    image = healthy()[0]
    assert not torch.allclose(again(image), method(image))
    again.load_state_dict(method.state_dict())
    torch.testing.assert_close(again(image), method(image))


def test_volumes_go_slice_by_slice():
    volume = torch.stack([image[:, 0] for image in healthy(5)], dim=-1)[:, None]
    method = fitted()
    with pytest.raises(ValueError, match=r"slices .* are needed, got \(1, 1, 20, 24, 5\); .* SliceWise"):
        method(volume)
    score = SliceWise(method, batch=2)(volume)
    assert score.shape == volume.shape
    torch.testing.assert_close(score[..., 3], method(volume[..., 3]))
    again = SliceWise(method, batch=2)(MetaTensor(volume))
    assert type(method.model.seen) is torch.Tensor, "foreign code cuts it up in ways that MetaTensor refuses"
    torch.testing.assert_close(torch.as_tensor(again), score)


def test_a_constant_map_is_no_division_by_zero():
    class Constant(nn.Module):
        def forward(self, image):
            return Answer(None, torch.full((len(image), 1, 4, 4), 100.0))

    method = AnomalibModel(Constant(), size=8)
    method.fit(healthy())
    assert method(healthy()[0]).abs().max() < 1e-6


def test_what_cannot_be_done_is_said():
    class Blind(nn.Module):
        def forward(self, image):
            return Answer(image.mean(), None)

    with pytest.raises(ValueError, match="Blind gives no anomaly map"):
        AnomalibModel(Blind()).fit(healthy())
    with pytest.raises(ValueError, match="no healthy slice"):
        fitted().fit([])
    with pytest.raises(ValueError, match="came without a loss"):
        fitted().losses(healthy()[0])


def test_a_model_with_a_loss_is_trained_by_the_usual_trainer():
    class Student(nn.Module):
        """Two outputs in training and a map afterwards, as anomalib's teacher and student have."""

        def __init__(self):
            super().__init__()
            self.student = nn.Conv2d(3, 1, 3, padding=1)

        def forward(self, image):
            teacher, student = image[:, :1], self.student(image)
            return (teacher, student) if self.training else Answer(None, (teacher - student).abs())

    set_determinism(0)
    method = AnomalibModel(Student(), loss=nn.functional.mse_loss, size=32)
    before = method.losses(healthy()[0])["anomalib"].item()
    engine = MethodTrainer(
        device="cpu",
        max_epochs=60,
        train_data_loader=[{"image": torch.cat(healthy())}],
        network=method,
        optimizer=torch.optim.Adam(method.parameters(), 1e-2),
        decollate=False,
    )
    engine.run()
    assert engine.state.output["anomalib_loss"] < 0.2 * before
    method.fit(healthy())
    with torch.no_grad():
        assert max(method(image).max() for image in healthy()) == pytest.approx(0.5)


def test_backbone_weights_come_from_a_file_or_are_refused(tmp_path):
    def backbone():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    torch.manual_seed(0)
    source, target = backbone(), backbone()
    state = {**source.state_dict(), "fc.weight": torch.zeros(3, 4)}
    state.pop("1.num_batches_tracked")
    torch.save(state, tmp_path / "timm.pth")
    assert "fc.weight" not in load_backbone(target, tmp_path / "timm.pth")
    torch.testing.assert_close(target[0].weight, source[0].weight)
    torch.save({"state_dict": state}, tmp_path / "wrapped.pth")
    assert len(load_backbone(backbone(), tmp_path / "wrapped.pth")) == len(state) - 1
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_backbone(target, tmp_path / "none.pth")
    torch.save({**state, "0.weight": torch.zeros(4, 3, 5, 5)}, tmp_path / "other.pth")
    with pytest.raises(
        ValueError, match=r"other\.pth: not the weights .* 1 missing or misshapen, such as \['0.weight'\]"
    ):
        load_backbone(target, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match=r"text\.pth: no file of weights alone"):
        load_backbone(target, tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list\.pth: no tensors by name"):
        load_backbone(target, tmp_path / "list.pth")


@pytest.mark.parametrize(
    "error",
    [ModuleNotFoundError("No module named 'anomalib'"), RuntimeError("operator torchvision::nms does not exist")],
)
def test_where_it_cannot_be_imported_the_remedy_is_said(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ImportError, match=r"pip install 'healthytwin\[anomalib\]'") as caught:
        require_anomalib()
    assert str(error) in str(caught.value)
    assert caught.value.__context__ is None, "a row of the benchmark shows the innermost cause"


def torch_models():
    """anomalib's models by name, with what readies them: a step to finish with, or a loss."""
    from anomalib.models.image.fastflow.loss import FastflowLoss
    from anomalib.models.image.fastflow.torch_model import FastflowModel
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
    from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss
    from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel

    distillation = {"layers": ["layer1", "layer2", "layer3"], "anomaly_map_mode": AnomalyMapGenerationMode.ADD}
    return {
        "patchcore": (
            lambda: PatchcoreModel(layers=["layer2", "layer3"], backbone="resnet18", pre_trained=False),
            {"finish": lambda model: model.subsample_embedding(0.5)},
            None,
        ),
        "padim": (
            lambda: PadimModel(backbone="resnet18", pre_trained=False, n_features=20),
            {"finish": lambda model: model.fit()},
            None,
        ),
        "reverse_distillation": (
            lambda: ReverseDistillationModel("resnet18", input_size=(64, 64), pre_trained=False, **distillation),
            {},
            ReverseDistillationLoss(),
        ),
        "fastflow": (
            lambda: FastflowModel((64, 64), backbone="resnet18", pre_trained=False, flow_steps=2),
            {},
            FastflowLoss(),
        ),
    }


@pytest.mark.parametrize("name", ["patchcore", "padim", "reverse_distillation", "fastflow"])
def test_a_model_of_anomalib_gives_scores(name):
    pytest.importorskip("anomalib.models", reason="the extra [anomalib] is not installed")
    make, ready, loss = torch_models()[name]
    set_determinism(0)
    method = AnomalibModel(make(), loss=loss, size=64)
    slices = healthy(6, size=(40, 48))
    if loss is not None:
        method.losses(torch.cat(slices))["anomalib"].backward()
        assert any(part.grad is not None and part.grad.abs().sum() > 0 for part in method.parameters())
    method.requires_grad_(False).fit(slices, **ready)
    ill = slices[0].clone()
    ill[..., 10:22, 10:22] = 1
    score, told = method(ill), method.explain(ill)
    assert score.shape == told["anomaly_map"].shape == ill.shape
    assert torch.isfinite(score).all()
    assert 0 <= score.min() <= score.max() <= 1
    assert max(method(image).max() for image in slices) == pytest.approx(0.5, abs=1e-4)
    if loss is None:  # the others were not trained
        assert score[..., 12:20, 12:20].mean() > score.mean()
    again = AnomalibModel(make(), size=64)
    if name == "patchcore":  # its bank grows to the size that the file has
        again.load_state_dict(method.state_dict(), strict=False)
        torch.testing.assert_close(again(ill), score)


def test_a_backbone_of_timm_is_loaded_into_anomalibs_model(tmp_path):
    pytest.importorskip("anomalib.models", reason="the extra [anomalib] is not installed")
    import timm
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    from safetensors.torch import save_file

    set_determinism(0)
    full = timm.create_model("resnet18", pretrained=False)
    save_file(full.state_dict(), tmp_path / "r18.safetensors")
    model = PatchcoreModel(layers=["layer2", "layer3"], backbone="resnet18", pre_trained=False)
    extractor = model.feature_extractor.feature_extractor
    assert "layer2.0.conv1.weight" in load_backbone(extractor, tmp_path / "r18.safetensors")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs = full.eval().layer2(full.layer1(full.maxpool(full.act1(full.bn1(full.conv1(image))))))
        torch.testing.assert_close(model.feature_extractor(image)["layer2"], theirs)
    (tmp_path / "cut.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"cut\.safetensors: no safetensors file"):
        load_backbone(extractor, tmp_path / "cut.safetensors")
