using System.Diagnostics;
using System.Text.Json;
using Salvor.Platform;

namespace Salvor.Jobs.Notify;

/// <summary>What systemd says of a unit that failed: how it ended, and the end of its journal.</summary>
static class UnitFailure
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    const int OutputCharsMax = 64 << 10;
    const int NameLengthMax = 256;

    /// <summary>A unit that a timer starts every five minutes fails as often; so often is it told again.</summary>
    static readonly TimeSpan Again = TimeSpan.FromHours(1);

    /// <summary>Whether the failure of a unit is to be told, and was not within the last hour; from now on it was.</summary>
    public static bool IsNew(string? directory, string unit, DateTimeOffset now)
    {
        if (directory is null)
        {
            return true;
        }

        var path = Path.Combine(directory, "units.json");
        var told = JsonMark.TryRead(path, NotifyJson.Default.DictionaryStringDateTimeOffset) ?? [];
        if (told.TryGetValue(unit, out var last) && last <= now && now - last < Again)
        {
            return false;
        }

        told = told.Where(item => now - item.Value < Again).ToDictionary();
        told[unit] = now;
        try
        {
            NotifyState.Ensure(directory);
            DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(told, NotifyJson.Default.DictionaryStringDateTimeOffset));
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            // Told too often is better than not at all.
            return true;
        }

        return true;
    }

    /// <summary>The message. A part that cannot be had is left out: that it failed is what matters.</summary>
    public static async Task<NotifyMessage> MessageAsync(
        string unit, string process, TimeProvider time, CancellationToken cancellationToken)
    {
        if (unit.Length is 0 or > NameLengthMax || unit[0] == '-'
            || !unit.All(c => char.IsAsciiLetterOrDigit(c) || c is ':' or '_' or '.' or '\\' or '@' or '-'))
        {
            throw new SalvorException(
                FailureKind.Usage, $"\"{unit}\" is not the name of a unit",
                "Write it as systemd does: 'salvor notify unit-failed salvor-verify.service'.");
        }

        var shown = await RunAsync("systemctl", ["show", unit, "--property=Result,ExecMainStatus"], time, cancellationToken);
        var log = await RunAsync(
            "journalctl", ["--unit", unit, "--lines", $"{LogTail.LinesMax}", "--no-pager", "--quiet", "--output", "short-iso"], time,
            cancellationToken);
        var tail = new LogTail(Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, time);
        foreach (var line in log.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            tail.Add(line);
        }

        var now = time.GetUtcNow();
        return new()
        {
            Kind = NotifyKind.Failure,
            Of = NotifyKind.Failure,
            Problem = "unit_failed",
            Source = $"unit {unit}",
            What = "failed",
            Text = $"unit {unit} failed{How(shown)}",
            Hint = $"Run 'journalctl -u {unit}', then 'salvor status' and 'salvor doctor'.",
            Host = Environment.MachineName,
            Run = NotifyState.RunOf(process, now),
            At = now,
            Log = tail.Lines,
        };
    }

    static string How(string shown)
    {
        var said = shown.Split('\n').Select(line => line.Split('=', 2)).Where(pair => pair.Length == 2 && pair[1].Length > 0)
            .ToDictionary(pair => pair[0], pair => pair[1]);
        var status = said.GetValueOrDefault("ExecMainStatus", "0");
        return said.GetValueOrDefault("Result") is { } result and not "success"
            ? $": {result}{(status == "0" ? "" : $", with {status}")}"
            : "";
    }

    /// <summary>What a program printed, bounded in length and time; empty where it is not there or does not work.</summary>
    static async Task<string> RunAsync(string program, string[] arguments, TimeProvider time, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Limit, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
        };
        Process? process = null;
        try
        {
            process = Process.Start(start)!;
            process.StandardInput.Close();
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            var buffer = new char[OutputCharsMax];
            var length = await process.StandardOutput.ReadBlockAsync(buffer, linked.Token);
            return new string(buffer, 0, length);
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // No systemd here, or it does not answer.
            return "";
        }
        finally
        {
            if (process is { HasExited: false })
            {
                process.Kill(entireProcessTree: true);
            }

            process?.Dispose();
        }
    }
}
