#!/bin/sh
# Builds the guest's kernel from Debian's package linux-source: User-Mode Linux, a kernel that is an
# ordinary program of this computer, with the PCA9685's model as a module.
#   build.sh FOLDER   leaves linux-uml and modules.tar in FOLDER; needs mmdebstrap and root
# About 11 processor minutes and 4 GB below $TMPDIR; JOBS=1 takes one processor.
set -eu
suite=trixie
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)

# The kernel of the stable suite can do it too, but only from 6.16 on is it quick (seccomp).
backports="s/^\\(deb .*\\) $suite main.*/\\1 $suite-backports main/p"
exec mmdebstrap --quiet --variant=minbase --format=null \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --include=gcc,libc6-dev,make,flex,bison,bc,perl-base,xz-utils,kmod \
    --include="linux-source/$suite-backports" \
    --setup-hook="sed -n '$backports' \"\$1/etc/apt/sources.list\" \
        > \"\$1/etc/apt/sources.list.d/backports.list\"" \
    --customize-hook="copy-in '$here/uml.config' '$here/i2c-pca9685-sim.c' \
        '$here/inside.sh' /root" \
    --customize-hook="chroot \"\$1\" sh /root/inside.sh ${JOBS:-$(nproc)}" \
    --customize-hook="copy-out /root/linux-uml /root/modules.tar '$out'" \
    "$suite" /dev/null
