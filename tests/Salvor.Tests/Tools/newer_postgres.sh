#!/usr/bin/env bash
# newer_postgres.sh MAJOR PLACE: has programs of a version of PostgreSQL in PLACE/usr/lib/postgresql/MAJOR/bin that this Debian does
# not have. They are those of a newer Debian with their own libraries, so they run beside whatever is installed.
set -euo pipefail

major=$1 place=$2
declare -A suites=([17]=trixie [18]=sid)
[[ ! -d $place ]] || exit 0

command -v debootstrap > /dev/null && command -v patchelf > /dev/null \
    || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap patchelf > /dev/null
echo "installing postgresql-$major..." >&2
mkdir -p "$(dirname "$place")"
new=$(mktemp -d "$(dirname "$place")/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
debootstrap --variant=minbase --include="postgresql-$major" "${suites[$major]}" "$new/system" http://deb.debian.org/debian > "$new/log" \
    || { tail -5 "$new/log" >&2; exit 1; }

files=$new/files bin=usr/lib/postgresql/$major/bin lib=usr/lib/postgresql/$major/lib
mkdir -p "$files/lib" "$files/usr/lib/postgresql" "$files/usr/share/postgresql"
cp -a "$new/system/usr/lib/postgresql/$major" "$files/usr/lib/postgresql/"
cp -a "$new/system/usr/share/postgresql/$major" "$files/usr/share/postgresql/"
cp -L "$new/system/lib64/ld-linux-x86-64.so.2" "$files/lib/"
for file in "$files/$bin"/* "$files/$lib"/*.so; do
    chroot "$new/system" ldd "/${file#"$files/"}" 2> /dev/null | awk '/=> \//{print $3}' || true
done | sort -u | while read -r library; do
    cp -L "$new/system$library" "$files/lib/"
done

# Where a program looks for its libraries is written in it, for those too that its libraries take.
for file in "$files/$bin"/*; do
    patchelf --set-interpreter "$place/lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$place/lib" "$file" 2> /dev/null || true
done
patchelf --force-rpath --set-rpath "$place/lib" "$files/$lib"/*.so
chmod -R a+rX "$files"
mv -T "$files" "$place"
"$place/$bin/postgres" -V >&2
