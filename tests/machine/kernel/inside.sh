#!/bin/sh
# The part of build.sh that runs in a root file system of its own. $1: how many processors.
set -eu
cd /root
tar -xf /usr/src/linux-source-*.tar.xz
cd linux-source-*/
make ARCH=um defconfig
scripts/kconfig/merge_config.sh -m -O . .config /root/uml.config
make ARCH=um olddefconfig
make -j"$1" ARCH=um linux modules
mkdir -p /root/pca9685 && cp /root/i2c-pca9685-sim.c /root/pca9685/
echo 'obj-m := i2c-pca9685-sim.o' >/root/pca9685/Makefile
make ARCH=um M=/root/pca9685 modules
strip -o /root/linux-uml linux
make ARCH=um INSTALL_MOD_PATH=/root/tree INSTALL_MOD_STRIP=1 modules_install
make ARCH=um M=/root/pca9685 INSTALL_MOD_PATH=/root/tree INSTALL_MOD_STRIP=1 modules_install
rm -f /root/tree/lib/modules/*/build /root/tree/lib/modules/*/source
tar -C /root/tree/lib/modules -cf /root/modules.tar .
