// Dice: throw as often as you dare. Each throw adds to the score, and a one ends the game with nothing.
//
//     mcs -langversion:6 -r:System.Net.Http.dll -out:game.exe Game.cs ../../Leaderboard.cs
//     mono game.exe                      # plays at http://localhost:8080
//     LEADERBOARD_URL=https://… mono game.exe
//
// With `--games 5` it plays five games by itself and says what becomes of each score.

using System;
using System.Threading.Tasks;
using LeaderboardClient;

static class Game
{
    static readonly string Url = Environment.GetEnvironmentVariable("LEADERBOARD_URL") ?? "http://localhost:8080";
    static readonly string State = Environment.GetEnvironmentVariable("LEADERBOARD_STATE") ?? "saved";
    static readonly Random Dice = new Random();

    static void Main(string[] arguments)
    {
        int games = arguments.Length == 2 && arguments[0] == "--games" ? int.Parse(arguments[1]) : -1;
        RunAsync(games).Wait();
    }

    static async Task RunAsync(int games)
    {
        Leaderboard game = await Leaderboard.OpenAsync(Url, new LeaderboardOptions
        {
            Storage = new FileStorage(State),
            OnSubmitted = (entry, result) => Say("counted " + entry.Key),
            OnRefused = (entry, problem) => Say("refused " + entry.Key + " " + problem.Type + " " + problem.Detail),
        });
        await SignInAsync(game);
        if (games < 0) await SubmitAsync(game, Play());
        for (int i = 0; i < games; i++) await SubmitAsync(game, Dice.Next(1, 1001));
        await game.FlushAsync();
        if (games < 0) await ShowAsync(game);
        await game.CloseAsync();
    }

    // Goes on as who is known, or begins as a guest, however long it takes.
    static async Task SignInAsync(Leaderboard game)
    {
        while (game.User == null)
        {
            try { await game.PlayAsGuestAsync(); }
            catch (LeaderboardException) { await Task.Delay(1000); }
        }
    }

    static async Task SubmitAsync(Leaderboard game, int score)
    {
        Submission submission = null;
        while (submission == null)
        {
            try { submission = await game.SubmitAsync(score); }
            catch (QueueFullException) { await game.FlushAsync(); }
        }
        Say("queued " + submission.Key + " " + score);
    }

    // One game at the keyboard. Gives its score.
    static int Play()
    {
        for (int score = 0; ; )
        {
            Console.Write(score + " points. Enter throws, s stops: ");
            if ((Console.ReadLine() ?? "s").Trim() == "s") return score;
            int thrown = Dice.Next(1, 7);
            Console.WriteLine("You threw a " + thrown + ".");
            if (thrown == 1) return 0;
            score += thrown;
        }
    }

    static async Task ShowAsync(Leaderboard game)
    {
        Page page = await game.TopAsync(limit: 5);
        Standing own = await game.RankAsync();
        foreach (Row row in page.Rows) Console.WriteLine($"{row.Rank,4}  {row.Username,-32} {row.Score,10}");
        Console.WriteLine($"You are {own.Username}, number {own.Rank} of {own.TotalPlayers}.");
    }

    static void Say(string line)
    {
        Console.WriteLine(line);
        Console.Out.Flush();
    }
}
