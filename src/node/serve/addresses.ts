/** Which addresses of the network are public: where a server may go that strangers send somewhere. */
import { BlockList, isIP } from "node:net";

const blocked = new BlockList();
/** Networks that are not of the public internet, by the registries of special-purpose addresses. */
const networks: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
for (const [network, bits] of networks) blocked.addSubnet(network, bits, "ipv4");
// Of IPv6 only 2000::/3 is given out; in it are tunnels that hold an IPv4 address, and networks for documents and measurements.
const global6 = new BlockList();
global6.addSubnet("2000::", 3, "ipv6");
for (const [network, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["2620:4f:8000::", 48],
  ["3fff::", 20],
] as const) {
  blocked.addSubnet(network, bits, "ipv6");
}

/** Whether an address is one of the public internet. Of IPv6 that holds an IPv4 address none is. */
export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !blocked.check(address, "ipv4");
    case 6:
      return global6.check(address, "ipv6") && !blocked.check(address, "ipv6");
    default:
      return false;
  }
}
