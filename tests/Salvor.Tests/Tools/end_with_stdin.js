// Loaded before a server that a test run started: whatever ends that run, its end of our input closes, and we end too.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
