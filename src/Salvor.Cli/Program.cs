using Salvor.Cli.Terminal;

return await CommandLine.RunAsync(args, TimeProvider.System, new Random());
