#!/bin/sh
# Makes a Debian package of a built stark: the commands stark and stark-prof, man pages and completions.
#
#   cargo build --release -p stark -p stark-prof
#   tools/packaging/deb.sh target/release/stark        writes stark_VERSION_ARCH.deb here
#
# Needs dpkg-deb. Equal binaries give equal packages: times come from SOURCE_DATE_EPOCH, else the last commit.
set -eu

stark=${1:?"usage: $0 STARK [FOLDER]"}
out=${2:-.}
version=$("$stark" --version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$(dirname "$0")" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
chmod 755 "$root"
mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/share/doc/stark" "$root/usr/share/bash-completion/completions" \
    "$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
profiler=$(dirname "$stark")/stark-prof
[ -x "$profiler" ] || { echo "$profiler is missing: cargo build --release -p stark-prof" >&2; exit 1; }
install -m 755 "$stark" "$profiler" "$root/usr/bin"
strip --strip-unneeded "$root/usr/bin/stark" "$root/usr/bin/stark-prof"
"$stark" man "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
"$stark" completions bash > "$root/usr/share/bash-completion/completions/stark"
"$stark" completions zsh > "$root/usr/share/zsh/vendor-completions/_stark"
"$stark" completions fish > "$root/usr/share/fish/vendor_completions.d/stark.fish"
here=$(dirname "$0")/../..
{ echo 'STARK is under either of two licences.'; echo; cat "$here/LICENSE-MIT"; echo; cat "$here/LICENSE-APACHE"; } \
    > "$root/usr/share/doc/stark/copyright"

cat > "$root/DEBIAN/control" <<CONTROL
Package: stark
Version: $version
Architecture: $arch
Maintainer: The STARK developers <stark@localhost>
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: libc6, libgcc-s1
Section: devel
Priority: optional
Homepage: https://github.com/starklang/stark
Description: language and virtual machine for AI services
 STARK compiles and runs programs on green threads and actors, loads
 TorchScript, torch.export and ONNX models, and ships a program with its
 models in one file.
CONTROL
dpkg-deb --root-owner-group --build "$root" "$out/stark_${version}_$arch.deb"
