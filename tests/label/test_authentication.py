"""Who is let in where authentication is on."""

import json
import subprocess
import sys
from pathlib import Path


def test_only_a_valid_token_of_the_realm_with_the_role_is_let_in(bright_bundle, tmp_path):
    script = Path(__file__).with_name("authenticated.py")
    command = [sys.executable, str(script), str(tmp_path), str(bright_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("user") == 200
    assert told == {
        "none": 401,
        "user who trains": 403,
        "other role": 403,
        "other key": 401,
        "expired": 401,
        "unsigned": 401,
    }
