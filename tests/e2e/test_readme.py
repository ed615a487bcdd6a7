"""The README's commands, pasted into a shell, do what it says."""

import json
import re
import subprocess

from services.local import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_curl_examples_work_when_pasted(gateway_url: str) -> None:
    [examples] = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in block]
    # Each answer on a line of its own; the name is this test's.
    script = (
        examples.replace("http://localhost:8080", gateway_url).replace("curl ", "curl -s -w '\\n' ").replace("Ada", "Readme")
    )
    command = ["bash", "-euo", "pipefail", "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    registered, submitted, top, mine, first = (json.loads(line) for line in ran.stdout.splitlines() if line)
    assert registered["username"] == "Readme"
    assert submitted["total_score"] == 1200
    assert {"rank", "user_id", "username", "total_score"} == set(top["top"][0])
    assert mine == {name: submitted[name] for name in ("user_id", "username", "total_score")} | {"rank": mine["rank"]}
    assert first.get("user_id") == 1 or first["status"] == 404
