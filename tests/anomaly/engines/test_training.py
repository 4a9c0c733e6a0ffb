"""What a person is told while a network trains."""

import pytest
import torch
from ignite.engine import Engine, Events

from anomaly.engines import CollapseWatcher, Resumption, TrainingPictures


def output(inside, beside, judge=0.2):
    mask = torch.zeros(1, 1, 8, 8, 2)
    mask[..., 2:5, 2:5, :] = 1
    pred = torch.where(mask > 0, inside, beside)
    return {"mask": mask, "pred": pred, "image": 0.3 + 0 * mask, "discriminator_loss": judge}


def watched(answer, steps=3):
    watcher, engine = CollapseWatcher(), Engine(lambda *_: answer)
    watcher.attach(engine)
    engine.run(range(steps), max_epochs=1)
    return watcher.warnings


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (output(0.01, 0.01), ["nothing is called abnormal"]),
        (output(0.99, 0.98), ["everything is called abnormal"]),
        (output(0.8, 0.1, judge=0.0001), ["discriminator is never wrong"]),
        (output(0.8, 0.1), []),
    ],
)
def test_a_collapse_is_told_in_words(answer, words):
    warnings = watched(answer)
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_steps_without_a_planting_are_no_collapse():
    answer = output(0.5, 0.0)
    answer["mask"].zero_()
    answer["pred"].zero_()
    assert watched(answer) == []


def test_pictures_are_drawn_once_an_epoch(tmp_path):
    engine = Engine(
        lambda *_: [{key: value[0] for key, value in output(0.8, 0.1).items() if key != "discriminator_loss"}]
    )
    engine.state.device = torch.device("cpu")
    engine.network = torch.nn.Identity()
    TrainingPictures(tmp_path / "pictures", cases=2).attach(engine)
    engine.run(range(3), max_epochs=1)
    assert [file.name for file in (tmp_path / "pictures").iterdir()] == ["epoch_0001.png"]


def test_nothing_to_resume_starts_at_the_start(tmp_path):
    layer = torch.nn.Linear(1, 1)
    engine = Engine(lambda *_: None)
    resumption = Resumption(tmp_path / "resume.pt", {"layer": layer})
    assert resumption.restore(engine) == 0
    resumption.attach(engine)
    seen = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: seen.append((tmp_path / "resume.pt").is_file()))
    engine.run(range(2), max_epochs=2)
    assert seen == [True, True]
    assert not (tmp_path / "resume.pt").exists()
