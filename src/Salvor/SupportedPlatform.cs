// inotify, POSIX locks and /proc are Linux's; other systems get their own platform layer when they are supported.
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
