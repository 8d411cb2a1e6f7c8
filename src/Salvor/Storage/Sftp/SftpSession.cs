using System.Text;

namespace Salvor.Storage.Sftp;

/// <summary>What a call was answered with; the value is there where the status is <see cref="SftpStatus.Ok"/>.</summary>
readonly record struct SftpAnswer<T>(SftpStatus Status, T Value, string Message)
{
    public bool IsOk => Status == SftpStatus.Ok;
}

/// <summary>An open file or directory, by the name that the server gave it.</summary>
sealed record SftpHandle(byte[] Bytes);

/// <summary>How much room a file system has.</summary>
/// <param name="FreeBytes">What ordinary users may still use.</param>
/// <param name="FileSystemId">Which file system it is, as long as the server runs.</param>
/// <param name="IsReadOnly">Whether it is mounted so.</param>
readonly record struct SftpSpace(ulong FreeBytes, ulong FileSystemId, bool IsReadOnly);

/// <summary>
/// The calls of SFTP, typed, each one request. Calls that are made in a row without waiting travel together and are carried out in that
/// order. All throw <see cref="SftpEndedException"/> where the connection ends first.
/// </summary>
sealed class SftpSession
{
    const string FlushExtension = "fsync@openssh.com";
    const string LinkExtension = "hardlink@openssh.com";
    const string ReplaceExtension = "posix-rename@openssh.com";
    const string SpaceExtension = "statvfs@openssh.com";
    const string LimitsExtension = "limits@openssh.com";

    /// <summary>What every server must take, and what OpenSSH's takes: its longest packet less 1 KiB.</summary>
    const int DataBytesDefault = 32 * 1024, DataBytesMax = SftpConnection.PacketBytesMax - 1024;

    const uint OpenRead = 1, OpenWrite = 2, OpenCreate = 8, OpenExclusive = 32;
    const uint OwnerOnlyFile = 0b110_000_000, OwnerOnlyDirectory = 0b111_000_000;

    readonly SftpConnection connection;
    readonly IReadOnlySet<string> extensions;

    SftpSession(SftpConnection connection, IReadOnlySet<string> extensions)
    {
        (this.connection, this.extensions) = (connection, extensions);
    }

    public bool IsAlive => connection.IsAlive;

    /// <summary>Whether <see cref="FlushAsync"/> can be called.</summary>
    public bool CanFlush => extensions.Contains(FlushExtension);

    /// <summary>Whether <see cref="LinkAsync"/> can be called.</summary>
    public bool CanLink => extensions.Contains(LinkExtension);

    /// <summary>Whether <see cref="ReplaceAsync"/> can be called.</summary>
    public bool CanReplace => extensions.Contains(ReplaceExtension);

    /// <summary>Whether <see cref="SpaceAsync"/> can be called.</summary>
    public bool KnowsSpace => extensions.Contains(SpaceExtension);

    /// <summary>The most that one <see cref="ReadAsync"/> and one <see cref="WriteAsync"/> take.</summary>
    public int ReadBytesMax { get; private set; } = DataBytesDefault;

    /// <inheritdoc cref="ReadBytesMax"/>
    public int WriteBytesMax { get; private set; } = DataBytesDefault;

    public static async Task<SftpSession> OpenAsync(ISftpTransport transport, TimeProvider time, TimeSpan within)
    {
        var (connection, extensions) = await SftpConnection.OpenAsync(transport, time, within);
        var session = new SftpSession(connection, extensions);
        if (extensions.Contains(LimitsExtension))
        {
            await session.AskLimitsAsync();
        }

        return session;
    }

    /// <summary>Creates a file that does not exist, for its owner only.</summary>
    public Task<SftpAnswer<SftpHandle>> CreateAsync(string path, CancellationToken cancellationToken) =>
        HandleAsync(
            Request(SftpPacketType.Open, path, 3 * sizeof(uint)).Add(OpenWrite | OpenCreate | OpenExclusive)
                .Add(SftpAttributes.HasPermissions).Add(OwnerOnlyFile),
            cancellationToken);

