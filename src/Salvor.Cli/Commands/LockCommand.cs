using System.CommandLine;
using System.Text.Json;
using Salvor.Cli.Terminal;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

static class LockCommand
{
    static readonly VaultOptions Vault = new();

    public static Command Create()
    {
        var show = new Command("show", "Print who may write to a vault, and whether that process is alive.");
        Vault.AddTo(show);
        return new Command("lock", "Print who may write to a vault.") { show.WithAction(RunAsync) };
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var bodies = new List<LockBody>();
        foreach (var place in await VaultPlace.FindAllAsync(Vault, invocation))
        {
            var lease = await WriterLease.FindAsync(place.Vault, invocation.Cancellation);
            var body = BodyOf(place, lease, invocation.Time.GetUtcNow());
            Print(invocation, body);
            bodies.Add(body);
        }

        invocation.PrintJson(new LockDocument(bodies), () => CliJson.Default.LockDocument);
        return 0;
    }

    public static LockBody BodyOf(VaultPlace place, WriterLease? lease, DateTimeOffset now)
    {
        var state = lease?.StateSeenBy(ProcessIdentity.Current(), now);
        var local = LockFile.HolderOf(place.LockPath);
        return new LockBody(
            place.Vault.Identity.Source,
            place.Vault.Location,
            state is { } known ? JsonNamingPolicy.SnakeCaseLower.ConvertName(known.ToString()) : "none",
            lease?.Epoch,
            lease is null ? null : HolderOf(lease.Claim),
            lease?.RenewedAt,
            lease is null ? null : Math.Round(lease.Age(now).TotalSeconds, 3),
            new LocalLockBody(place.LockPath, local is not null, local is null ? null : HolderOf(local)));
    }

    public static void Print(Invocation invocation, LockBody body)
    {
        invocation.Print($"{body.Source} at {body.Location}");
        invocation.Print(body is { Holder: { } holder, State: not "released" }
            ? $"  held by {Describe(holder)}, epoch {body.Epoch}"
            : "  nobody holds it");
        if (body is { Holder: { } last, RenewedAt: { } renewed })
        {
            invocation.Print($"  boot id {last.BootId}, user {last.User}: {last.Command}");
            invocation.Print(
                $"  lease renewed {InstantText.Format(renewed)}, {Age(body.LeaseAgeSeconds!.Value)} ago: {Meaning(body.State, last)}");
        }

        var local = body.Local.Holder is { } owner ? $"held by {Describe(owner)}: {owner.Command}" : "not held";
        invocation.Print($"  local lock {body.Local.Path}: {local}");
    }

    static string Describe(HolderBody holder) => $"pid {holder.Pid} on host {holder.Host} since {InstantText.Format(holder.Since)}";

    static string Age(double seconds) => DurationText.FormatShort(TimeSpan.FromSeconds(Math.Floor(seconds)));

    static string Meaning(string state, HolderBody holder) => state switch
    {
        "released" => "it said that it stopped; the next writer begins at once",
        "dead" => "it runs no more; the next writer takes over by itself",
        "alive" => $"it runs on this machine, as pid {holder.Pid}",
        "fresh" => $"it counts as alive on {holder.Host} until {DurationText.Format(WriterLease.Term)} after its last renewal",
        "lapsed" => "it missed its renewals; the next writer takes over by itself",
        _ => "it is this process",
    };

    static HolderBody HolderOf(ClaimRecord claim) =>
        new(claim.Host, claim.BootId, claim.Pid, claim.StartTicks, claim.User, claim.Command, claim.Since, claim.Version);

    static HolderBody HolderOf(LockHolder holder) =>
        new(holder.Host, holder.BootId, holder.Pid, holder.StartTicks, holder.User, holder.Command, holder.Since, holder.Version);
}
