"""What user code finds in its environment, on real services."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradwire.services.client import Client
from gradwire.services.records import Code, SourceFile
from gradwire.services.security.access import Access
from gradwire.services.security.tokens import new_secret
from gradwire.services.security.user_environment import clean_environment, drop_secrets, without_secrets

SECRETS = {
    "GRADWIRE_TOKEN": new_secret(),
    "GRADWIRE_TOKEN_FILE": "/run/secrets/gradwire",
    "GRADWIRE_TLS_KEY": "/run/secrets/key",
    "GRADWIRE_CONFIG": "/run/config",
    "RAY_AUTH_TOKEN": "of-ray",
}
OTHERS = {"AWS_SECRET_ACCESS_KEY": "a", "DATABASE_URL": "b", "RAY_REDIS_PASSWORD": "c", "WANTED": "d"}
NEEDED = {"PATH": "/bin", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/p", "CUDA_PATH": "/c"}
JOB = """\
import os, json
print("ENVIRONMENT " + json.dumps(dict(os.environ)))
raise SystemExit("seen")
"""


def test_user_code_gets_what_it_needs_and_what_is_named_and_no_secret() -> None:
    all_of_it = {**SECRETS, **OTHERS, **NEEDED}
    assert clean_environment(all_of_it) == NEEDED
    assert clean_environment(all_of_it, ["WANTED", "GRADWIRE_TOKEN"]) == {**NEEDED, "WANTED": "d"}
    assert without_secrets(all_of_it) == {**OTHERS, **NEEDED}
    ray = {"RAY_AUTH_TOKEN_PATH": "/r", "RAY_AUTH_MODE": "token"}
    assert clean_environment({**all_of_it, **ray}, for_ray=True) == {**NEEDED, **ray}
    drop_secrets(all_of_it)
    assert all_of_it == {**OTHERS, **NEEDED}


@pytest.mark.parametrize("runtime", ["process", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_job_of_a_service_finds_no_secret_of_it(tmp_path: Path, runtime: str) -> None:
    command = [sys.executable, "-m", "gradwire", "serve", "--runtime", runtime, "--address", "127.0.0.1:0"]
    command += ["--home", str(tmp_path / "home"), "--pass-env", "WANTED", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **SECRETS, **OTHERS}, text=True
    ) as service:
        assert service.stdout is not None
        with Client(json.loads(service.stdout.readline())["address"], access=Access()) as client:
            job = client.submit(Code("job.py", (SourceFile("job.py", JOB.encode()),)))
            job.wait()
            lines = [line.text for line in job.logs() if line.text.startswith("ENVIRONMENT ")]
        service.terminate()
    assert lines
    for line in lines:
        found = json.loads(line.removeprefix("ENVIRONMENT "))
        assert found["WANTED"] == "d"
        assert found["PATH"] == os.environ["PATH"]
        assert not found.keys() & (SECRETS.keys() | (OTHERS.keys() - {"WANTED"}))
        assert not [value for value in SECRETS.values() if value in line]
