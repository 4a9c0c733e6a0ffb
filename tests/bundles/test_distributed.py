"""Training in two processes, as `torchrun` starts them on two GPUs; here on the CPU, over Gloo."""

import re
import socket
import subprocess
import sys
from pathlib import Path


def test_two_processes_train_one_network(cohort, tmp_path):
    bundle = Path(__file__).parents[2] / "bundles" / "brain_flair_healthy_twin"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1", f"--master_port={port}"]
    words += [str(Path(__file__).with_name("two_processes.py")), str(bundle), str(cohort), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    epochs = [int(number) for number in re.findall(r"the same after (\d+) epochs", done.stdout)]
    assert len(epochs) == 2
    assert epochs[0] == epochs[1] < 8, "both end early, and together"
    assert {"model.pt", "calibration.json", "best.pt"} <= {path.name for path in (tmp_path / "out").iterdir()}
