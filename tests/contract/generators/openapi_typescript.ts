/** A player's way through the system with the types of openapi-typescript, and fetch: account, session, submission, board. */

import type { operations as AuthOperations, paths as AuthPaths } from "./auth";
import type { components, operations as LeaderboardOperations, paths as LeaderboardPaths } from "./leaderboard";

declare const process: { argv: string[] };

type Paths = AuthPaths & LeaderboardPaths;
type Operations = AuthOperations & LeaderboardOperations;
type Json<Part> = Part extends { content: { "application/json": infer Value } } ? Value : never;
type Answer<Operation> = Operation extends { responses: infer All } ? Json<All[keyof All & (200 | 201)]> : never;
type Sent<Operation> = Operation extends { requestBody: infer Body } ? Json<Body> : never;
type Row = components["schemas"]["RankedPlayer"];

async function play(base: string, username: string, password: string): Promise<Row[]> {
    async function post<Path extends keyof Paths>(
        path: Path, body: Sent<Paths[Path]["post"]>, headers: Record<string, string> = {}
    ): Promise<Answer<Paths[Path]["post"]>> {
        const init = { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
        const answer = await fetch(base + path, init);
        if (!answer.ok) throw new Error(await answer.text());
        return answer.json();
    }
    const { user_id } = await post("/auth/register", { username, password });
    const { access_token } = await post("/auth/login", { username, password, session: "token" });
    const headers: Operations["submit"]["parameters"]["header"] = { "Idempotency-Key": crypto.randomUUID() };
    const authorization = { Authorization: `Bearer ${access_token}` };
    const stored = await post("/api/leaderboard/submit", { score: 1200 }, { ...headers, ...authorization });
    const path: keyof LeaderboardPaths = "/api/leaderboard/top";
    const page: Answer<Operations["top"]> = await (await fetch(`${base}${path}?limit=100`)).json();
    return page.top.filter((row) => row.user_id === user_id && row.rank === stored.rank);
}

play(...(process.argv.slice(2) as [string, string, string])).then((rows) => console.log(JSON.stringify(rows)));