    /// <summary>Opens a file to be read, or a directory to be flushed.</summary>
    public Task<SftpAnswer<SftpHandle>> OpenAsync(string path, CancellationToken cancellationToken) =>
        HandleAsync(Request(SftpPacketType.Open, path, 2 * sizeof(uint)).Add(OpenRead).Add(0u), cancellationToken);

    public Task<SftpAnswer<SftpHandle>> OpenDirectoryAsync(string path, CancellationToken cancellationToken) =>
        HandleAsync(Request(SftpPacketType.OpenDirectory, path), cancellationToken);

    /// <summary>Closes without waiting for the answer: who needs to know whether content arrived has flushed it.</summary>
    public void Close(SftpHandle handle) => connection.Send(SftpPacket.With(SftpPacketType.Close, handle.Bytes));

    /// <summary>Closes what a call opens that nobody waits for any more.</summary>
    public void CloseWhenOpened(Task<SftpAnswer<SftpHandle>> opening) => opening.ContinueWith(
        opened =>
        {
            if (opened is { IsCompletedSuccessfully: true, Result.IsOk: true })
            {
                Close(opened.Result.Value);
            }
        },
        TaskScheduler.Default);

    /// <summary>Closes and tells how it went, for servers that write late and cannot flush.</summary>
    public Task<SftpAnswer<bool>> CloseAsync(SftpHandle handle, CancellationToken cancellationToken) =>
        StatusAsync(SftpPacket.With(SftpPacketType.Close, handle.Bytes), cancellationToken);

    /// <summary>Reads at most <see cref="ReadBytesMax"/>; may return fewer than are there, and none only at the end.</summary>
    public async Task<SftpAnswer<int>> ReadAsync(
        SftpHandle handle, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var packet = SftpPacket.With(SftpPacketType.Read, handle.Bytes, sizeof(ulong) + sizeof(uint))
            .Add((ulong)offset).Add((uint)buffer.Length);
        var reply = await connection.CallAsync(packet, buffer, cancellationToken);
        if (reply.Type == SftpPacketType.Data)
        {
            return new(SftpStatus.Ok, reply.DataBytes, "");
        }

        var answer = Failed<int>(reply);
        return answer.Status == SftpStatus.EndOfFile ? answer with { Status = SftpStatus.Ok } : answer;
    }

    /// <summary>Writes at most <see cref="WriteBytesMax"/>.</summary>
    public Task<SftpAnswer<bool>> WriteAsync(
        SftpHandle handle, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var packet = SftpPacket.With(SftpPacketType.Write, handle.Bytes, sizeof(ulong) + sizeof(uint) + bytes.Length)
            .Add((ulong)offset).Add(bytes.Span);
        return StatusAsync(packet, cancellationToken);
    }

    /// <summary>Makes the content of a file, or the names of a directory, durable.</summary>
    public Task<SftpAnswer<bool>> FlushAsync(SftpHandle handle, CancellationToken cancellationToken) =>
        StatusAsync(Extended(FlushExtension, handle.Bytes), cancellationToken);

    /// <summary>Gives a file a second name; fails where that exists.</summary>
    public Task<SftpAnswer<bool>> LinkAsync(string path, string second, CancellationToken cancellationToken) =>
        StatusAsync(Extended(LinkExtension, Bytes(path), Bytes(second)), cancellationToken);

    /// <summary>Renames, over what has the new name.</summary>
    public Task<SftpAnswer<bool>> ReplaceAsync(string path, string replaced, CancellationToken cancellationToken) =>
        StatusAsync(Extended(ReplaceExtension, Bytes(path), Bytes(replaced)), cancellationToken);

