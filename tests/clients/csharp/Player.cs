// The C# client, driven by lines: each line of the input is a JSON object that says what to do, and is answered by a line.
// What the client tells by itself is printed, too. Nothing waits for what came before it, as in a game.

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using LeaderboardClient;

static class Player
{
    static Leaderboard _game;
    static readonly Dictionary<string, Submission> Submissions = new Dictionary<string, Submission>();
    static readonly List<Watch> Watches = new List<Watch>();
    static IStorage _storage;

    static void Main()
    {
        var running = new List<Task>();
        for (string line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            Json said = Json.Parse(line);
            Task task = AnswerAsync(said);
            if (said["alone"].Flag) task.Wait();
            running.Add(task);
        }
        Task.WaitAll(running.ToArray());
    }

    static async Task AnswerAsync(Json said)
    {
        try
        {
            object answer = await DoAsync(said);
            Print(Json.Of("of", said["of"], "answer", answer));
        }
        catch (Exception error)
        {
            var known = error as LeaderboardException;
            var problem = error as ProblemException;
            Print(Json.Of("of", said["of"], "error", error.GetType().Name, "status", known?.Status, "retry_after", known?.RetryAfter,
                "type", problem?.Type, "errors", problem?.Errors, "message", error.ToString()));
        }
    }

    static async Task<object> DoAsync(Json said)
    {
        string name = said["username"].Text, password = said["password"].Text, board = said["board"].Text;
        switch (said["do"].Text)
        {
            case "open": await OpenAsync(said); return Who(_game.User);
            case "close": await _game.CloseAsync(); return null;
            case "user": return Who(_game.User);
            case "guest": return Who(await _game.PlayAsGuestAsync());
            case "register": return Who(await _game.RegisterAsync(name, password));
            case "login": return Who(await _game.LoginAsync(name, password));
            case "keep": return Who(await _game.KeepAccountAsync(name, password));
            case "logout": await _game.LogoutAsync(); return null;
            case "stored": return await _storage.GetAsync(said["name"].Text);
            case "store": await _storage.SetAsync(said["name"].Text, said["text"].Text); return null;
            case "queued": return _game.Queued;
            case "submit": return await SubmitAsync(said);
            case "result": return Seen(await Submissions[said["key"].Text].Result);
            case "flush": await _game.FlushAsync(); return null;
            case "many": return await _game.SubmitManyAsync(said["sessions"].Select(Members).ToArray());
            case "top":
                using (var stop = said["within"].IsNull ? new CancellationTokenSource() : new CancellationTokenSource((int)said["within"].Long))
                    return Seen(await _game.TopAsync((int)(said["limit"].Long ?? 10), cursor: said["cursor"].Text, board: board, cancel: stop.Token));
            case "rank": return (await _game.RankAsync(said["user_id"].Long, board)).Json;
            case "around": return Seen(await _game.AroundAsync(said["user_id"].Long, 1));
            case "ranks": return Seen(await _game.RanksAsync(new[] { said["user_id"].Long.Value }));
            case "rank_of_score": return await _game.RankOfScoreAsync(said["score"].Long.Value);
            case "distribution": return await _game.DistributionAsync(3);
            case "find": return await _game.FindPlayersAsync(name);
            case "player": return await _game.PlayerAsync(said["user_id"].Long.Value);
            case "standings": return await _game.StandingsAsync(said["user_id"].Long.Value);
            case "my_sessions": return await _game.MySessionsAsync();
            case "board": return await _game.BoardAsync();
            case "boards": return await _game.BoardsAsync();
            case "watch": Watch(said); return null;
            case "unwatch": foreach (Watch watch in Watches) { watch.Dispose(); await watch.Ended; } return null;
            case "json": return Json.Parse(said["text"].Text).ToString();
            case "main thread": return MainThread(said["url"].Text);
            default: throw new ArgumentException(said["do"].Text);
        }
    }

