"""Scripts for Node that use the JavaScript client."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from services.local import ROOT
from services.local.programs import find_program, major_version

FOLDER = ROOT / "frontend" / "clients"
CLIENT = FOLDER / "leaderboard.js"
NAMES = ", ".join(re.findall(r"^export (?:class|function|const) (\w+)", CLIENT.read_text(encoding="utf-8"), re.MULTILINE))
_NODE = find_program("node", "nodejs")
# Node 18, which Debian 12 has, gives programs what the client needs when it is asked to; 20 does by itself.
NODE = [_NODE or "node", *(["--experimental-global-webcrypto"] if major_version(_NODE) < 20 else [])]
# Seconds, for a busy machine.
PATIENCE = 60.0


class Player:
    """A game in Node whose player is kept in a folder. Each script is another start of it."""

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self.state = state

    async def run(self, script: str, options: str = "", *, to_be_closed: bool = True) -> Any:
        """What the body of an async function returns. It has `leaderboard`, and all that the client exports.

        With ``to_be_closed`` off the program ends when nothing is left to be done.
        """
        source = f"""
            import {{ {NAMES} }} from {json.dumps(CLIENT.as_uri())};
            const leaderboard = new Leaderboard({json.dumps(self.url)}, {{
                storage: new FileStorage({json.dumps(str(self.state))}), {options}
            }});
            const told = [];
            for (const event of ["submitted", "refused", "queueChanged", "sessionEnded"])
                leaderboard.on(event, (...what) => told.push([event, ...what]));
            const seconds = (number) => new Promise((resolve) => setTimeout(resolve, number * 1000));
            const until = async (condition) => {{ while (!(await condition())) await seconds(0.01); }};
            const failure = (promise) => promise.then(() => null, (error) => ({{ ...error, name: error.name }}));
            const result = await (async () => {{ {script} }})();
            process.stdout.write(JSON.stringify(result ?? null) + "\\n");
            {"leaderboard.close();" if to_be_closed else ""}
        """
        process = await asyncio.create_subprocess_exec(*NODE, "--input-type=module", "--eval", source, stdout=PIPE, stderr=PIPE)
        try:
            async with asyncio.timeout(PATIENCE):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    def kept(self, name: str) -> Any:
        """What the client keeps by a name; None: nothing."""
        path = self.state / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def keep(self, **changes: Any) -> None:
        """Change what is kept of the session, as time would."""
        path = self.state / "session.json"
        path.write_text(json.dumps(self.kept("session") | changes), encoding="utf-8")
