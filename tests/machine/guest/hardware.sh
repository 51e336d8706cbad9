#!/bin/sh
# A PCA9685 on /dev/i2c-1 (kernel/i2c-pca9685-sim.c), and a Pi's 54 pins (the kernel's gpio-sim).
set -eu
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
modprobe i2c-pca9685-sim
chip=/sys/kernel/config/gpio-sim/header
mkdir -p $chip/bank
echo 54 >$chip/bank/num_lines
echo pinctrl-bcm2835 >$chip/bank/label
echo 1 >$chip/live
