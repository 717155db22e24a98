#!/bin/sh
# PID 1 of the nsplay image: from an empty root to an address and a shell.
#
# Every process started here costs about 10 ms in an emulated guest, so what the
# shell can do by itself (read, case, parameter expansion) it does by itself, and
# nothing sleeps: what has to be waited for runs in the background.

export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# The kernel command line: nsplay.node=NAME nsplay.server=ADDRESS nsplay.run=PATH
# BOOTIF=01-MAC.
node='' server='' run='' bootif=''
read -r cmdline </proc/cmdline
for word in $cmdline; do
    case $word in
        nsplay.node=?*) node=${word#*=} ;;
        nsplay.server=?*) server=${word#*=} ;;
        nsplay.run=?*) run=${word#*=} ;;
        BOOTIF=?*) bootif=${word#*=} ;;
    esac
done
echo "${node:-node}" >/proc/sys/kernel/hostname

# Where a person may be looking: every console of the kernel, the screen, and the
# first serial port if there is one (type 0 means no chip behind the name).
consoles=''
read -r active </sys/class/tty/console/active
for console in $active tty1 ttyS0; do
    [ "$console" = tty0 ] && console=tty1
    case " $consoles " in *" $console "*) continue ;; esac
    type=1
    [ -e "/sys/class/tty/$console/type" ] && read -r type <"/sys/class/tty/$console/type"
    [ "$type" != 0 ] && [ -c "/dev/$console" ] && consoles="$consoles $console"
done

cat >/run/nsplay.env <<END
node='$node'
server='$server'
run='$run'
bootif='$bootif'
consoles='$consoles'
END

say() {
    for console in $consoles; do echo "nsplay: $*" >"/dev/$console"; done
}

# Network drivers first, and only those of the cards that are here (PCI class 02).
aliases=''
for device in /sys/bus/pci/devices/*; do
    read -r class <"$device/class"
    case $class in
        0x02*) read -r alias <"$device/modalias" && aliases="$aliases $alias" ;;
    esac
done
# virtio_pci only makes a virtio device appear; the card's own driver comes after.
case $aliases in *v00001AF4*) aliases="$aliases virtio_net" ;; esac
[ -n "$aliases" ] && modprobe -a -q $aliases

# DHCP on every real card at once; the script says "up" into this pipe.
mkfifo /run/up
exec 3<>/run/up
cards=''
for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    card=${card##*/}
    cards="$cards $card"
    /etc/nsplay/dhcp start "$card" &
done

# While the link comes up and DHCP answers: the other drivers, then what needs them.
# shellcheck disable=SC2046
{
    exec 3<&-
    modprobe -a -q button evdev
    for event in /sys/class/input/event*; do
        read -r name <"$event/device/name"
        [ "$name" = 'Power Button' ] && /etc/nsplay/power-button "/dev/input/${event##*/}" &
    done
    modprobe -a -q $(cat /sys/bus/pci/devices/*/modalias /sys/bus/acpi/devices/*/modalias)
    [ -d /sys/bus/virtio ] && modprobe -a -q $(cat /sys/bus/virtio/devices/*/modalias)
    # What is on a controller appears later than the controller.
    [ -d /sys/module/scsi_mod ] && modprobe -a -q sd_mod sr_mod
    # Without an interface to a BMC there is nothing for them to do.
    [ -d /sys/module/ipmi_si ] && modprobe -a -q ipmi_devintf ipmi_watchdog
    ip link set lo up
} >/dev/null 2>&1 &

{
    echo '::ctrlaltdel:/sbin/reboot'
    for console in $consoles; do echo "$console::respawn:-/bin/sh"; done
} >/etc/inittab

# A banner above the first prompt is worth a short wait; a shell is worth more.
if [ -z "$cards" ]; then
    say "${node:-node}: no network card that this image has a driver for"
elif ! read -r -t 5 _ <&3; then
    say "${node:-node}: no DHCP answer yet on$cards; still trying"
fi
exec 3<&-
exec init
