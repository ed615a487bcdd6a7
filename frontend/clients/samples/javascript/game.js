// A game in Node: every game is a roll of three dice, and its score is on the leaderboard, once, whatever happens to the
// network or to this program.
//
//     LEADERBOARD_URL=http://localhost:8080 LEADERBOARD_STATE=./state node game.js --games 10
//
// It plays as a guest, whom the folder LEADERBOARD_STATE is kept for. Kill it, start it again with the same folder, and what
// was not sent is sent. `--games 0` only sends what is kept.

import { FileStorage, Leaderboard, QueueFull, Unreachable } from "../../leaderboard.js";

const SITE = process.env.LEADERBOARD_URL ?? "http://localhost:8080";
const STATE = process.env.LEADERBOARD_STATE ?? "./state";
const [, , option, number] = process.argv;
const GAMES = Number(option === "--games" ? number : (process.env.LEADERBOARD_GAMES ?? 1));

const leaderboard = new Leaderboard(SITE, { storage: new FileStorage(STATE), queueLimit: 20 });
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

leaderboard.on("submitted", ({ key }) => console.log(`counted ${key}`));
leaderboard.on("refused", ({ key }, problem) => console.log(`refused ${key}: ${problem.message}`));
leaderboard.on("sessionEnded", () => console.log("Nobody is signed in any more: start again, as somebody new."));

/** Does it again for as long as nobody answers: the game has just been installed, and there is no network. */
async function untilAnswered(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Unreachable || error.status === 429)) throw error;
      await pause(Math.max(1, error.retryAfter));
    }
  }
}

function roll() {
  const dice = [1, 2, 3].map(() => 1 + Math.floor(6 * Math.random()));
  return dice.reduce((sum, die) => sum + die);
}

async function play() {
  const score = roll();
  for (;;) {
    try {
      // It is kept once this returns. The answer comes later: see "submitted" above.
      const { key } = await leaderboard.submit(score);
      console.log(`queued ${key} ${score}`);
      return;
    } catch (error) {
      if (!(error instanceof QueueFull)) throw error;
      await pause(0.1);
    }
  }
}

const player = await untilAnswered(() => leaderboard.playAsGuest());
for (let game = 0; game < GAMES; game += 1) await play();
await leaderboard.flush();

const { rank, score } = await untilAnswered(() => leaderboard.rank("me"));
console.log(`${player.username} has ${score ?? 0} points and is number ${rank ?? "none"}.`);
leaderboard.close();