    /// <summary>Renames; must fail where the new name exists, but not every server looks in the same step.</summary>
    public Task<SftpAnswer<bool>> RenameAsync(string path, string renamed, CancellationToken cancellationToken)
    {
        var name = Bytes(renamed);
        return StatusAsync(Request(SftpPacketType.Rename, path, sizeof(uint) + name.Length).Add(name), cancellationToken);
    }

    public Task<SftpAnswer<bool>> RemoveAsync(string path, CancellationToken cancellationToken) =>
        StatusAsync(Request(SftpPacketType.Remove, path), cancellationToken);

    /// <summary>Removes without waiting for the answer.</summary>
    public void Remove(string path) => connection.Send(Request(SftpPacketType.Remove, path));

    /// <summary>Creates a directory for its owner only; fails where it exists.</summary>
    public Task<SftpAnswer<bool>> MakeDirectoryAsync(string path, CancellationToken cancellationToken) =>
        StatusAsync(
            Request(SftpPacketType.MakeDirectory, path, 2 * sizeof(uint)).Add(SftpAttributes.HasPermissions).Add(OwnerOnlyDirectory),
            cancellationToken);

    /// <summary>What is at a path, through symbolic links.</summary>
    public Task<SftpAnswer<SftpAttributes>> StatAsync(string path, CancellationToken cancellationToken) =>
        AttributesAsync(Request(SftpPacketType.Stat, path), cancellationToken);

    /// <summary>What is at a path; a symbolic link is itself.</summary>
    public Task<SftpAnswer<SftpAttributes>> LinkStatAsync(string path, CancellationToken cancellationToken) =>
        AttributesAsync(Request(SftpPacketType.LinkStat, path), cancellationToken);

    /// <summary>The next names of an open directory; <see cref="SftpStatus.EndOfFile"/> after the last.</summary>
    public async Task<SftpAnswer<List<SftpName>>> ReadDirectoryAsync(SftpHandle handle, CancellationToken cancellationToken)
    {
        var reply = await connection.CallAsync(SftpPacket.With(SftpPacketType.ReadDirectory, handle.Bytes), default, cancellationToken);
        return reply.Type == SftpPacketType.Name
            ? new(SftpStatus.Ok, await ParseAsync(reply, NamesOf), "")
            : Failed<List<SftpName>>(reply);
    }

    /// <summary>How much room there is where a path is.</summary>
    public async Task<SftpAnswer<SftpSpace>> SpaceAsync(string path, CancellationToken cancellationToken)
    {
        var reply = await connection.CallAsync(Extended(SpaceExtension, Bytes(path)), default, cancellationToken);
        return reply.Type == SftpPacketType.ExtendedReply
            ? new(SftpStatus.Ok, await ParseAsync(reply, SpaceOf), "")
            : Failed<SftpSpace>(reply);
    }

    async Task AskLimitsAsync()
    {
        var reply = await connection.CallAsync(Extended(LimitsExtension), default, CancellationToken.None);
        if (reply.Type == SftpPacketType.ExtendedReply)
        {
            (ReadBytesMax, WriteBytesMax) = await ParseAsync(reply, LimitsOf);
        }
    }

    async Task<SftpAnswer<bool>> StatusAsync(SftpPacket packet, CancellationToken cancellationToken) =>
        Failed<bool>(await connection.CallAsync(packet, default, cancellationToken));

    async Task<SftpAnswer<SftpHandle>> HandleAsync(SftpPacket packet, CancellationToken cancellationToken)
    {
        var reply = await connection.CallAsync(packet, default, cancellationToken);
        return reply.Type == SftpPacketType.Handle
            ? new(SftpStatus.Ok, new(await ParseAsync(reply, content => new SftpPacketReader(content).ReadBytes().ToArray())), "")
            : Failed<SftpHandle>(reply);
    }

