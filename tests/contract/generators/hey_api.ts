/** A player's way through the system by the clients of @hey-api/openapi-ts: guest, submission, board, account, refresh. */

import * as auth from "./hey/auth";
import { client as authClient } from "./hey/auth/client.gen";
import * as leaderboard from "./hey/leaderboard";
import { client as leaderboardClient } from "./hey/leaderboard/client.gen";

declare const process: { argv: string[] };

async function play(baseUrl: string, username: string, password: string): Promise<leaderboard.RankedPlayer[]> {
    let token = "";
    for (const client of [authClient, leaderboardClient]) {
        client.setConfig({ baseUrl, auth: () => token, throwOnError: true });
    }
    const { data: guest } = await auth.playAsGuest({ body: { session: "token" }, throwOnError: true });
    token = guest.access_token;
    const { data: stored } = await leaderboard.submit({
        body: { score: 1200, tags: { track: "alps" } },
        headers: { "Idempotency-Key": crypto.randomUUID() },
        throwOnError: true,
    });
    const { data: kept } = await auth.keepGuest({ body: { username, password }, throwOnError: true });
    if (kept.refresh_token === undefined) throw new Error("a session without a cookie has its refresh token in the answer");
    const { data: renewed } = await auth.refresh({ body: { refresh_token: kept.refresh_token }, throwOnError: true });
    token = renewed.access_token;
    const { data: named } = await leaderboard.rename({ throwOnError: true });
    const { data: page } = await leaderboard.top({ query: { limit: 100, window: "week" }, throwOnError: true });
    const refused = await leaderboard.rank({ path: { user_id: 2 ** 40 }, throwOnError: false });
    const problem: leaderboard.ProblemDetails | undefined = refused.error;
    if (problem?.type !== "urn:problem:player-not-found" || named.rank !== stored.rank) throw new Error("not as it was told");
    return page.top.filter((row) => row.user_id === guest.user_id);
}

play(...(process.argv.slice(2) as [string, string, string])).then((rows) => console.log(JSON.stringify(rows)));