    static async Task OpenAsync(Json said)
    {
        Json folder = said["folder"];
        _storage = folder.IsNull ? _storage ?? new MemoryStorage() : new FileStorage(folder.Text);
        _game = await Leaderboard.OpenAsync(said["url"].Text, new LeaderboardOptions
        {
            Storage = _storage,
            QueueLimit = (int)(said["queue_limit"].Long ?? 100),
            Timeout = TimeSpan.FromSeconds(said["timeout"].Number ?? 10),
            Poll = TimeSpan.FromSeconds(said["poll"].Number ?? 5),
            Silence = TimeSpan.FromSeconds(said["silence"].Number ?? 40),
            ClientId = said["client_id"].Text,
            ClientSecret = said["client_secret"].Text,
            OnSubmitted = (entry, result) => Tell("submitted", Seen(result)),
            OnRefused = (entry, problem) => Tell("refused", Json.Of("key", entry.Key, "type", problem.Type)),
            OnQueueChanged = (length, reason) => Tell("queue", Json.Of("length", length, "reason", reason.ToString())),
            OnSessionEnded = () => Tell("session ended", null),
        });
    }

    static async Task<string> SubmitAsync(Json said)
    {
        Submission submission = await _game.SubmitAsync(
            said["score"].Long.Value, extra: said["extra"], userId: said["user_id"].Long, key: said["key"].Text);
        Submissions[submission.Key] = submission;
        return submission.Key;
    }

    static void Watch(Json said)
    {
        Watches.Add(_game.Watch(new WatchOptions
        {
            Board = said["board"].Text,
            Limit = 3,
            WithMe = said["with_me"].Flag,
            Streaming = !said["polling"].Flag,
            OnTop = page => Tell("top", Seen(page)),
            OnMe = own => Tell("me", own.Json),
            OnEnded = error => Tell("ended", Json.Of("type", (error as ProblemException)?.Type)),
        }));
    }

    // A main thread like Unity's: what is posted to it is done one after the other. Whatever it hears, it hears there, in order; and
    // it may even block while it waits for the client.
    static object MainThread(string url)
    {
        var heard = new List<long>();
        bool there = true;
        var thread = new Thread(() =>
        {
            var context = new Frames();
            SynchronizationContext.SetSynchronizationContext(context);
            int main = Thread.CurrentThread.ManagedThreadId;
            Leaderboard game = Leaderboard.OpenAsync(url, new LeaderboardOptions
            {
                OnSubmitted = (entry, result) =>
                {
                    there = there && Thread.CurrentThread.ManagedThreadId == main;
                    heard.Add(entry.Body["score"].Long.Value);
                },
            }).Result;
            game.PlayAsGuestAsync().Wait();
            for (int score = 1; score <= 5; score++) game.SubmitAsync(score).Wait();
            game.FlushAsync().Wait();
            game.CloseAsync().Wait();
            context.Play();
        });
        thread.Start();
        thread.Join();
        return Json.Of("there", there, "heard", heard);
    }

    sealed class Frames : SynchronizationContext
    {
        readonly ConcurrentQueue<Action> _posted = new ConcurrentQueue<Action>();

        public override void Post(SendOrPostCallback callback, object state)
        {
            _posted.Enqueue(() => callback(state));
        }

        public void Play()
        {
            Action action;
            while (_posted.TryDequeue(out action)) action();
        }
    }

    static IDictionary<string, object> Members(Json session)
    {
        return new Dictionary<string, object>
        {
            { "user_id", session["user_id"] }, { "score", session["score"] }, { "key", session["key"] },
        };
    }

    static object Who(User user)
    {
        return user == null ? null : Json.Of("user_id", user.UserId, "username", user.Username, "guest", user.Guest);
    }

    static Json Seen(Page page)
    {
        return Json.Of("board", page.Board, "total_players", page.TotalPlayers, "next_cursor", page.NextCursor,
            "rows", page.Rows.Select(row => Json.Of("user_id", row.UserId, "username", row.Username, "rank", row.Rank, "score", row.Score)));
    }

    static Json Seen(Result result)
    {
        return Json.Of("key", result.Key, "user_id", result.UserId, "total_score", result.TotalScore, "rank", result.Rank,
            "held", result.Held, "repeated", result.Repeated, "standings", result.Standings);
    }

    static void Tell(string name, Json what)
    {
        Print(Json.Of("told", name, "what", what));
    }

    static void Print(Json line)
    {
        lock (Submissions)
        {
            Console.WriteLine(line);
            Console.Out.Flush();
        }
    }
}
