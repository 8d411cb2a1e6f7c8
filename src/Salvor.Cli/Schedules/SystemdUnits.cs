namespace Salvor.Cli.Schedules;

/// <summary>
/// Units for systemd: the daemon, and a service with a timer for each job. Timers only time: nothing here runs a job when a timer is
/// started, or at boot because it is enabled.
/// </summary>
static class SystemdUnits
{
    /// <summary>
    /// What the services may do. <c>MemoryDenyWriteExecute</c> is missing because the runtime compiles, and <c>ProtectProc</c> because who
    /// has a database open is found out in <c>/proc</c>.
    /// </summary>
    const string Hardening = """
        NoNewPrivileges=yes
        CapabilityBoundingSet=
        AmbientCapabilities=
        ProtectSystem=strict
        ProtectHome=read-only
        PrivateTmp=yes
        PrivateDevices=yes
        ProtectClock=yes
        ProtectControlGroups=yes
        ProtectHostname=yes
        ProtectKernelLogs=yes
        ProtectKernelModules=yes
        ProtectKernelTunables=yes
        LockPersonality=yes
        RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
        RestrictNamespaces=yes
        RestrictRealtime=yes
        RestrictSUIDSGID=yes
        RemoveIPC=yes
        SystemCallArchitectures=native
        SystemCallFilter=@system-service
        SystemCallFilter=~@privileged @resources
        SystemCallErrorNumber=EPERM
        UMask=0077
        """;

    public static IReadOnlyList<ScheduleFile> Make(ScheduleSettings settings) =>
    [
        new("salvor.service", Daemon(settings)),
        .. ScheduledJob.All.SelectMany(job => (ScheduleFile[])
        [
            new($"salvor-{job.Name}.service", Service(settings, job)), new($"salvor-{job.Name}.timer", Timer(job)),
        ]),
        new("notify-failure@.service", NotifyFailure(settings)),
    ];

    static string Daemon(ScheduleSettings settings) => $"""
        [Unit]
        Description=Salvor: continuous backup of databases
        Documentation=man:salvor(1)
        Wants=network-online.target
        After=network-online.target local-fs.target
        #OnFailure=notify-failure@%n.service

        [Service]
        Type=notify
        ExecStart={settings.Program} daemon --config {settings.Config}
        ExecReload=/bin/kill -HUP $MAINPID
        Restart=on-failure
        RestartSec=5
        # A mistake in the configuration does not go away by itself.
        RestartPreventExitStatus=2
        # It says every half minute that it works.
        WatchdogSec=180
        # The last commits become durable first.
        TimeoutStopSec=90
        LimitNOFILE=1048576
        RuntimeDirectory=salvor
        RuntimeDirectoryMode=0700
        {Access(settings)}

        [Install]
        WantedBy=multi-user.target

        """;

    static string Service(ScheduleSettings settings, ScheduledJob job) => $"""
        [Unit]
        Description=Salvor: {job.Purpose}
        Documentation=man:salvor(1)
        After=network-online.target{(job.After is { } earlier ? $" salvor-{earlier}.service" : "")}
        #OnFailure=notify-failure@%n.service

        [Service]
        Type=oneshot
        ExecStart={settings.LineOf(job)}
        {Access(settings)}

        """;

    static string Timer(ScheduledJob job) => $"""
        [Unit]
        Description=Salvor: {job.Purpose}, by the clock

        [Timer]
        OnCalendar={job.Time.Calendar}
        Persistent=true
        RandomizedDelaySec={job.Spread.TotalSeconds:0}

        [Install]
        WantedBy=timers.target

        """;

    /// <summary>Whoever reads the marks that the daemon leaves beside a database has to be the daemon's user.</summary>
    static string Access(ScheduleSettings settings) => $"""
        # The user who owns the databases; the folders of databases and of local destinations. The same in all units: 'salvor init' writes
        # a drop-in for each, or do it with 'systemctl edit'.
        User={settings.User}
        Group={settings.User}
        ReadWritePaths=-/var/lib/salvor -/var/backups/salvor
        {Hardening}
        """;

    static string NotifyFailure(ScheduleSettings settings) => $"""
        # Tells by the notifiers of the configuration that a unit failed. Remove the # in front of OnFailure in the others, and try it with
        # 'systemctl start notify-failure@salvor.service'. Variables that the configuration needs come from the same file as the daemon's.
        [Unit]
        Description=Tell that %i failed
        After=network-online.target

        [Service]
        Type=oneshot
        ExecStart={settings.Program} notify unit-failed %i --config {settings.Config}
        EnvironmentFile=-/etc/salvor/environment
        # The end of the journal goes into the message.
        SupplementaryGroups=systemd-journal
        TimeoutStartSec=120
        {Access(settings)}

        """;
}
