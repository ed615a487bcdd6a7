// As much of Unity as the document's script uses, and a scene that plays it.

using System;
using System.IO;
using System.Reflection;
using System.Threading;

namespace UnityEngine
{
    public class Object
    {
        public static void DontDestroyOnLoad(Object target) { }
    }

    public class MonoBehaviour : Object
    {
        public readonly Object gameObject = new Object();
    }

    public static class Application
    {
        public static readonly string persistentDataPath = Directory.GetCurrentDirectory();
    }

    public static class Debug
    {
        public static void Log(object line)
        {
            Console.WriteLine(line);
        }

        public static void LogWarning(object line)
        {
            Console.WriteLine(line);
        }
    }
}

static class Scene
{
    static void Main()
    {
        var scores = new Scores();
        Send(scores, "Awake");
        SpinWait.SpinUntil(() => Scores.Game != null && Scores.Game.User != null, 20000);
        Scores.Game.SubmitAsync(1200).Wait();
        Scores.Game.FlushAsync().Wait();
        Scores.Game.CloseAsync().Wait();
        Send(scores, "OnDestroy");
    }

    static void Send(Scores scores, string message)
    {
        typeof(Scores).GetMethod(message, BindingFlags.Instance | BindingFlags.NonPublic).Invoke(scores, null);
    }
}
