#!/bin/sh
# Starts k3s on a node of the lab k3s-three-nodes: k3s.sh server|agent. All that it needs is fetched
# from the folder of the web server that this script is in.
set -eu
role=$1
from=http://192.168.25.3/k3s-three-nodes
server=https://192.168.25.11:6443
token=nsplay-k3s-lab

get() { # FILE URL
    [ -e "$1" ] || { curl -fsS --retry 30 --retry-connrefused -o "$1.part" "$2" && mv "$1.part" "$1"; }
}
mkdir -p /opt/bin /var/lib/rancher/k3s/agent/images
get /opt/bin/k3s "$from/k3s"
chmod 755 /opt/bin/k3s
get /var/lib/rancher/k3s/agent/images/k3s.tar.zst "$from/images.tar.zst"

case $role in
    server) exec /opt/bin/k3s server --token "$token" --write-kubeconfig-mode 644 ;;
    agent) exec /opt/bin/k3s agent --token "$token" --server "$server" ;;
    *) echo "k3s.sh: expected server or agent, not $role" >&2; exit 2 ;;
esac
