#!/bin/sh
# DHCP on one card. `dhcp start CARD` asks; udhcpc calls back with the event in $1
# and the lease in the environment (interface, ip, mask, router, mtu, dns, domain, hostname).
. /run/nsplay.env

say() {
    for console in $consoles; do echo "nsplay: $*" >"/dev/$console"; done
}

case $1 in
start)
    card=$2
    ip link set "$card" up
    # A question sent before the link is up is lost and repeated a second later
    # (e1000e negotiates for half a second), so the link comes first, for at most 5 s.
    tries=250
    until read -r carrier <"/sys/class/net/$card/carrier" && [ "$carrier" = 1 ]; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || break
        usleep 20000
    done 2>/dev/null
    exec udhcpc -f -i "$card" -s /etc/nsplay/dhcp -O mtu -t 5 -T 1 -A 2 ${node:+-x "hostname:$node"} >/dev/null 2>&1
    ;;

deconfig)
    ip addr flush dev "$interface"
    ;;

bound | renew)
    read -r mac <"/sys/class/net/$interface/address"
    # The card that the machine booted from keeps the default route.
    metric=100
    case $bootif in *-"$(echo "$mac" | tr : -)") metric=10 ;; esac
    # Before there is an address, so that who waits for one has names too. Each card's DNS servers
    # and domain stay, those of the card with the better route first.
    [ -n "$dns" ] && {
        mkdir -p /run/dns /run/domain
        echo "$dns" >"/run/dns/$metric.$interface"
        echo "$domain" >"/run/domain/$metric.$interface"
        {
            domains=$(cat /run/domain/*)
            [ -n "$domains" ] && echo search $domains
            for address in $(cat /run/dns/*); do echo "nameserver $address"; done
        } >/etc/resolv.conf
    }
    [ "$1" = bound ] && ip addr add "$ip/$mask" dev "$interface"
    for gateway in $router; do
        ip route replace default via "$gateway" dev "$interface" metric $metric
        break
    done
    [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
    [ "$1" = renew ] && exit 0

    # A name on the command line was put there on purpose: it wins over DHCP's.
    name=${node:-${hostname:-node}}
    echo "$name" >/proc/sys/kernel/hostname
    read -r kernel </proc/sys/kernel/osrelease
    read -r uptime _ </proc/uptime
    say "$name is up: $ip ($mac), kernel $kernel, ${uptime%?} s"
    # Opened for both directions, because a pipe that nobody reads would block.
    echo "$interface" 1<>/run/up
    # The answer does not matter, the line in the lab's access log does. No -T: with it
    # Debian's busybox 1.35.0 dies of a segmentation fault.
    [ -n "$server" ] && wget -q -O /dev/null "http://$server/nsplay/hello?node=$name&address=$ip&mac=$mac" >/dev/null 2>&1 &
    # What the lab gives this node to do, once, whichever card is up first.
    if [ -n "$server" ] && [ -n "$run" ] && mkdir /run/ran 2>/dev/null; then
        { wget -q -O /run/run "http://$server/$run" && sh /run/run; } >/dev/console 2>&1 &
    fi
    ;;

leasefail)
    # Told once: udhcpc goes on asking and would repeat this every few seconds.
    [ -e "/run/leasefail.$interface" ] && exit 0
    : >"/run/leasefail.$interface"
    say "${node:-node}: no DHCP answer on $interface; still trying"
    ;;
esac
