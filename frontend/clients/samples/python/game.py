"""Dice: throw as often as you dare. Each throw adds to the score, and a one ends the game with nothing.

    pip install httpx
    python game.py                      # plays at http://localhost:8080
    LEADERBOARD_URL=https://… python game.py

With `--games 5` it plays five games by itself and says what becomes of each score.
"""

import argparse
import asyncio
import os
import random
import sys
from pathlib import Path

# Here the client lies two folders up. In your game it lies beside this file, and this line is not needed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from leaderboard import Entry, FileStorage, Leaderboard, LeaderboardError, Problem, QueueFull, Result

URL = os.environ.get("LEADERBOARD_URL", "http://localhost:8080")
STATE = os.environ.get("LEADERBOARD_STATE", "saved")


def counted(entry: Entry, result: Result) -> None:
    print("counted", entry.key, flush=True)


def refused(entry: Entry, problem: Problem) -> None:
    print("refused", entry.key, problem.type, problem.detail, flush=True)


async def sign_in(game: Leaderboard) -> None:
    """Go on as who is known, or begin as a guest, however long it takes."""
    while game.user is None:
        try:
            await game.play_as_guest()
        except LeaderboardError:
            await asyncio.sleep(1)


async def submit(game: Leaderboard, score: int) -> None:
    while True:
        try:
            submission = await game.submit(score)
            break
        except QueueFull:
            await game.flush()
    print("queued", submission.key, score, flush=True)


async def play(game: Leaderboard) -> int:
    """One game at the keyboard. Gives its score."""
    score = 0
    while (await asyncio.to_thread(input, f"{score} points. Enter throws, s stops: ")).strip() != "s":
        thrown = random.randint(1, 6)
        print(f"You threw a {thrown}.")
        if thrown == 1:
            return 0
        score += thrown
    return score


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--games", type=int, help="play so many games by itself")
    games = parser.parse_args().games
    async with Leaderboard(URL, storage=FileStorage(STATE), on_submitted=counted, on_refused=refused) as game:
        await sign_in(game)
        if games is None:
            await submit(game, await play(game))
        for _ in range(games or 0):
            await submit(game, random.randint(1, 1000))
        await game.flush()
        if games is None:
            page, own = await game.top(limit=5), await game.rank()
            for row in page["top"]:
                print(f"{row['rank']:>4}  {row['username']:<32} {row['score']:>10}")
            print(f"You are {own['username']}, number {own['rank']} of {own['total_players']}.")


asyncio.run(main())