    async Task<SftpAnswer<SftpAttributes>> AttributesAsync(SftpPacket packet, CancellationToken cancellationToken)
    {
        var reply = await connection.CallAsync(packet, default, cancellationToken);
        return reply.Type == SftpPacketType.Attributes
            ? new(SftpStatus.Ok, await ParseAsync(reply, content => new SftpPacketReader(content).ReadAttributes()), "")
            : Failed<SftpAttributes>(reply);
    }

    delegate T Parser<out T>(ReadOnlySpan<byte> content);

    /// <summary>An answer that cannot be understood ends the connection, as one that comes unasked does.</summary>
    async Task<T> ParseAsync<T>(SftpReply reply, Parser<T> parse)
    {
        try
        {
            return parse(reply.Content.Span);
        }
        catch (SftpProtocolException e)
        {
            throw new SftpEndedException(await connection.BreakAsync(e));
        }
    }

    static SftpAnswer<T> Failed<T>(SftpReply reply)
    {
        var reader = new SftpPacketReader(reply.Content.Span);
        if (reply.Type != SftpPacketType.Status || reply.Content.Length < sizeof(uint))
        {
            return new(SftpStatus.BadMessage, default!, $"an answer of type {(byte)reply.Type} that was not expected");
        }

        var status = (SftpStatus)reader.ReadUInt32();
        return new(status, default!, reader.IsAtEnd ? "" : MessageOf(reply.Content.Span[sizeof(uint)..]));
    }

    /// <summary>A server's words, as they can be shown.</summary>
    static string MessageOf(ReadOnlySpan<byte> content)
    {
        const int LengthMax = 200;
        var length = (int)Math.Min(new SftpPacketReader(content).ReadUInt32(), (uint)Math.Min(content.Length - sizeof(uint), LengthMax));
        return string.Concat(Encoding.UTF8.GetString(content.Slice(sizeof(uint), length)).Where(c => !char.IsControl(c)));
    }

    static List<SftpName> NamesOf(ReadOnlySpan<byte> content)
    {
        var reader = new SftpPacketReader(content);
        var names = new List<SftpName>();
        for (var rest = reader.ReadUInt32(); rest > 0; rest--)
        {
            var name = reader.ReadText();
            reader.ReadBytes();
            names.Add(new(name, reader.ReadAttributes()));
        }

        return names;
    }

    /// <summary>
    /// As <c>struct statvfs</c>: sizes of block and fragment; fragments in all, free, for users; three of files; id, flags.
    /// </summary>
    static SftpSpace SpaceOf(ReadOnlySpan<byte> content)
    {
        var reader = new SftpPacketReader(content);
        Span<ulong> fields = stackalloc ulong[10];
        foreach (ref var field in fields)
        {
            field = reader.ReadUInt64();
        }

        return new(unchecked(fields[1] * fields[4]), FileSystemId: fields[8], IsReadOnly: (fields[9] & 1) != 0);
    }

    /// <summary>Longest packet, read and write; 0 where there is no limit.</summary>
    static (int Read, int Write) LimitsOf(ReadOnlySpan<byte> content)
    {
        var reader = new SftpPacketReader(content);
        reader.ReadUInt64();
        return (Limit(reader.ReadUInt64()), Limit(reader.ReadUInt64()));

        static int Limit(ulong told) => told is 0 or > DataBytesMax ? DataBytesMax : Math.Max((int)told, DataBytesDefault);
    }

    static SftpPacket Request(SftpPacketType type, string path, int moreBytes = 0) => SftpPacket.With(type, Bytes(path), moreBytes);

    static SftpPacket Extended(string name, params ReadOnlySpan<byte[]> arguments)
    {
        var bytes = 0;
        foreach (var argument in arguments)
        {
            bytes += sizeof(uint) + argument.Length;
        }

        var packet = SftpPacket.With(SftpPacketType.Extended, Bytes(name), bytes);
        foreach (var argument in arguments)
        {
            packet.Add(argument);
        }

        return packet;
    }

    static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
