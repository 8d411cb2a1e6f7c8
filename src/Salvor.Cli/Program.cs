using Salvor.Cli.Terminal;
using Salvor.Platform;
using Salvor.Sqlite.Native;

NativeHeap.LimitArenas();
SqliteConnection.ConfigureForManyObservers();
return await CommandLine.RunAsync(args, TimeProvider.System, new Random());
