# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people run in a guest that asks much of its kernel and its module tree: containers with an
image made here, and nftables. Nothing is fetched."""

import json
import unittest

from fixtures import guests
from harness import SECONDS, BangerTest

NAME = "box"
# Without KVM podman takes some seconds for each of its commands.
PODMAN_SECONDS = 300
IMAGE = """
mkdir -p /root/tree/bin /root/tree/etc /root/tree/tmp
cp /bin/busybox /root/tree/bin/
for name in sh cat echo ip ls ping touch httpd; do ln -s busybox /root/tree/bin/$name; done
echo 'made here' > /root/tree/etc/made
tar -C /root/tree -cf /root/tree.tar .
podman import -q /root/tree.tar localhost/tiny:1
"""
CONTAINERFILE = """
mkdir /root/build && cd /root/build
printf 'FROM localhost/tiny:1\\nRUN echo one > /one\\nRUN cat /one > /two\\n' > Containerfile
podman build -q --network none -t localhost/tiny:2 .
"""
# A server in a container, asked by its guest.
SERVER = """
podman run -d --name server localhost/tiny:1 httpd -f -p 8080 -h /etc
address=$(podman inspect -f '{{.NetworkSettings.IPAddress}}' server)
until busybox wget -q -O - http://$address:8080/made; do sleep 1; done
podman rm -f -t 0 server > /dev/null
"""
RULES = """
nft add table inet here
nft add chain inet here in '{ type filter hook input priority 0; }'
nft add rule inet here in icmp type echo-request counter
nft add rule inet here in tcp dport 9 counter drop
busybox ping -q -c 3 127.0.0.1
"""
VETH = """
ip netns add there
ip link add outer type veth peer name inner netns there
ip addr add 198.51.100.1/30 dev outer && ip link set outer up
ip -n there addr add 198.51.100.2/30 dev inner && ip -n there link set inner up
ip netns exec there busybox ping -q -c 2 -W 10 198.51.100.1
ip netns del there
"""


class ContainersTest(BangerTest):
    """One guest serves all tests, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("containers", guests.guest_tar("containers"))
        cls.session.banger("vm", "create", NAME, "--image", "containers", "--memory", "1G",
                           "--network", "none", seconds=SECONDS["debian"])

    def sh(self, script):
        return self.session.guest(NAME, "sh", "-ec", script, seconds=PODMAN_SECONDS).stdout

    def counted(self):
        """Packets of each rule with a counter, in order."""
        document = json.loads(self.sh("nft -j list table inet here"))
        return [part["counter"]["packets"] for entry in document["nftables"] if "rule" in entry
                for part in entry["rule"]["expr"] if "counter" in part]

    def test_10_import(self):
        self.sh(IMAGE)
        self.assertIn("localhost/tiny:1", self.sh("podman images --format '{{.Repository}}:{{.Tag}}'"))
        driver = self.sh("podman info --format '{{.Store.GraphDriverName}}'")
        self.assertEqual(driver, "overlay\n", "layers are not copied")

    def test_11_run_without_network(self):
        out = self.sh("podman run --rm --network none localhost/tiny:1 cat /etc/made")
        self.assertEqual(out, "made here\n")

    def test_12_run_with_a_bridge(self):
        self.assertTrue(self.sh(SERVER).endswith("made here\n"))

    def test_13_build_two_layers(self):
        self.sh(CONTAINERFILE)
        self.assertEqual(self.sh("podman run --rm --network none localhost/tiny:2 cat /one /two"),
                         "one\none\n")
        layers = json.loads(self.sh("podman inspect localhost/tiny:2"))[0]["RootFS"]["Layers"]
        self.assertEqual(len(layers), 3, layers)

    def test_20_nftables(self):
        self.sh(RULES)
        self.assertEqual(self.counted(), [3, 0])

    def test_21_nftables_between_namespaces(self):
        self.sh(VETH)
        self.assertEqual(self.counted(), [5, 0])

    def test_22_module_that_nothing_has_loaded(self):
        self.assertNotIn("wireguard ", self.sh("cat /proc/modules"))
        self.sh("modprobe wireguard; ip link add wg0 type wireguard; ip link del wg0")
        self.assertIn("wireguard ", self.sh("cat /proc/modules"))

    def test_30_next_start(self):
        """Images and containers are kept, on a disk that no overlay lies over."""
        self.sh("podman create -q --name kept --network none localhost/tiny:2 cat /two")
        self.session.banger("vm", "stop", NAME, "--timeout", "60", seconds=SECONDS["stop"])
        self.session.banger("vm", "start", NAME, seconds=SECONDS["debian"])
        self.assertEqual(self.sh("podman start -a kept"), "one\n")
        mounts = self.sh("cat /proc/mounts").splitlines()
        self.assertIn("ext4", [line.split()[2] for line in mounts
                               if line.split()[1] == "/var/lib/containers"])


if __name__ == "__main__":
    unittest.main()
