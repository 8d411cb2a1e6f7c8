using System.Text.Json.Nodes;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>One replica of Litestream as a destination. It gets a folder of its own beside what Litestream left there.</summary>
static class LitestreamReplica
{
    const string HmacKey = "an HMAC key opens it: set GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY";

    const string Folder = "salvor";

    public static (string Type, JsonObject Keys) Read(OldMapping replica, JsonObject credentials)
    {
        if (replica.Has("age"))
        {
            throw replica.Error(
                "age", $"{replica.PathOf("age")} encrypts what is stored, with keys that cannot be taken over",
                "Remove it, convert, then add encryption: { key_file: FILE } to the source before it is stored anywhere.");
        }

        var url = replica.Text("url");
        var type = replica.Text("type") ?? (url ?? "file://").Split("://")[0];
        replica.Became("type", "type", type == "gs" ? HmacKey : "");
        var rest = url is null ? null : Credentials.Variables(url[(url.IndexOf("://", StringComparison.Ordinal) + 3)..]);
        if (rest is not null)
        {
            replica.Became("url", "the keys of the destination", $"in a folder {Folder} of its own{(type == "gs" ? $"; {HmacKey}" : "")}");
        }

        replica.Became("path", "path or prefix of the destination", $"in a folder {Folder} of its own");
        return type switch
        {
            "file" => ("file", new() { ["type"] = "file", ["path"] = Below(rest ?? Need(replica, "path")) }),
            "s3" => ("s3", ReadS3(replica, rest, credentials)),
            "gs" => ("gcs", ReadGoogle(replica, rest)),
            "abs" => ("azure", ReadAzure(replica, rest)),
            "sftp" => ("sftp", ReadSftp(replica, rest)),
            _ => throw replica.Error(
                url is null ? "type" : "url", $"{replica.PathOf("type")} {type} has no equivalent in this version",
                "Destinations are folders, S3, Google Cloud Storage, Azure Blob Storage and SFTP servers."),
        };
    }

    static JsonObject ReadS3(OldMapping replica, string? rest, JsonObject credentials)
    {
        var (bucket, path) = Cut(rest, replica, "bucket");
        var keys = new JsonObject { ["type"] = "s3", ["bucket"] = bucket, ["prefix"] = Below(path.Trim('/')) };
        foreach (var (old, name) in ((string, string)[])[("region", "region"), ("endpoint", "endpoint"), ("sse-kms-key-id", "kms_key")])
        {
            if (replica.Text(old) is { } text)
            {
                keys[name] = Credentials.Variables(text);
                replica.Became(old, name);
            }
        }

        if (keys.ContainsKey("kms_key"))
        {
            keys["sse"] = "aws:kms";
        }

        if (replica.YesNo("force-path-style") is { } style)
        {
            keys["path_style"] = style;
            replica.Became("force-path-style", "path_style");
        }

        if (replica.YesNo("skip-verify") == true)
        {
            throw replica.Error(
                "skip-verify", $"{replica.PathOf("skip-verify")} turns the check of certificates off, which ours does not do",
                "Let this machine trust the service's certificate ('update-ca-certificates'), and remove the key.");
        }

        replica.Became("skip-verify", "(nothing)", "certificates are always checked");
        replica.Drop("sign-payload", "every request is signed with its content");
        replica.Drop("require-content-md5", "every request is signed with its content");
        replica.Drop("part-size", "no stored object exceeds 16 MiB, so every one is put by one request");
        replica.Drop("concurrency", "uploads are few and small, and go beside each other by themselves");
        Credentials.Take(replica, "access-key-id", keys, "access_key_id", "S3_KEY_ID");
        Credentials.Take(replica, "secret-access-key", keys, "secret_access_key", "S3_SECRET_KEY");
        foreach (var (name, value) in credentials.Where(item => !keys.ContainsKey(item.Key)))
        {
            keys[name] = value!.DeepClone();
        }

        return keys;
    }

    static JsonObject ReadGoogle(OldMapping replica, string? rest)
    {
        var (bucket, path) = Cut(rest, replica, "bucket");
        return new() { ["type"] = "gcs", ["bucket"] = bucket, ["prefix"] = Below(path.Trim('/')) };
    }

    static JsonObject ReadAzure(OldMapping replica, string? rest)
    {
        var account = replica.Text("account-name");
        if (rest is not null && rest.Split('/')[0].IndexOf('@', StringComparison.Ordinal) is > 0 and var at)
        {
            account ??= rest[..at];
            rest = rest[(at + 1)..];
        }

        var (container, path) = Cut(rest, replica, "bucket");
        var keys = new JsonObject { ["type"] = "azure", ["container"] = container, ["prefix"] = Below(path.Trim('/')) };
        if (account is not null)
        {
            keys["account"] = Credentials.Variables(account);
        }

        replica.Became("account-name", "account");
        if (replica.Text("endpoint") is { } endpoint)
        {
            keys["endpoint"] = endpoint;
            replica.Became("endpoint", "endpoint");
        }

        Credentials.Take(replica, "account-key", keys, "account_key", "AZURE_STORAGE_KEY");
        return keys;
    }

    static JsonObject ReadSftp(OldMapping replica, string? rest)
    {
        if (rest?.Split('/')[0].Split('@') is [var login, _] && login.Contains(':'))
        {
            throw replica.Error(
                "url", $"{replica.PathOf("url")} has a password in it",
                "Write it as password: of the replica, and leave it out of the URL.");
        }

        var (host, path) = rest is null ? (Need(replica, "host"), Need(replica, "path")) : Split(rest);
        var user = replica.Text("user");
        if (host.IndexOf('@', StringComparison.Ordinal) is > 0 and var at)
        {
            (user, host) = (user ?? host[..at], host[(at + 1)..]);
        }

        var keys = new JsonObject { ["type"] = "sftp", ["host"] = host.Split(':')[0], ["path"] = Below("/" + path.TrimStart('/')) };
        if (host.Split(':') is [_, var port])
        {
            keys["port"] = port;
        }

        if (user is not null)
        {
            keys["user"] = user;
        }

        if (replica.Text("key-path") is { } key)
        {
            keys["key_file"] = Credentials.Variables(key);
            replica.Became("key-path", "key_file");
        }

        Credentials.Take(replica, "password", keys, "password", "NAS_PASSWORD");
        replica.Became("host", "host");
        replica.Became("user", "user");
        replica.Drop("concurrent-writes", "one connection carries all calls");
        if (replica.Text("host-key") is { } hostKey)
        {
            keys["host_key"] = hostKey;
            replica.Became("host-key", "host_key");
        }

        return keys;
    }

    /// <summary>The bucket and what is below it, from the URL or from keys of their own.</summary>
    static (string Name, string Path) Cut(string? rest, OldMapping replica, string key)
    {
        if (rest is not null)
        {
            return Split(rest);
        }

        replica.Became(key, key);
        return (Need(replica, key), replica.Text("path") ?? "");
    }

    static (string First, string Below) Split(string text) =>
        text.IndexOf('/', StringComparison.Ordinal) is >= 0 and var slash ? (text[..slash], text[(slash + 1)..]) : (text, "");

    static string Need(OldMapping replica, string key) => replica.Text(key) is { } text
        ? Credentials.Variables(text)
        : throw replica.Error(key, $"{replica.PathOf(key)} is missing", "Write it as url: there, or as a key of its own.");

    static string Below(string path) => path.Trim('/').Length == 0 && !path.StartsWith('/') ? Folder : $"{path.TrimEnd('/')}/{Folder}";
}
