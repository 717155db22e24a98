#!/bin/sh
# On a host that is thrown away: a package with a server in it, made here, is what `doctor --fix` installs.
set -eu
# This host has come up, as far as Debian's scripts are concerned.
export RUNLEVEL=2 PREVLEVEL=N
mkdir -p /run/deb/DEBIAN /run/deb/usr/bin /run/deb/etc/init.d /run/repository
cd /run/deb
cat >DEBIAN/control <<'END'
Package: swtpm
Version: 9999
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: a program, and a server that comes with it
END
cat >etc/init.d/served <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides: served
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
[ "$1" != start ] || touch /run/served
END
# As debhelper writes it.
cat >DEBIAN/postinst <<'END'
#!/bin/sh
set -e
update-rc.d served defaults >/dev/null
invoke-rc.d served start
END
cat >usr/bin/swtpm <<'END'
#!/bin/sh
echo "TPM emulator version 9999.0.0, of nobody"
END
chmod 755 etc/init.d/served DEBIAN/postinst usr/bin/swtpm
dpkg-deb --build . /run/repository/swtpm.deb >/dev/null
cd /run/repository
{
    dpkg-deb --field swtpm.deb
    echo "Filename: ./swtpm.deb"
    echo "Size: $(stat -c %s swtpm.deb)"
    echo "SHA256: $(sha256sum swtpm.deb | cut -d' ' -f1)"
} >Packages
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/preferences.d/*
echo "deb [trusted=yes] file:/run/repository ./" >/etc/apt/sources.list

# An image takes its time, and is not what this is about.
mkdir -p /var/lib/nsplay/.image

is_there() { if [ -e "$1" ]; then echo yes; else echo no; fi; }
/run/nsplay-tested doctor --fix --yes --json >/run/told
grep -q 9999.0.0 /run/told
echo "installed: $(dpkg-query -f '${Version}' -W swtpm)"
echo "started: $(is_there /run/served)"
echo "enabled: $(find /etc/rc2.d /etc/rc5.d -name 'S*served')"
echo "policy: $(is_there /usr/sbin/policy-rc.d)"
update-rc.d -f served remove
apt-get install -qq --reinstall -y swtpm >/run/log 2>&1 || cat /run/log
echo "by hand: $(is_there /run/served)"
