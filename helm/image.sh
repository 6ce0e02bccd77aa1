#!/bin/sh
# image.sh BINARY FOLDER: lays out in FOLDER all that a container needs to run BINARY, and nothing else: the binary,
# the libraries that it names, authorities for TLS, how names are looked up, and a user who is nobody.
set -eu
binary=$1 root=$2
mkdir -p "$root/etc/ssl/certs" "$root/var/lib/staffetta"
cp "$binary" "$root/staffetta"
ldd "$binary" | sed -n 's|.*[[:space:]]\(/[^ ]*\) (0x.*|\1|p' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
echo 'nobody:x:65532:65532::/:/none' > "$root/etc/passwd"
echo 'nobody:x:65532:' > "$root/etc/group"
chown 65532:65532 "$root/var/lib/staffetta"
