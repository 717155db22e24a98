#!/bin/sh
# ipmitool and the like, by the name that this is called by: they and their libraries are
# unpacked at the first use, so that a boot need not wait for what it may never use.
until [ -e /run/programs ]; do
    if mkdir /run/programs.begun 2>/dev/null; then
        gunzip -c /usr/lib/programs.cpio.gz | (cd / && cpio -i -d -u) 2>/dev/null
        : >/run/programs
    else
        usleep 50000
    fi
done
exec "/usr/bin/${0##*/}" "$@"
