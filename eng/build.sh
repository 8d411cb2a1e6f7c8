# What ./salvor and ./test share. Sourced, with $root set to the folder of the checkout.

stamp=$root/artifacts/build.stamp

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false

# Services often have no home, and the SDK does not build without one.
export HOME="${HOME:-$root/artifacts/home}"

# Succeeds where a build is due: none exists, or a file (or a folder: something was removed) is newer than its beginning.
build_is_due() {
    [[ ! -f $stamp || ! -f $cli ]] \
        || [[ -n $(find "$root/src" "$root"/*.props "$root/global.json" -newer "$stamp" -print -quit) ]]
}

# build PROJECT: in Release. One at a time, because two builds of one folder break each other.
build() {
    command -v dotnet > /dev/null || {
        echo "salvor: the .NET SDK is not installed" >&2
        echo "hint: Install .NET SDK 10, see https://dotnet.microsoft.com/download." >&2
        return 1
    }

    mkdir -p "$root/artifacts" "$HOME" || return
    (
        flock 9 || exit
        if [[ ${2:-} == if-due ]] && ! build_is_due; then
            exit 0
        fi

        # The stamp says when the build began: what is saved meanwhile is newer and gets the next build. Nothing may stay behind
        # that holds our output open, hence no build servers.
        # Each line says how it fails, because a caller's "build || .." switches errexit off in here.
        : > "$stamp.new" || exit
        cd "$root" || exit
        dotnet build "$1" -c Release -v quiet -nologo -nodeReuse:false -p:UseSharedCompilation=false \
            > "$root/artifacts/build.log" 2>&1 9>&- || { cat "$root/artifacts/build.log" >&2; exit 1; }
        mv "$stamp.new" "$stamp"
    ) 9> "$root/artifacts/build.lock"
}

# publish DIR ARTIFACTS: into DIR what is shipped: with its own runtime, and compiled ahead for this kind of machine.
publish() {
    dotnet publish "$root/src/Salvor.Cli" -c Release -r linux-x64 --self-contained -v quiet -nologo -nodeReuse:false \
        -p:UseSharedCompilation=false -p:RunAnalyzers=false -p:DebugType=none -p:ArtifactsPath="$2" -o "$1" >&2
}

# install_packages NAME..: from Debian, as root; otherwise says how.
install_packages() {
    local command="apt-get install -y --no-install-recommends $*"
    if [[ $EUID -ne 0 ]] || ! command -v apt-get > /dev/null; then
        echo "salvor: missing: $*" >&2
        echo "hint: Run 'sudo apt-get update && sudo $command'." >&2
        return 1
    fi

    echo "installing $*..." >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 < /dev/null || return
    # shellcheck disable=SC2086
    $command -qq >&2 < /dev/null
}
