"""What `torchrun` runs in each process: a tiny training, then whether all processes ended with the same weights."""

import sys
from pathlib import Path

import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow


def main(bundle: Path, cohort: Path, output: Path) -> None:
    """Train, and compare what the processes have at the end."""
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "train.yaml"),
        workflow_type="train",
        logging_file=False,
        bundle_root=str(bundle),
        dataset_dir=str(cohort),
        output_dir=str(output),
        epochs=8,
        steps=1,
        batch_size=2,
        slab=[32, 32, 4],
        patience=1,
        learning_rate=0.0,  # no better validation: the first process ends early, and the other must hear of it
    )
    workflow.initialize()
    network = workflow.parser.get_parsed_content("network")
    if torch.distributed.get_rank() > 0:
        with torch.no_grad():
            next(network.parameters()).add_(1.0)  # begins with other weights, unless the first gives it its own
    at_the_end = {}

    def keep(engine):
        """Before calibration reads the exported weights into the first process's network."""
        parameters = list(network.parameters())
        at_the_end["weights"] = torch.cat([parameter.detach().flatten() for parameter in parameters])
        learning = [parameter for parameter in parameters if parameter.requires_grad]  # the feature distance is frozen
        at_the_end["gradients"] = torch.cat([parameter.grad.flatten() for parameter in learning])
        at_the_end["epochs"] = torch.tensor([float(engine.state.epoch)])

    workflow.parser.get_parsed_content("train::trainer").add_event_handler(Events.COMPLETED, keep)
    workflow.run()
    for name, mine in at_the_end.items():
        theirs = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(theirs, mine)
        assert torch.equal(theirs[0], theirs[1]), name
    assert at_the_end["gradients"].abs().max() > 0
    print(f"rank {torch.distributed.get_rank()}: the same after {int(at_the_end['epochs'])} epochs")
    workflow.finalize()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
